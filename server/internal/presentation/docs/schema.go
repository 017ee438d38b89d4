package docs

import (
	"fmt"
	"slices"
	"strings"
)

// words says what a value may be: "integer, 1 to 100, 20 if not given".
func (s schema) words() string {
	parts := []string{s.Type}
	if s.Type == "string" {
		parts[0] = "" // most are
	}
	if s.Type == "array" && s.Items != nil {
		parts[0] = "list"
		if s.Items.Type != "object" {
			parts[0] += " of " + s.Items.words()
		}
	}
	if s.Format != "" {
		parts = append(parts, s.Format)
	}
	switch {
	case len(s.Enum) > 0:
		parts = []string{strings.Join(s.Enum, ", ")}
	case s.Const != nil:
		parts = []string{fmt.Sprint(s.Const)}
	}
	parts = append(parts, between(s.Minimum, s.Maximum, ""), between(s.MinLength, s.MaxLength, " characters"), between(s.MinItems, s.MaxItems, " items"))
	if s.Default != nil {
		parts = append(parts, fmt.Sprint(s.Default, " if not given"))
	}
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), ", ")
}

func between(least, most *int, unit string) string {
	switch {
	case least != nil && most != nil:
		return fmt.Sprintf("%d to %d%s", *least, *most, unit)
	case least != nil && *least > 0:
		return fmt.Sprintf("at least %d%s", *least, unit)
	case most != nil:
		return fmt.Sprintf("at most %d%s", *most, unit)
	default:
		return ""
	}
}

// fields lists the members of a body, those of members too: "shards[].status".
func (s schema) fields(prefix string) (all []field) {
	if s.Type == "array" && s.Items != nil {
		return s.Items.fields(prefix + "[].")
	}
	merged := s.merged()
	for _, p := range merged.Properties {
		name := strings.TrimPrefix(prefix+p.Name, ".")
		all = append(all, field{Name: name, Type: p.Value.words(), Description: p.Value.Description, Required: slices.Contains(merged.Required, p.Name)})
		switch p.Value.Type {
		case "object":
			all = append(all, p.Value.fields(name+".")...)
		case "array":
			all = append(all, p.Value.fields(name)...)
		}
	}
	return all
}

// merged is one schema of those that must all hold; the later says it closer.
func (s schema) merged() schema {
	for _, part := range s.AllOf {
		part = part.merged()
		s.Required = append(s.Required, part.Required...)
		for _, p := range part.Properties {
			i := slices.IndexFunc(s.Properties, func(m member[schema]) bool { return m.Name == p.Name })
			if i < 0 {
				s.Properties = append(s.Properties, p)
				continue
			}
			closer := p.Value
			if closer.Description == "" {
				closer.Description = s.Properties[i].Value.Description
			}
			s.Properties[i].Value = closer
		}
	}
	return s
}
