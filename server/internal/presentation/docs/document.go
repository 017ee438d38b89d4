package docs

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What the page needs of an OpenAPI document, references followed.
type (
	document struct {
		Info struct {
			Title, Version, Summary, Description string
		}
		Tags       []tagObject
		Paths      ordered[pathItem]
		Components struct{ Schemas ordered[schema] }
	}
	tagObject struct{ Name, Description string }
	pathItem  struct {
		Parameters             []parameter
		Get, Put, Post, Delete *operationObject
	}
	operationObject struct {
		OperationID          string `yaml:"operationId"`
		Summary, Description string
		Tags                 []string
		Parameters           []parameter
		RequestBody          struct{ Content ordered[mediaType] } `yaml:"requestBody"`
		Responses            ordered[response]
	}
	parameter struct {
		Name, In, Description string
		Required              bool
		Schema                schema
		Examples              ordered[exampleObject]
	}
	mediaType struct {
		Schema   schema
		Examples ordered[exampleObject]
	}
	response struct {
		Description string
		Headers     ordered[parameter]
		Content     ordered[mediaType]
	}
	exampleObject struct {
		Summary string
		Value   yaml.Node
	}
	schema struct {
		Type, Format, Description string
		Enum                      []string
		Const, Default            any
		Minimum, Maximum          *int
		MinLength                 *int `yaml:"minLength"`
		MaxLength                 *int `yaml:"maxLength"`
		MinItems                  *int `yaml:"minItems"`
		MaxItems                  *int `yaml:"maxItems"`
		Required                  []string
		Properties                ordered[schema]
		Items                     *schema
		AllOf                     []schema `yaml:"allOf"`
	}
)

// ordered is a mapping that keeps the order in which it was written.
type ordered[T any] []member[T]

type member[T any] struct {
	Name  string
	Value T
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (o *ordered[T]) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("want a mapping, got %q", node.Value)
	}
	for i := 0; i < len(node.Content); i += 2 {
		m := member[T]{Name: node.Content[i].Value}
		if err := node.Content[i+1].Decode(&m.Value); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		*o = append(*o, m)
	}
	return nil
}

func (o ordered[T]) find(name string) (value T, ok bool) {
	for _, m := range o {
		if m.Name == name {
			return m.Value, true
		}
	}
	return value, false
}

// follow puts what references stand for in their place. The document has no
// schema that contains itself.
func follow(root, node *yaml.Node) (*yaml.Node, error) {
	if node.Kind == yaml.MappingNode && len(node.Content) == 2 && node.Content[0].Value == "$ref" {
		target := root
		for _, key := range strings.Split(strings.TrimPrefix(node.Content[1].Value, "#/"), "/") {
			if target = child(target, key); target == nil {
				return nil, fmt.Errorf("$ref to %s, which is not there", node.Content[1].Value)
			}
		}
		return follow(root, target)
	}
	copied := *node
	copied.Content = make([]*yaml.Node, len(node.Content))
	for i, part := range node.Content {
		followed, err := follow(root, part)
		if err != nil {
			return nil, err
		}
		copied.Content[i] = followed
	}
	return &copied, nil
}

func child(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}
