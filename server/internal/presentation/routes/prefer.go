package routes

import (
	"strings"

	"github.com/gofiber/fiber/v3"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories"
)

// headerPrefer is where a client says what it would rather have (RFC 7240). What
// is unknown or malformed there is passed over: a preference obliges nobody.
const headerPrefer = "Prefer"

// lenience lets answers that are put together of all shards go without those
// that do not answer, if the client prefers that: "Prefer: handling=lenient".
func lenience(c fiber.Ctx) error {
	if preference(c.Request().Header.PeekAll(headerPrefer), "handling") == "lenient" {
		c.SetContext(repositories.WithLenient(c.Context()))
	}
	return c.Next()
}

// preference is the value of the first preference of the name, "" if there is
// none. Preferences may have parameters, which we know none of.
func preference(headers [][]byte, name string) string {
	for _, header := range headers {
		for _, p := range splitUnquoted(string(header), ',') {
			word, value, _ := strings.Cut(splitUnquoted(p, ';')[0], "=")
			if strings.EqualFold(strings.TrimSpace(word), name) {
				return strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
	}
	return ""
}

// splitUnquoted splits at separators that stand outside of quoted strings.
func splitUnquoted(s string, separator byte) (parts []string) {
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++ // and what it escapes
		case !quoted && s[i] == separator:
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	return append(parts, s[start:])
}
