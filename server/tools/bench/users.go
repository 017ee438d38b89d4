package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/messenger-clone/messenger-clone-api/server/internal/bootstrap"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/primaries"
)

const usersPath = "/api/v1/users/"

// made are the addresses of users that a bench has made. The domain is reserved (RFC 2606).
const made = `bench-%@bench.invalid`

// ids are those of all users for which the condition holds, in order.
func ids(ctx context.Context, set *primaries.Set, condition string, args ...any) (list []uuid.UUID, err error) {
	each := make([][]uuid.UUID, len(set.Conns))
	g, ctx := errgroup.WithContext(ctx)
	for i, conn := range set.Conns {
		g.Go(func() error {
			rows, err := conn.Query(ctx, "SELECT id FROM users WHERE "+condition, args...)
			if err != nil {
				return err
			}
			each[i], err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	list = slices.Concat(each...)
	slices.SortFunc(list, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return list, nil
}

// removeMade removes the users that benches have made, this one or one that was killed, and their claims.
func removeMade(ctx context.Context, set *primaries.Set) error {
	var errs []error
	count := int64(0)
	for _, conn := range set.Conns {
		tag, err := conn.Exec(ctx, "DELETE FROM users WHERE email LIKE $1", made)
		errs = append(errs, err)
		count += tag.RowsAffected()
		_, err = conn.Exec(ctx, "DELETE FROM email_claims WHERE email_key LIKE $1", made)
		errs = append(errs, err)
	}
	if count > 0 {
		// Leave the tables as they were found. Left to itself, VACUUM spares the indexes where little was deleted, and each
		// first page would pass over all the newest entries anew.
		for _, conn := range set.Conns {
			_, err := conn.Exec(ctx, "VACUUM (ANALYZE, INDEX_CLEANUP ON) users, email_claims")
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// writeRecords writes texts of one length for wrk to draw from.
func writeRecords(path string, records []string) (length int, err error) {
	if len(records) == 0 {
		return 0, errors.New("there is nothing to draw from")
	}
	var b bytes.Buffer
	for _, r := range records {
		if len(r) != len(records[0]) {
			return 0, fmt.Errorf("records of different length: %q, %q", records[0], r)
		}
		b.WriteString(r)
	}
	return len(records[0]), os.WriteFile(path, b.Bytes(), 0o600)
}

func texts(list []uuid.UUID) []string {
	all := make([]string, len(list))
	for i, id := range list {
		all[i] = id.String()
	}
	return all
}

const (
	pageSize  = 20
	deepPages = 500 // that are drawn from
)

var nextCursor = regexp.MustCompile(`[?&]cursor=([^&>]+)[^>]*>; rel="next"`)

// deepCursors lead to pages around a depth of the list, as a walk would come to them; but it takes no walk of 25,000 pages to make them.
func (b *bench) deepCursors(ctx context.Context, s *server, ascending []uuid.UUID) ([]string, error) {
	var page []struct{ ID string }
	header, err := s.get(ctx, fmt.Sprintf("%s?limit=%d", usersPath, pageSize), &page)
	if err != nil {
		return nil, err
	}
	if len(page) != pageSize {
		return nil, fmt.Errorf("the first page has %d users, want %d", len(page), pageSize)
	}
	match := nextCursor.FindStringSubmatch(header.Get("Link"))
	if match == nil {
		return nil, fmt.Errorf("the first page leads to no second: Link is %q", header.Get("Link"))
	}
	text, err := url.QueryUnescape(match[1])
	if err != nil {
		return nil, err
	}
	cursors, err := bootstrap.Cursors(b.cfg)
	if err != nil {
		return nil, err
	}
	cursor, err := cursors.Read(text)
	if err != nil {
		return nil, fmt.Errorf("the cursor of the first page: %w", err)
	}
	depth := min(b.depth, len(ascending)/2)
	var list []string
	for page := range deepPages {
		at := len(ascending) - 1 - depth - page*pageSize
		if at < pageSize {
			break
		}
		cursor.After = ascending[at]
		list = append(list, cursors.Write(cursor))
	}
	return list, nil
}
