package repositoriestest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// Fake is a Store in memory, of a single shard. It passes the same suite as
// the real one, so tests of the layers above may stand on it.
type Fake struct {
	mu    sync.Mutex
	users map[uuid.UUID]entities.User
	once  map[entities.Hash]record
}

// record is what was asked for under an idempotency key. It never expires.
type record struct {
	request entities.Hash
	user    entities.User
	done    bool
}

var _ Store = (*Fake)(nil)

// NewFake returns an empty Fake.
func NewFake() *Fake {
	return &Fake{users: make(map[uuid.UUID]entities.User), once: make(map[entities.Hash]record)}
}

// NewID returns an id for a new user.
func (f *Fake) NewID(entities.Email) (uuid.UUID, error) { return uuid.NewV7() }

// Create implements repositories.Users.
func (f *Fake) Create(ctx context.Context, u entities.User) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.create(ctx, u)
}

// CreateOnce implements repositories.Users.
func (f *Fake) CreateOnce(ctx context.Context, u entities.User, once entities.Once) (created entities.User, before bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	known, ok := f.once[once.Key]
	switch {
	case ok && known.request != once.Request:
		return entities.User{}, false, &entities.Error{
			Kind: entities.KeyReused, Message: "this Idempotency-Key was sent with another body before; draw a new key for a new request",
		}
	case known.done:
		return known.user, true, nil
	case !ok:
		known = record{request: once.Request, user: u}
	}
	err = f.create(ctx, known.user)
	known.done = err == nil
	f.once[once.Key] = known
	return known.user, false, err
}

// ByID implements repositories.Users.
func (f *Fake) ByID(ctx context.Context, id uuid.UUID) (entities.User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byID(ctx, id)
}

// ByEmail implements repositories.Users.
func (f *Fake) ByEmail(ctx context.Context, email entities.Email) (entities.User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := available(ctx); err != nil {
		return entities.User{}, err
	}
	for _, u := range f.users {
		if u.Email.Key() == email.Key() {
			return u, nil
		}
	}
	return entities.User{}, &entities.Error{Kind: entities.NotFound, Message: "no user has this e-mail address"}
}

// Update implements repositories.Users.
func (f *Fake) Update(ctx context.Context, id uuid.UUID, c entities.Changes, match entities.Versions, now time.Time) (entities.User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	u, err := f.match(ctx, id, match)
	if err != nil {
		return entities.User{}, err
	}
	if c.Name != nil {
		u.Name = *c.Name
	}
	if c.Email != nil {
		u.Email = *c.Email
	}
	if f.taken(u) {
		return entities.User{}, &entities.Error{Kind: entities.Conflict, Message: "the e-mail address is taken"}
	}
	u.UpdatedAt = now
	u.Version++
	f.users[id] = u
	return u, nil
}

// Delete implements repositories.Users.
func (f *Fake) Delete(ctx context.Context, id uuid.UUID, match entities.Versions) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.match(ctx, id, match); err != nil {
		return err
	}
	delete(f.users, id)
	return nil
}

// ListAcross implements repositories.Users.
func (f *Fake) ListAcross(ctx context.Context, p entities.Page) (entities.List, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := available(ctx); err != nil {
		return entities.List{}, err
	}
	cursor := entities.Cursor{Since: entities.Moment{Clock: 1, Time: time.Now().UnixMicro()}, AsOf: time.Now().UTC().Truncate(time.Microsecond)}
	if after := p.After(); after != nil {
		cursor = *after
	}
	all := make([]entities.User, 0, len(f.users))
	for _, u := range f.users {
		if p.After() == nil || bytes.Compare(u.ID[:], cursor.After[:]) < 0 {
			all = append(all, u)
		}
	}
	slices.SortFunc(all, func(a, b entities.User) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	from, to := min(p.Offset(), len(all)), min(p.Offset()+p.Limit(), len(all))
	list := entities.List{Users: all[from:to], AsOf: cursor.AsOf}
	if to < len(all) {
		cursor.After = all[to-1].ID
		list.Next = &cursor
	}
	return list, nil
}

// CountPerShard implements repositories.Users.
func (f *Fake) CountPerShard(ctx context.Context) (entities.ShardCounts, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := available(ctx); err != nil {
		return entities.ShardCounts{}, err
	}
	return entities.ShardCounts{Shards: []entities.ShardCount{{Shard: "shard-0", Users: int64(len(f.users)), Server: "primary"}}}, nil
}

func (f *Fake) create(ctx context.Context, u entities.User) error {
	if err := available(ctx); err != nil {
		return err
	}
	if f.taken(u) {
		return &entities.Error{Kind: entities.Conflict, Message: "the e-mail address is taken"}
	}
	f.users[u.ID] = u
	return nil
}

func (f *Fake) match(ctx context.Context, id uuid.UUID, match entities.Versions) (entities.User, error) {
	u, err := f.byID(ctx, id)
	if err == nil && !match.Accept(u.Version) {
		err = &entities.Error{Kind: entities.PreconditionFailed, Message: "the user has changed since the version in If-Match"}
	}
	return u, err
}

func (f *Fake) byID(ctx context.Context, id uuid.UUID) (entities.User, error) {
	if err := available(ctx); err != nil {
		return entities.User{}, err
	}
	u, ok := f.users[id]
	if !ok {
		return entities.User{}, &entities.Error{Kind: entities.NotFound, Message: "no user has this id", Err: errors.New("absent")}
	}
	return u, nil
}

func (f *Fake) taken(u entities.User) bool {
	for _, other := range f.users {
		if other.ID != u.ID && other.Email.Key() == u.Email.Key() {
			return true
		}
	}
	return false
}

func available(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return &entities.Error{Kind: entities.Unavailable, Message: "shard-0 does not answer", Shards: []string{"shard-0"}, Err: err}
	}
	return nil
}
