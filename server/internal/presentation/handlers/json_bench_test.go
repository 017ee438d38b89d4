package handlers

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// codecs are ours and the standard library's, for comparison.
var codecs = []struct {
	name      string
	marshal   func(any) ([]byte, error)
	unmarshal func([]byte, any) error
}{
	{"sonic", JSON.Marshal, JSON.Unmarshal},
	{"std", json.Marshal, json.Unmarshal},
}

func BenchmarkEncode(b *testing.B) {
	born := time.Date(2026, 11, 21, 12, 0, 0, 120000000, time.UTC)
	one := userToJSON(entities.User{ID: uuid.New(), Name: "Ada Lovelace", Email: "ada.lovelace@example.com", CreatedAt: born, UpdatedAt: born})
	page := make([]userJSON, 20)
	for i := range page {
		page[i] = one
	}
	for _, codec := range codecs {
		for name, body := range map[string]any{"user": one, "page": page} {
			b.Run(name+"/codec="+codec.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := codec.marshal(body); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"name":"Ada Lovelace","email":"ada.lovelace@example.com"}`)
	for _, codec := range codecs {
		b.Run("codec="+codec.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var fields map[string]json.RawMessage // as readFields does
				if err := codec.unmarshal(body, &fields); err != nil {
					b.Fatal(err)
				}
				for _, raw := range fields {
					var text *string
					if err := codec.unmarshal(raw, &text); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
