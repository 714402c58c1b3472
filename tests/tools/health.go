package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	argocdv1 "github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	fluxv1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/runtime/cel"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

const healthPrefix = "resource.customizations.health."
const updatesPrefix = "resource.customizations.ignoreResourceUpdates."

type healthCase struct {
	Case, ArgoCD, Flux, Kstatus string
	Object                      map[string]any
}

// health ARGOCD-CM KUSTOMIZATION CASES CRDS: each object of CASES has the health that stands beside it; CRDS is the folder of definitions,
// each phase of which must be there.
func health(arguments []string) error {
	if len(arguments) != 4 {
		return errors.New("usage: health ARGOCD-CM KUSTOMIZATION CASES CRDS")
	}
	machine, err := argocdMachine(arguments[0])
	if err != nil {
		return err
	}
	evaluators, err := fluxEvaluators(arguments[1])
	if err != nil {
		return err
	}
	var cases []healthCase
	if err := readStrictly(arguments[2], &cases); err != nil {
		return err
	}
	seen := map[string]bool{}
	var wrong []string
	for _, c := range cases {
		object := &unstructured.Unstructured{Object: c.Object}
		// As the API server's clients have them: whole numbers as int64.
		text, err := object.MarshalJSON()
		if err == nil {
			err = object.UnmarshalJSON(text)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.Case, err)
		}
		phase, _, _ := unstructured.NestedString(object.Object, "status", "phase")
		seen[object.GetKind()+" "+phase] = true
		found, err := healthOf(object, machine, evaluators)
		if err != nil {
			return fmt.Errorf("%s %q: %w", object.GetKind(), c.Case, err)
		}
		if wanted := (healths{c.ArgoCD, c.Flux, c.Kstatus}); found != wanted {
			wrong = append(wrong, fmt.Sprintf("%s %q: %+v, and not %+v", object.GetKind(), c.Case, found, wanted))
		}
	}
	missing, err := phasesNotIn(seen, arguments[3], slices.Collect(maps.Keys(evaluators)))
	if err != nil {
		return err
	}
	if wrong = append(wrong, missing...); len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "\n"))
	}
	fmt.Printf("health: %d objects of %d kinds are as expected in Argo CD, Flux and kstatus\n", len(cases), len(evaluators))
	return nil
}

type healths struct{ argocd, flux, kstatus string }

func healthOf(object *unstructured.Unstructured, machine lua.VM, evaluators map[schema.GroupKind]*cel.StatusEvaluator) (healths, error) {
	script, libraries, err := machine.GetHealthScript(object)
	if err != nil || script == "" || libraries {
		return healths{}, fmt.Errorf("no script of ours: %v", err)
	}
	argocd, err := machine.ExecuteHealthLua(object, script)
	if err != nil {
		return healths{}, err
	}
	evaluator := evaluators[object.GroupVersionKind().GroupKind()]
	if evaluator == nil {
		return healths{}, errors.New("no expressions of ours")
	}
	found := healths{argocd: string(argocd.Status)}
	flux, err := evaluator.Evaluate(context.Background(), object)
	if _, hasStatus := object.Object["status"]; err != nil && !hasStatus {
		// What its poller makes of an error, and waits.
		found.flux = string(status.UnknownStatus)
	} else if err != nil {
		return healths{}, err
	} else {
		found.flux = string(flux.Status)
	}
	plain, err := status.Compute(object)
	if err != nil {
		return healths{}, err
	}
	found.kstatus = string(plain.Status)
	return found, nil
}

// argocdMachine reads the ConfigMap as Argo CD's settings do, and refuses a key that they would pass over.
func argocdMachine(path string) (lua.VM, error) {
	var configMap corev1.ConfigMap
	if err := readStrictly(path, &configMap); err != nil {
		return lua.VM{}, err
	}
	overrides := map[string]argocdv1.ResourceOverride{}
	for key, text := range configMap.Data {
		switch {
		case strings.HasPrefix(key, healthPrefix):
			// stash.appscode.com_Repository stands for stash.appscode.com/Repository.
			kind := strings.Replace(strings.TrimPrefix(key, healthPrefix), "_", "/", 1)
			overrides[kind] = argocdv1.ResourceOverride{HealthLua: text}
		case strings.HasPrefix(key, updatesPrefix):
			var ignored argocdv1.OverrideIgnoreDiff
			if err := yaml.UnmarshalStrict([]byte(text), &ignored); err != nil {
				return lua.VM{}, fmt.Errorf("%s: %w", key, err)
			}
			if !slices.Equal(ignored.JSONPointers, []string{"/status"}) {
				return lua.VM{}, fmt.Errorf("%s: %v", key, ignored)
			}
		default:
			return lua.VM{}, fmt.Errorf("%s: not a key of Argo CD that is tested", key)
		}
	}
	return lua.VM{ResourceOverrides: overrides}, nil
}

func fluxEvaluators(path string) (map[schema.GroupKind]*cel.StatusEvaluator, error) {
	var kustomization fluxv1.Kustomization
	if err := readStrictly(path, &kustomization); err != nil {
		return nil, err
	}
	evaluators := map[schema.GroupKind]*cel.StatusEvaluator{}
	for _, check := range kustomization.Spec.HealthCheckExprs {
		evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", check.Kind, err)
		}
		evaluators[schema.FromAPIVersionAndKind(check.APIVersion, check.Kind).GroupKind()] = evaluator
	}
	return evaluators, nil
}

// phasesNotIn names what the definitions in folder have and no case.
func phasesNotIn(seen map[string]bool, folder string, kinds []schema.GroupKind) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "stash.appscode.com_*.yaml"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no definitions in %s", folder)
	}
	var missing []string
	for _, path := range paths {
		var definition apiextensionsv1.CustomResourceDefinition
		if err := readStrictly(path, &definition); err != nil {
			return nil, err
		}
		kind := schema.GroupKind{Group: definition.Spec.Group, Kind: definition.Spec.Names.Kind}
		if kind.Kind == "Function" || kind.Kind == "Task" {
			continue
		}
		if !slices.Contains(kinds, kind) || !seen[kind.Kind+" "] {
			missing = append(missing, kind.Kind+": not checked, or no case without a phase")
		}
		for _, version := range definition.Spec.Versions {
			for _, phase := range version.Schema.OpenAPIV3Schema.Properties["status"].Properties["phase"].Enum {
				if name := strings.Trim(string(phase.Raw), `"`); !seen[kind.Kind+" "+name] {
					missing = append(missing, kind.Kind+": no case of phase "+name)
				}
			}
		}
	}
	return missing, nil
}

// readStrictly refuses fields that the type lacks.
func readStrictly(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
