// Answers what the API server's plugin for ValidatingAdmissionPolicies answers, without an API server.
//
// Standard input is a list of worlds, each with manifests (policies, bindings, namespaces) and requests; standard output
// a list for each world with an answer for each request: an empty text if it is admitted, else why not.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
)

type world struct {
	Manifests []json.RawMessage `json:"manifests"`
	Requests  []request         `json:"requests"`
}

type request struct {
	Operation admission.Operation `json:"operation"`
	Object    json.RawMessage     `json:"object"`
	OldObject json.RawMessage     `json:"oldObject"`
	User      string              `json:"user"`
}

func main() {
	var worlds []world
	if err := json.NewDecoder(os.Stdin).Decode(&worlds); err != nil {
		fail(err)
	}
	answers := make([][]string, len(worlds))
	// A plugin waits longer for its informers than it judges.
	var running sync.WaitGroup
	places := make(chan struct{}, 16)
	for i, one := range worlds {
		places <- struct{}{}
		running.Add(1)
		go func() {
			defer running.Done()
			answers[i] = judge(one)
			<-places
		}()
	}
	running.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fail(err)
	}
}

func judge(one world) []string {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	manifests := make([]runtime.Object, 0, len(one.Manifests))
	for _, manifest := range one.Manifests {
		object, _ := typed(manifest)
		if policy, ok := object.(*admissionv1.ValidatingAdmissionPolicy); ok {
			setDefaults(policy.Spec.MatchConstraints)
		}
		manifests = append(manifests, object)
	}
	client := fake.NewClientset(manifests...)
	factory := informers.NewSharedInformerFactory(client, time.Hour)
	plugin := validating.NewPlugin(nil)
	plugin.SetExternalKubeClientSet(client)
	plugin.SetExternalKubeInformerFactory(factory)
	plugin.SetRESTMapper(meta.NewDefaultRESTMapper(nil))
	plugin.SetDynamicClient(dynamicfake.NewSimpleDynamicClient(scheme.Scheme))
	plugin.SetAuthorizer(authorizerfactory.NewAlwaysAllowAuthorizer())
	plugin.SetDrainedNotification(ctx.Done())
	if err := plugin.ValidateInitialization(); err != nil {
		fail(err)
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	if !plugin.WaitForReady() {
		fail(fmt.Errorf("the plugin is not ready"))
	}
	answers := make([]string, 0, len(one.Requests))
	for _, asked := range one.Requests {
		answers = append(answers, answer(ctx, plugin, asked))
	}
	return answers
}

// setDefaults writes what the API server writes when it stores a policy (pkg/apis/admissionregistration/v1/defaults.go).
func setDefaults(match *admissionv1.MatchResources) {
	if match.MatchPolicy == nil {
		match.MatchPolicy = ptr.To(admissionv1.Equivalent)
	}
	if match.NamespaceSelector == nil {
		match.NamespaceSelector = &metav1.LabelSelector{}
	}
	if match.ObjectSelector == nil {
		match.ObjectSelector = &metav1.LabelSelector{}
	}
}

func answer(ctx context.Context, plugin *validating.Plugin, asked request) string {
	object, kind := typed(asked.Object)
	var old runtime.Object
	if len(asked.OldObject) > 0 && string(asked.OldObject) != "null" {
		old, _ = typed(asked.OldObject)
	}
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	accessor, err := meta.Accessor(object)
	if err != nil {
		fail(err)
	}
	attributes := admission.NewAttributesRecord(
		object, old, kind, accessor.GetNamespace(), accessor.GetName(), resource, "", asked.Operation, nil, false,
		&user.DefaultInfo{Name: asked.User},
	)
	if err := plugin.Validate(ctx, attributes, admission.NewObjectInterfacesFromScheme(scheme.Scheme)); err != nil {
		return err.Error()
	}
	return ""
}

func typed(manifest json.RawMessage) (runtime.Object, schema.GroupVersionKind) {
	object, kind, err := scheme.Codecs.UniversalDeserializer().Decode(manifest, nil, nil)
	if err != nil {
		fail(fmt.Errorf("%w: %s", err, manifest))
	}
	return object, *kind
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
