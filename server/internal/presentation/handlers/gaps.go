package handlers

import (
	"strings"

	"github.com/gofiber/fiber/v3"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories"
)

// HeaderMissing names the shards that an answer lacks, for a client who prefers
// that to none (RFC 7240's handling=lenient).
const HeaderMissing = "Missing-Shards"

// HeaderPreferenceApplied is RFC 7240's: what was done as the client prefers it.
const HeaderPreferenceApplied = "Preference-Applied"

// vary says of an answer from all shards what it depends on, besides the URL.
func vary(c fiber.Ctx) { c.Vary("Prefer", "Consistency") }

// stateGaps says of such an answer which shards it lacks.
func stateGaps(c fiber.Ctx, missing []string) {
	if repositories.IsLenient(c.Context()) {
		c.Set(HeaderPreferenceApplied, "handling=lenient")
	}
	if len(missing) > 0 {
		c.Set(HeaderMissing, strings.Join(missing, ", "))
	}
}
