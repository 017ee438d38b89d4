package handlers

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v3"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// HeaderAsOf states since when a user must have been there to be in the pages,
// this one and those that follow by their Links, for certain and once.
const HeaderAsOf = "As-Of"

// List answers GET /api/v1/users/, with ?email= too, which finds one user or none.
func (h *Users) List(c fiber.Ctx) error {
	query, err := readQuery(c, "limit", "offset", "cursor", "email")
	if err != nil {
		return err
	}
	if text, ok := query["email"]; ok {
		return h.listByEmail(c, text, query)
	}
	page, err := h.queryPage(query)
	if err != nil {
		return err
	}
	vary(c)
	list, err := h.svc.List(c.Context(), page)
	if err != nil {
		return err
	}
	c.Set(HeaderAsOf, timeToJSON(list.AsOf))
	stateGaps(c, list.Missing)
	if link := h.pageLinks(page, list.Next); link != "" {
		c.Set(fiber.HeaderLink, link)
	}
	return sendList(c, list.Users)
}

func (h *Users) listByEmail(c fiber.Ctx, text string, query map[string]string) error {
	email, err := entities.ParseEmail(text)
	if err != nil {
		return err
	}
	if len(query) > 1 {
		return entities.InvalidField("email", "is given alone: no more than one user has it")
	}
	u, err := h.svc.ByEmail(c.Context(), email)
	if entities.KindOf(err) == entities.NotFound {
		return sendList(c, nil)
	}
	if err != nil {
		return err
	}
	return sendList(c, []entities.User{u})
}

func sendList(c fiber.Ctx, users []entities.User) error {
	list := make([]userJSON, 0, len(users)) // an empty list is [], not null
	for _, u := range users {
		list = append(list, userToJSON(u))
	}
	return c.JSON(list)
}

// queryPage reads limit and offset, or cursor, from the query.
func (h *Users) queryPage(query map[string]string) (entities.Page, error) {
	limit, limitErr := queryNumber(query, "limit", entities.DefaultLimit)
	offset, offsetErr := queryNumber(query, "offset", 0)
	text, walks := query["cursor"]
	if !walks {
		if err := entities.JoinInvalid(limitErr, offsetErr); err != nil {
			return entities.Page{}, err
		}
		return entities.NewPage(limit, offset)
	}
	cursor, cursorErr := h.cursors.Read(text)
	if _, both := query["offset"]; both {
		offsetErr = entities.InvalidField("offset", "is given without a cursor, which says itself where the page begins")
	}
	if err := entities.JoinInvalid(limitErr, offsetErr, cursorErr); err != nil {
		return entities.Page{}, err
	}
	return entities.NewPageAfter(limit, cursor)
}

func queryNumber(query map[string]string, name string, otherwise int) (int, error) {
	text, ok := query[name]
	if !ok {
		return otherwise, nil
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0, entities.InvalidField(name, "must be a whole number")
	}
	return number, nil
}

// pageLinks is the Link header (RFC 8288) to the pages around p. The next is
// always reached by a cursor, however p was: who comes or goes meanwhile moves
// no cursor, but all offsets.
func (h *Users) pageLinks(p entities.Page, next *entities.Cursor) string {
	var links []string
	if next != nil {
		links = append(links, fmt.Sprintf(`<%s?limit=%d&cursor=%s>; rel="next"`, UsersPath, p.Limit(), h.cursors.Write(*next)))
	}
	if prev, ok := p.Prev(); ok {
		links = append(links, fmt.Sprintf(`<%s?limit=%d&offset=%d>; rel="prev"`, UsersPath, prev.Limit(), prev.Offset()))
	}
	return strings.Join(links, ", ")
}
