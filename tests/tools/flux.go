package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/fluxcd/cli-utils/pkg/object"
	fluxv1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/ssa"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Its name is the manager of its fields.
const fluxController = "kustomize-controller"

// result is what a run of reconciles did; a fight shows as more changes than rounds that had a reason.
type result struct {
	Rounds  int      `json:"rounds"`
	Changed []string `json:"changed"`
	Pruned  []string `json:"pruned"`
}

func (r result) print() error { return json.NewEncoder(os.Stdout).Encode(r) }

// run is what both tools are told.
type run struct {
	kubeconfig, tree, name, namespace string
	rounds                            int
	interval                          time.Duration
}

func (r *run) flags(flags *flag.FlagSet) {
	flags.StringVar(&r.kubeconfig, "kubeconfig", "", "of an administrator")
	flags.StringVar(&r.tree, "tree", "", "folder of manifests")
	flags.StringVar(&r.name, "name", "", "of the Application or Kustomization")
	flags.StringVar(&r.namespace, "namespace", "", "of objects that name none")
	flags.IntVar(&r.rounds, "rounds", 1, "how often to reconcile")
	flags.DurationVar(&r.interval, "interval", 100*time.Millisecond, "between two reconciles")
}

// each calls one as often as was asked for, in its rhythm.
func (r *run) each(one func(*result) error) error {
	all := result{Changed: []string{}, Pruned: []string{}}
	ticker := time.NewTicker(r.interval)
	defer ticker.Stop()
	for all.Rounds < r.rounds {
		if err := one(&all); err != nil {
			return fmt.Errorf("round %d: %w", all.Rounds+1, err)
		}
		all.Rounds++
		<-ticker.C
	}
	return all.print()
}

// flux reconciles as kustomize-controller does: server-side apply of what drifted, fields of kubectl taken over, and what the inventory has
// and the folder lacks is deleted if it still carries the owner's labels.
func flux(arguments []string) error {
	var r run
	flags := flag.NewFlagSet("flux", flag.ContinueOnError)
	r.flags(flags)
	inventory := flags.String("inventory", "", "file with what was applied before: the status of the Kustomization")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	config, err := restConfig(r.kubeconfig)
	if err != nil {
		return err
	}
	kube, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	owner := ssa.Owner{Field: fluxController, Group: fluxv1.GroupVersion.Group}
	manager := ssa.NewResourceManager(kube, nil, owner)
	return r.each(func(all *result) error {
		objects, err := readTree(r.tree, r.namespace)
		if err != nil {
			return err
		}
		return fluxOnce(manager, r.name, *inventory, objects, all)
	})
}

func fluxOnce(manager *ssa.ResourceManager, name, inventory string, objects []*unstructured.Unstructured, all *result) error {
	ctx := context.Background()
	manager.SetOwnerLabels(objects, name, "flux-system")
	options := ssa.DefaultApplyOptions()
	// kustomization_controller.go of kustomize-controller gives the same.
	options.Cleanup.Annotations = []string{"kubectl.kubernetes.io/last-applied-configuration"}
	options.Cleanup.FieldManagers = []ssa.FieldManager{
		{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationApply},
		{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationUpdate},
		{Name: "before-first-apply", OperationType: metav1.ManagedFieldsOperationUpdate},
		{Name: fluxController, OperationType: metav1.ManagedFieldsOperationUpdate},
	}
	changes, err := manager.ApplyAll(ctx, objects, options)
	if err != nil {
		return err
	}
	for _, entry := range changes.Entries {
		if entry.Action != ssa.UnchangedAction {
			all.Changed = append(all.Changed, fmt.Sprintf("%s %s", entry.Subject, entry.Action))
		}
	}
	stale, err := fluxInventory(inventory, changes)
	if err != nil || len(stale) == 0 {
		return err
	}
	deleted, err := manager.DeleteAll(ctx, stale, ssa.DeleteOptions{
		PropagationPolicy: metav1.DeletePropagationBackground,
		Inclusions:        manager.GetOwnerLabels(name, "flux-system"),
		Exclusions:        map[string]string{fluxv1.GroupVersion.Group + "/prune": "disabled"},
	})
	if err != nil {
		return err
	}
	for _, entry := range deleted.Entries {
		all.Pruned = append(all.Pruned, fmt.Sprintf("%s %s", entry.Subject, entry.Action))
	}
	return nil
}

// fluxInventory keeps what was applied, and gives what was before and is not now.
func fluxInventory(path string, changes *ssa.ChangeSet) ([]*unstructured.Unstructured, error) {
	var before, now []fluxv1.ResourceRef
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &before)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, entry := range changes.Entries {
		now = append(now, fluxv1.ResourceRef{ID: entry.ObjMetadata.String(), Version: entry.GroupVersion})
	}
	var stale []*unstructured.Unstructured
	for _, reference := range before {
		if slices.Contains(now, reference) {
			continue
		}
		id, err := object.ParseObjMetadata(reference.ID)
		if err != nil {
			return nil, err
		}
		gone := &unstructured.Unstructured{}
		gone.SetGroupVersionKind(id.GroupKind.WithVersion(reference.Version))
		gone.SetName(id.Name)
		gone.SetNamespace(id.Namespace)
		stale = append(stale, gone)
	}
	text, err = json.Marshal(now)
	if err != nil {
		return nil, err
	}
	return stale, os.WriteFile(path, text, 0o600)
}
