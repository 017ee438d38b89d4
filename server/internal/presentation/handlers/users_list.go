package handlers

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v3"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// List answers GET /api/v1/users/, with ?email= too, which finds one user or none.
func (h *Users) List(c fiber.Ctx) error {
	query, err := readQuery(c, "limit", "offset", "email")
	if err != nil {
		return err
	}
	if text, ok := query["email"]; ok {
		return h.listByEmail(c, text, query)
	}
	page, err := queryPage(query)
	if err != nil {
		return err
	}
	users, more, err := h.svc.List(c.Context(), page)
	if err != nil {
		return err
	}
	if link := pageLinks(page, more); link != "" {
		c.Set(fiber.HeaderLink, link)
	}
	return sendList(c, users)
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

// queryPage reads limit and offset from the query.
func queryPage(query map[string]string) (entities.Page, error) {
	limit, limitErr := queryNumber(query, "limit", entities.DefaultLimit)
	offset, offsetErr := queryNumber(query, "offset", 0)
	if err := entities.JoinInvalid(limitErr, offsetErr); err != nil {
		return entities.Page{}, err
	}
	return entities.NewPage(limit, offset)
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

// pageLinks is the Link header (RFC 8288) to the pages around p.
func pageLinks(p entities.Page, more bool) string {
	var links []string
	link := func(to entities.Page, rel string) {
		links = append(links, fmt.Sprintf(`<%s?limit=%d&offset=%d>; rel="%s"`, UsersPath, to.Limit(), to.Offset(), rel))
	}
	if next, ok := p.Next(); ok && more {
		link(next, "next")
	}
	if prev, ok := p.Prev(); ok {
		link(prev, "prev")
	}
	return strings.Join(links, ", ")
}
