// Holds documents against the CRDs of Argo, with the code of the API server: schema, unknown fields, limits, CEL rules
// and metadata; and cron lines against the parser that Argo uses.
//
//	validator FOLDER    a folder with CRDs as YAML files
//
// Reads one JSON value per line: an object of Argo, or a text, which is a cron line. For each it writes one line, a JSON
// list of what is wrong.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/robfig/cron/v3"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// resource is what the API server keeps of a CRD.
type resource struct {
	structural *structuralschema.Structural
	schema     validation.SchemaValidator
	rules      *cel.Validator
}

func main() {
	resources, err := load(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := json.NewEncoder(os.Stdout)
	for {
		line, err := input.ReadBytes('\n')
		if err != nil {
			return
		}
		if err := output.Encode(problems(resources, line)); err != nil {
			os.Exit(1)
		}
	}
}

// load reads the CRDs of a folder, by their kind.
func load(folder string) (map[string]resource, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no CRDs in %s", folder)
	}
	resources := map[string]resource{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &crd); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		var schema apiextensions.CustomResourceValidation
		if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(
			crd.Spec.Versions[0].Schema, &schema, nil); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		structural, err := structuralschema.NewStructural(schema.OpenAPIV3Schema)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		validator, _, err := validation.NewSchemaValidator(schema.OpenAPIV3Schema)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		resources[crd.Spec.Names.Kind] = resource{structural, validator, cel.NewValidator(structural, true, celconfig.PerCallLimit)}
	}
	return resources, nil
}

func problems(resources map[string]resource, line []byte) []string {
	found := []string{}
	var value any
	// Whole numbers stay whole, as in the API server.
	if err := utiljson.Unmarshal(line, &value); err != nil {
		return append(found, err.Error())
	}
	if text, ok := value.(string); ok {
		return append(found, cronProblems(text)...)
	}
	object, ok := value.(map[string]any)
	if !ok {
		return append(found, "expected an object or a text")
	}
	kind, _ := object["kind"].(string)
	known, ok := resources[kind]
	if !ok {
		return append(found, fmt.Sprintf("no CRD for the kind %q", kind))
	}
	for _, err := range known.errors(object) {
		found = append(found, err.Error())
	}
	unknown := pruning.PruneWithOptions(object, known.structural, true,
		structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		found = append(found, "unknown field "+path)
	}
	return found
}

func (known resource) errors(object map[string]any) field.ErrorList {
	meta := (&unstructured.Unstructured{Object: object})
	errors := apivalidation.ValidateObjectMetaAccessor(meta, meta.GetNamespace() != "", apivalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
	errors = append(errors, validation.ValidateCustomResource(nil, object, known.schema)...)
	errors = append(errors, listtype.ValidateListSetsAndMaps(nil, known.structural, object)...)
	broken, _ := known.rules.Validate(context.Background(), nil, known.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return append(errors, broken...)
}

// cronProblems says what is wrong with a cron line: it cannot be read, or nothing would ever start.
func cronProblems(line string) []string {
	schedule, err := cron.ParseStandard(line)
	if err != nil {
		return []string{err.Error()}
	}
	if schedule.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return []string{"never comes"}
	}
	return nil
}
