package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	argocdv1 "github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	fluxv1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// manifests FILE...: every document is an object of Argo CD or of Flux without a field that they lack.
func manifests(paths []string) error {
	count := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		reader := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
		for {
			// A document of our examples is shorter.
			buffer := make([]byte, 1<<20)
			n, err := reader.Read(buffer)
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil {
				err = oneManifest(buffer[:n])
			}
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			count++
		}
	}
	if count == 0 {
		return errors.New("no documents")
	}
	fmt.Printf("manifests: %d documents of Argo CD and Flux are strict\n", count)
	return nil
}

func oneManifest(text []byte) error {
	var kind struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(text, &kind); err != nil {
		return err
	}
	known := map[schema.GroupVersionKind]any{
		argocdv1.SchemeGroupVersion.WithKind("Application"): &argocdv1.Application{},
		argocdv1.SchemeGroupVersion.WithKind("AppProject"):  &argocdv1.AppProject{},
		fluxv1.GroupVersion.WithKind("Kustomization"):       &fluxv1.Kustomization{},
		sourcev1.GroupVersion.WithKind("GitRepository"):     &sourcev1.GitRepository{},
	}
	into := known[schema.FromAPIVersionAndKind(kind.APIVersion, kind.Kind)]
	if into == nil {
		return fmt.Errorf("%s %s: not a kind of Argo CD or Flux that is tested", kind.APIVersion, kind.Kind)
	}
	return yaml.UnmarshalStrict(text, into)
}
