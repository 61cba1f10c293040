// Judges pods by the Pod Security Standards, with Kubernetes' own evaluator: reads a JSON list of
// {"level", "metadata", "spec"} and writes a JSON list of reasons, empty where the pod is allowed.
package main

import (
	"encoding/json"
	"log"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

type question struct {
	Level    string            `json:"level"`
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     corev1.PodSpec    `json:"spec"`
}

func main() {
	var questions []question
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&questions); err != nil {
		log.Fatal(err)
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		log.Fatal(err)
	}
	answers := []string{}
	for _, asked := range questions {
		level, err := api.ParseLevel(asked.Level)
		if err != nil {
			log.Fatal(err)
		}
		at := api.LevelVersion{Level: level, Version: api.LatestVersion()}
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(at, &asked.Metadata, &asked.Spec))
		reason := ""
		if !result.Allowed {
			reason = result.ForbiddenDetail()
		}
		answers = append(answers, reason)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}
