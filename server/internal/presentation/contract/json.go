package contract

import (
	"bytes"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// expand puts what anchors, aliases and merge keys stand for in their place.
// A mapping's own keys go before merged ones, and override them.
func expand(node *yaml.Node) (*yaml.Node, error) {
	switch node.Kind {
	case yaml.DocumentNode:
		return expand(node.Content[0])
	case yaml.AliasNode:
		return expand(node.Alias)
	case yaml.MappingNode:
		return expandMapping(node)
	case yaml.SequenceNode:
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: node.Tag}
		for _, item := range node.Content {
			expanded, err := expand(item)
			if err != nil {
				return nil, err
			}
			list.Content = append(list.Content, expanded)
		}
		return list, nil
	default:
		return &yaml.Node{Kind: node.Kind, Tag: node.Tag, Value: node.Value}, nil
	}
}

func expandMapping(node *yaml.Node) (*yaml.Node, error) {
	own := &yaml.Node{Kind: yaml.MappingNode, Tag: node.Tag}
	var merged []*yaml.Node
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i]
		value, err := expand(node.Content[i+1])
		if err != nil {
			return nil, err
		}
		if key.Tag != "!!merge" {
			own.Content = append(own.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key.Value}, value)
			continue
		}
		if value.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("line %d: << must name one mapping", key.Line)
		}
		merged = append(merged, value)
	}
	for _, mapping := range merged {
		for i := 0; i < len(mapping.Content); i += 2 {
			if find(own, mapping.Content[i].Value) == nil {
				own.Content = append(own.Content, mapping.Content[i], mapping.Content[i+1])
			}
		}
	}
	return own, nil
}

// find returns a mapping's value of the key, nil if it has none.
func find(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// JSON writes a part of the document's Root, keys in their order, on one line.
func JSON(node *yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	err := writeJSON(&out, node)
	return out.Bytes(), err
}

func writeJSON(out *bytes.Buffer, node *yaml.Node) error {
	switch node.Kind {
	case yaml.MappingNode:
		return writeList(out, node.Content, '{', '}')
	case yaml.SequenceNode:
		return writeList(out, node.Content, '[', ']')
	case yaml.ScalarNode:
		return writeScalar(out, node)
	default:
		return errors.New("an expanded document has only mappings, sequences and scalars")
	}
}

func writeList(out *bytes.Buffer, content []*yaml.Node, open, end byte) error {
	out.WriteByte(open)
	for i, item := range content {
		switch {
		case i == 0:
		case open == '{' && i%2 == 1:
			out.WriteByte(':')
		default:
			out.WriteByte(',')
		}
		if err := writeJSON(out, item); err != nil {
			return err
		}
	}
	out.WriteByte(end)
	return nil
}

// writeScalar takes numbers, truths and nothing for what they are in JSON, and
// all else, such as a time, for text.
func writeScalar(out *bytes.Buffer, node *yaml.Node) error {
	var value any = node.Value
	switch node.Tag {
	case "!!int", "!!float", "!!bool", "!!null":
		if err := node.Decode(&value); err != nil {
			return err
		}
	}
	text, err := inJSON(value)
	out.WriteString(text)
	return err
}
