package handlers

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v3"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// HeaderIdempotencyKey is that of draft-ietf-httpapi-idempotency-key-header.
// HeaderReplayed marks an answer that was given before.
const (
	HeaderIdempotencyKey = "Idempotency-Key"
	HeaderReplayed       = "Idempotency-Replayed"
)

// etag is the entity tag of a user of the version.
func etag(v entities.Version) string { return `"` + strconv.FormatInt(int64(v), 10) + `"` }

// ifMatch returns the versions that a write accepts, nil for all of them: "*"
// asks for nothing more than that the user is there, and 404 says so anyway. A
// write never does what If-None-Match asks for, and so refuses it.
func ifMatch(c fiber.Ctx) (entities.Versions, error) {
	if len(c.Request().Header.Peek(fiber.HeaderIfNoneMatch)) > 0 {
		return nil, entities.InvalidField(fiber.HeaderIfNoneMatch, "is for reads; a write takes If-Match")
	}
	versions, all, err := entityTags(c, fiber.HeaderIfMatch, false)
	if all {
		versions = nil
	}
	return versions, err
}

// known is what a client has of a user already.
type known struct {
	versions entities.Versions
	all      bool
}

// Accept tells whether the client has the version.
func (k known) Accept(v entities.Version) bool {
	return k.all || k.versions != nil && k.versions.Accept(v)
}

// ifNoneMatch returns the versions that the client has.
func ifNoneMatch(c fiber.Ctx) (known, error) {
	versions, all, err := entityTags(c, fiber.HeaderIfNoneMatch, true)
	return known{versions, all}, err
}

// entityTags reads a header of entity tags (RFC 9110, 8.8.3) into the versions
// they stand for; nil if there is no such header, and none for a tag that was
// never ours. A header without any tag is refused, as a condition that was lost.
// A weak tag counts only for the weak comparison, which caches may ask for.
func entityTags(c fiber.Ctx, header string, weak bool) (versions entities.Versions, all bool, err error) {
	values := c.Request().Header.PeekAll(header)
	if len(values) == 0 {
		return nil, false, nil
	}
	text := strings.TrimSpace(string(bytes.Join(values, []byte(", ")))) // it may stand several times
	if text == "*" {
		return nil, true, nil
	}
	malformed := entities.InvalidField(header, `must be * or a list of entity tags such as "3"`)
	if text == "" {
		return nil, false, malformed
	}
	versions = entities.Versions{}
	for rest := text; rest != ""; {
		tag, isWeak := strings.CutPrefix(strings.TrimLeft(rest, " \t,"), "W/")
		end := strings.IndexByte(strings.TrimPrefix(tag, `"`), '"')
		if !strings.HasPrefix(tag, `"`) || end < 0 {
			return nil, false, malformed
		}
		opaque := tag[1 : end+1]
		rest = strings.TrimLeft(tag[end+2:], " \t")
		if rest != "" && rest[0] != ',' {
			return nil, false, malformed
		}
		rest = strings.TrimLeft(rest, " \t,")
		number, parseErr := strconv.ParseInt(opaque, 10, 64)
		if parseErr == nil && strconv.FormatInt(number, 10) == opaque && (weak || !isWeak) {
			versions = append(versions, entities.Version(number))
		}
	}
	return versions, false, nil
}

// idempotencyKey returns the request's key, nil if it has none.
func idempotencyKey(c fiber.Ctx) (*entities.IdempotencyKey, error) {
	values := c.Request().Header.PeekAll(HeaderIdempotencyKey)
	switch len(values) {
	case 0:
		return nil, nil //nolint:nilnil // absent is not a failure here
	case 1:
		key, err := entities.ParseIdempotencyKey(string(values[0]))
		return &key, err
	default:
		return nil, entities.InvalidField(HeaderIdempotencyKey, "must be given once")
	}
}
