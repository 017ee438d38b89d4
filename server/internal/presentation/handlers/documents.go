package handlers

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"github.com/gofiber/fiber/v3"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/contract"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/docs"
)

// Documents answers requests for what the API says of itself.
type Documents struct{ contract, page func() (file, error) }

// NewDocuments returns the handlers. The documents are made when somebody first
// asks for them: that takes a while, and workers start often.
func NewDocuments() *Documents {
	return &Documents{
		contract: sync.OnceValues(func() (file, error) {
			document, err := contract.Load()
			return newFile(document.JSON), err
		}),
		page: sync.OnceValues(func() (file, error) {
			document, err := contract.Load()
			if err != nil {
				return file{}, err
			}
			page, err := docs.Page(document)
			return newFile(page), err
		}),
	}
}

// Contract answers GET /openapi.json.
func (h *Documents) Contract(c fiber.Ctx) error {
	document, err := h.contract()
	if err != nil {
		return err
	}
	return document.send(c, fiber.MIMEApplicationJSONCharsetUTF8)
}

// Page answers GET /docs.
func (h *Documents) Page(c fiber.Ctx) error {
	page, err := h.page()
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentSecurityPolicy, docs.Policy)
	return page.send(c, fiber.MIMETextHTMLCharsetUTF8)
}

// file is something that clients may keep, and ask whether it is still so.
type file struct {
	content []byte
	tag     string
}

func newFile(content []byte) file {
	sum := sha256.Sum256(content)
	return file{content: content, tag: `"` + hex.EncodeToString(sum[:16]) + `"`}
}

func (f file) send(c fiber.Ctx, media string) error {
	c.Set(fiber.HeaderETag, f.tag)
	c.Set(fiber.HeaderCacheControl, "no-cache") // that is: ask each time, with the tag
	if c.Fresh() {
		c.Status(fiber.StatusNotModified)
		return nil
	}
	c.Set(fiber.HeaderContentType, media)
	return c.Send(f.content)
}
