package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"mime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bytedance/sonic"
	"github.com/gofiber/fiber/v3"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
)

// JSON is the codec of every body: sonic, told not to keep or pass on parts of
// a request's buffer (CopyString) and to refuse what is not JSON inside of
// strings, which its default would let through (ValidateString).
var JSON = sonic.Config{CopyString: true, ValidateString: true, DisallowUnknownFields: true}.Froze()

// Warm makes sonic compile the codecs of our bodies, so that no request waits
// for it. Each process does so once.
func Warm() error {
	var raw map[string]json.RawMessage
	var text *string
	errs := []error{JSON.Unmarshal([]byte(`{"name":"Ada"}`), &raw), JSON.Unmarshal([]byte(`"Ada"`), &text)}
	for _, body := range []any{userJSON{}, []userJSON{{}}, statsJSON{}, healthJSON{}, problems.Body{}} {
		_, err := JSON.Marshal(body)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// timeFormat is RFC 3339 in UTC with all six digits the database keeps, so that
// times sort as text.
const timeFormat = "2006-01-02T15:04:05.000000Z07:00"

func timeToJSON(t time.Time) string { return t.UTC().Format(timeFormat) }

// readFields reads a body that must be a JSON object of strings, whose names
// must be among the known ones. It reports all that is wrong at once.
func readFields(c fiber.Ctx, known ...string) (map[string]string, error) {
	if err := checkContent(c); err != nil {
		return nil, err
	}
	var raw map[string]json.RawMessage
	body := c.BodyRaw()
	// sonic would put U+FFFD where the text is no UTF-8. Its errors quote the
	// input and stay here.
	if !utf8.Valid(body) || JSON.Unmarshal(body, &raw) != nil || raw == nil {
		return nil, problems.MalformedBody.Because(`the body must be a JSON object such as {"name": "Ada"}`)
	}
	fields := make(map[string]string, len(raw))
	var errs []error
	if members(body) != len(raw) {
		errs = repeated(body)
	}
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		var text *string
		switch {
		case !slices.Contains(known, name):
			errs = append(errs, unknownField(name, known))
		case JSON.Unmarshal(raw[name], &text) != nil || text == nil:
			errs = append(errs, entities.InvalidField(name, "must be a well-formed string"))
		default:
			fields[name] = *text
		}
	}
	return fields, entities.JoinInvalid(errs...)
}

// members counts the members of a well-formed JSON object. sonic, as most
// others, would take the last of several with one name without a word.
func members(object []byte) (count int) {
	depth, inString := 0, false
	for i := 0; i < len(object); i++ {
		switch char := object[i]; {
		case inString && char == '\\':
			i++ // what is escaped ends no string
		case char == '"':
			inString = !inString
		case inString:
		case char == '{', char == '[':
			depth++
		case char == '}', char == ']':
			depth--
		case char == ':' && depth == 1:
			count++
		}
	}
	return count
}

// repeated finds the names that stand more than once in a well-formed JSON object.
func repeated(object []byte) (errs []error) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	_, err := decoder.Token() // the brace
	seen := make(map[string]int)
	for err == nil && decoder.More() {
		var token json.Token
		if token, err = decoder.Token(); err != nil {
			break
		}
		name, _ := token.(string)
		if seen[name]++; seen[name] == 2 {
			errs = append(errs, entities.InvalidField(printable(name), "must be given once"))
		}
		var skipped json.RawMessage
		err = decoder.Decode(&skipped)
	}
	return errs
}

// checkContent answers 415 to what is not plain JSON. A compressed body could
// be far larger than it looks to the body limit.
func checkContent(c fiber.Ctx) error {
	if encoding := c.Get(fiber.HeaderContentEncoding); encoding != "" && encoding != "identity" {
		c.Set(fiber.HeaderAcceptEncoding, "identity")
		return problems.UnsupportedMediaType.Because("the body must not be compressed")
	}
	media, params, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	charset := params["charset"]
	if err != nil || media != fiber.MIMEApplicationJSON || charset != "" && !strings.EqualFold(charset, "utf-8") {
		c.Set(fiber.HeaderAccept, fiber.MIMEApplicationJSON)
		return problems.UnsupportedMediaType.Because("Content-Type must be application/json")
	}
	return nil
}

// printable keeps a name that a client made up from filling the answer.
func printable(name string) string {
	const most = 64
	name = strings.ToValidUTF8(name, "\uFFFD")
	if runes := []rune(name); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return name
}
