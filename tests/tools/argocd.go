package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/argoproj/gitops-engine/pkg/cache"
	"github.com/argoproj/gitops-engine/pkg/diff"
	"github.com/argoproj/gitops-engine/pkg/sync"
	"github.com/argoproj/gitops-engine/pkg/sync/common"
	"github.com/argoproj/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/gitops-engine/pkg/utils/tracing"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// From common/common.go of Argo CD.
const (
	trackingAnnotation = "argocd.argoproj.io/tracking-id"
	trackingLabel      = "app.kubernetes.io/instance"
	applyManager       = "argocd-controller"
)

// Longer than a sync of a folder of tests takes.
const syncWithin = 30 * time.Second

type application struct {
	run
	byLabel, serverSide bool
	config              *rest.Config
	kubectl             kube.Kubectl
	cache               cache.ClusterCache
}

// argocd reconciles as Argo CD's controller with automated sync, self-heal and prune does, on its own engine. It syncs in every round and
// not only when something differs, which finds more.
func argocd(arguments []string) error {
	var a application
	flags := flag.NewFlagSet("argocd", flag.ContinueOnError)
	a.flags(flags)
	flags.BoolVar(&a.byLabel, "track-by-label", false, "the label tells what belongs to the application, not the annotation")
	flags.BoolVar(&a.serverSide, "server-side", false, "ServerSideApply=true")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	config, err := restConfig(a.kubeconfig)
	if err != nil {
		return err
	}
	a.config = config
	a.kubectl = &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}
	a.cache = cache.NewClusterCache(config,
		cache.SetLogr(logr.Discard()),
		cache.SetKubectl(a.kubectl),
		cache.SetSettings(cache.Settings{ResourcesFilter: &fewKinds{}}),
		cache.SetNamespaces([]string{a.namespace}),
		cache.SetClusterResources(true),
		cache.SetPopulateResourceInfoHandler(a.info),
	)
	if err := a.cache.EnsureSynced(); err != nil {
		return err
	}
	return a.each(a.once)
}

// fewKinds leaves out what no application of a test has, to start in less time.
type fewKinds struct{}

func (*fewKinds) IsExcludedResource(group, kind, _ string) bool {
	return !slices.Contains([]string{"Namespace", "Deployment", "ReplicaSet", "PersistentVolumeClaim", "ConfigMap"}, kind) && group != "stash.appscode.com"
}

// info is controller/cache/cache.go of Argo CD: an object without an owner whose mark names an application is the application's.
func (a *application) info(object *unstructured.Unstructured, isRoot bool) (any, bool) {
	name := a.owner(object)
	if !isRoot {
		name = ""
	}
	return name, name != ""
}

func (a *application) owner(object *unstructured.Unstructured) string {
	if a.byLabel {
		return object.GetLabels()[trackingLabel]
	}
	// A mark that was copied from another object names that one, and counts for nothing.
	if object.GetAnnotations()[trackingAnnotation] == a.mark(object) {
		return a.name
	}
	return ""
}

func (a *application) mark(object *unstructured.Unstructured) string {
	kind, namespace := object.GroupVersionKind(), object.GetNamespace()
	if namespace == "" {
		namespace = a.namespace
	}
	return fmt.Sprintf("%s:%s/%s:%s/%s", a.name, kind.Group, kind.Kind, namespace, object.GetName())
}

func (a *application) track(object *unstructured.Unstructured) {
	if a.byLabel {
		labels := object.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[trackingLabel] = a.name
		object.SetLabels(labels)
		return
	}
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[trackingAnnotation] = a.mark(object)
	object.SetAnnotations(annotations)
}

func (a *application) once(all *result) error {
	objects, err := readTree(a.tree, a.namespace)
	if err != nil {
		return err
	}
	for _, object := range objects {
		a.track(object)
	}
	live, err := a.cache.GetManagedLiveObjs(objects, func(resource *cache.Resource) bool { return resource.Info.(string) == a.name })
	if err != nil {
		return err
	}
	compared := sync.Reconcile(objects, live, a.namespace, a.cache)
	options := []diff.Option{diff.WithLogr(logr.Discard())}
	if a.serverSide {
		options = append(options, diff.WithStructuredMergeDiff(true), diff.WithGVKParser(a.cache.GetGVKParser()), diff.WithManager(applyManager))
	}
	differences, err := diff.DiffArray(compared.Target, compared.Live, options...)
	if err != nil {
		return err
	}
	for i, difference := range differences.Diffs {
		switch target, live := compared.Target[i], compared.Live[i]; {
		case target == nil:
			all.Pruned = append(all.Pruned, subject(live))
		case difference.Modified:
			all.Changed = append(all.Changed, subject(target))
		}
	}
	return a.sync(compared)
}

func (a *application) sync(compared sync.ReconciliationResult) error {
	context, cleanup, err := sync.NewSyncContext("HEAD", compared, a.config, a.config, a.kubectl, a.namespace, a.cache.GetOpenAPISchema(),
		sync.WithLogr(logr.Discard()),
		sync.WithPrune(true),
		sync.WithServerSideApply(a.serverSide),
		sync.WithServerSideApplyManager(applyManager),
	)
	if err != nil {
		return err
	}
	defer cleanup()
	for end := time.Now().Add(syncWithin); ; time.Sleep(10 * time.Millisecond) {
		context.Sync()
		switch phase, message, results := context.GetState(); {
		case phase == common.OperationSucceeded:
			return a.seen(results)
		case phase.Completed() || time.Now().After(end):
			return fmt.Errorf("%s: %s: %+v", phase, message, results)
		}
	}
}

// seen waits until the cache has what the sync did: its next comparison is of that state, not of the one before.
func (a *application) seen(results []common.ResourceSyncResult) error {
	for end := time.Now().Add(syncWithin); ; time.Sleep(10 * time.Millisecond) {
		missing := slices.ContainsFunc(results, func(done common.ResourceSyncResult) bool {
			// A result names the application's namespace for what has none.
			bare := done.ResourceKey
			bare.Namespace = ""
			all := a.cache.FindResources("")
			cached := all[done.ResourceKey] != nil || all[bare] != nil
			return cached == (done.Status == common.ResultCodePruned)
		})
		if !missing {
			return nil
		}
		if time.Now().After(end) {
			return errors.New("the cache does not see what was synced")
		}
	}
}

func subject(object *unstructured.Unstructured) string {
	return fmt.Sprintf("%s/%s/%s", object.GetKind(), object.GetNamespace(), object.GetName())
}

func restConfig(path string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, err
	}
	// Not slower than the test asks for.
	config.QPS, config.Burst = 500, 500
	return config, nil
}

// readTree gives the objects of all manifests below a folder, as both tools read one without a kustomization.yaml.
func readTree(root, namespace string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		read, err := kube.SplitYAML(text)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, object := range read {
			if object.GetNamespace() == "" && object.GetKind() != "BackupBlueprint" {
				object.SetNamespace(namespace)
			}
			objects = append(objects, object)
		}
		return nil
	})
	return objects, err
}
