package handlers

import (
	"github.com/gofiber/fiber/v3"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
)

// Problems answers requests about the types of our problems.
type Problems struct{ pages *problems.Pages }

// NewProblems returns the handlers.
func NewProblems() *Problems { return &Problems{pages: problems.NewPages()} }

// Index answers GET /problems/.
func (h *Problems) Index(c fiber.Ctx) error { return sendPage(c, h.pages.Index()) }

// Type answers GET /problems/:slug.
func (h *Problems) Type(c fiber.Ctx) error {
	page, ok := h.pages.Find(c.Params("slug"))
	if !ok {
		return problems.NotFound.Because("there is no such type of problem; /problems/ lists them")
	}
	return sendPage(c, page)
}

// sendPage answers in the form the client likes best. A client that accepts
// none of them gets HTML: it cannot be worse off with it than with a refusal.
func sendPage(c fiber.Ctx, page problems.Page) error {
	c.Vary(fiber.HeaderAccept)
	c.Set(fiber.HeaderCacheControl, "public, max-age=3600")
	switch c.Accepts(fiber.MIMETextHTML, fiber.MIMEApplicationJSON, "text/markdown") {
	case fiber.MIMEApplicationJSON:
		return c.JSON(page.Explained)
	case "text/markdown":
		c.Set(fiber.HeaderContentType, "text/markdown; charset=utf-8")
		return c.Send(page.Markdown)
	default:
		c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
		c.Set(fiber.HeaderContentSecurityPolicy, problems.Policy)
		return c.Send(page.HTML)
	}
}
