package shard

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/requestlog"
)

// The servers of a shard, as answers and logs name them.
const (
	fromPrimary = "primary"
	fromReplica = "replica"
)

var errReborn = errors.New("replica is not the one that was found fresh")

// Read calls query, which reads what is stored under the key, given in its
// canonical form. It is never answered by a state older than one that was
// acknowledged, or seen, before.
//
// The replica answers if it is known to have the key's present state and is
// worth asking; that a record is absent there is final. Else, or where the
// replica fails, the primary answers. Where the primary fails, the replica is
// asked that was not worth it before, if it has the present state.
func (s *Shard) Read(ctx context.Context, key string, query func(*gorm.DB) error) error {
	return s.read(ctx, key, s.query(s.readTimeout, query))
}

// A question is what a read asks, of either of a shard's servers.
type question struct {
	primary func(context.Context) error
	replica func(context.Context, *freshness.Proof) error // the Proof may be nil
}

// query is the question that has connections of its own.
func (s *Shard) query(timeout time.Duration, query func(*gorm.DB) error) question {
	return question{
		primary: func(ctx context.Context) error { return s.primaryGate.through(ctx, s.Primary, query) },
		replica: func(ctx context.Context, proof *freshness.Proof) error {
			return s.throughReplica(ctx, timeout, proof, query)
		},
	}
}

func (s *Shard) read(ctx context.Context, key string, q question) error {
	if s.readsPrimary(ctx) {
		return s.askPrimary(ctx, q)
	}
	proof, fresh := s.table.MayRead(s.index, key)
	if !fresh {
		return s.askPrimary(ctx, q)
	}
	_, err := s.readEither(ctx, s.readTimeout, &proof, q)
	return err
}

// readSince asks what is about no key in particular, such as for a page of a
// list. It is answered by a state no older than since; the zero Moment asks
// for nothing. It returns the Moment that the answer is at least as new as:
// whatever could be seen before is in it.
func (s *Shard) readSince(ctx context.Context, since entities.Moment, q question) (has entities.Moment, err error) {
	present := s.table.Now()
	if s.readsPrimary(ctx) {
		return present, s.askPrimary(ctx, q)
	}
	// Before the query: what is known of the replica then, it still has when it answers.
	proof, has, fresh := s.table.MayReadSince(s.index, since)
	if !fresh {
		return present, s.askPrimary(ctx, q)
	}
	_, err = s.readEither(ctx, s.readTimeout, &proof, q)
	return has, err
}

func (s *Shard) readsPrimary(ctx context.Context) bool {
	return s.Replica == nil || repositories.IsStrong(ctx)
}

// ReadPrimary calls query with the primary's connections, for a read that what
// follows depends on.
func (s *Shard) ReadPrimary(ctx context.Context, query func(*gorm.DB) error) error {
	return s.askPrimary(ctx, s.query(s.readTimeout, query))
}

func (s *Shard) askPrimary(ctx context.Context, q question) error {
	err := q.primary(ctx)
	if isAnswer(err) {
		requestlog.From(ctx).Served(s.Name, fromPrimary)
	}
	return err
}

// ReadAny calls query, which is about no key in particular, such as a count, and
// may take the replica longer than usual. It may be answered by a state as old
// as the replica is. It tells which server answered.
func (s *Shard) ReadAny(ctx context.Context, timeout time.Duration, query func(*gorm.DB) error) (from string, err error) {
	if s.readsPrimary(ctx) {
		return fromPrimary, s.ReadPrimary(ctx, query)
	}
	return s.readEither(ctx, timeout, nil, s.query(timeout, query))
}

// readEither asks the replica, if it is worth asking, or where it fails the
// primary; and else, first the primary, then the replica that was not worth it.
func (s *Shard) readEither(ctx context.Context, timeout time.Duration, proof *freshness.Proof, q question) (from string, err error) {
	if s.table.Serves(s.index, s.maxLag) {
		err := s.askReplica(ctx, proof, q)
		if isAnswer(err) || ctx.Err() != nil {
			return fromReplica, err
		}
		requestlog.From(ctx).Fallback(err.Error())
		return fromPrimary, s.askPrimary(ctx, q)
	}
	err = s.primaryGate.within(ctx, timeout, func(ctx context.Context) error { return s.askPrimary(ctx, q) })
	if isAnswer(err) || ctx.Err() != nil {
		return fromPrimary, err
	}
	return fromReplica, s.askReplica(ctx, proof, q) // late, but there
}

func (s *Shard) askReplica(ctx context.Context, proof *freshness.Proof, q question) error {
	err := q.replica(ctx, proof)
	if isAnswer(err) {
		requestlog.From(ctx).Served(s.Name, fromReplica)
	}
	return err
}

// throughReplica calls query with a connection that leads to where the proof,
// if there is one, was made for.
func (s *Shard) throughReplica(ctx context.Context, timeout time.Duration, proof *freshness.Proof, query func(*gorm.DB) error) error {
	return s.replicaGate.within(ctx, timeout, func(ctx context.Context) error {
		return s.replicaGate.through(ctx, s.Replica, func(db *gorm.DB) error {
			if proof != nil {
				replica, err := leads(db)
				switch {
				case err != nil:
					return err
				case !proof.Allows(replica):
					return errReborn
				}
			}
			return query(db)
		})
	})
}

// leads tells which life of the replica the connection leads to.
func leads(db *gorm.DB) (freshness.Incarnation, error) {
	conn, ok := db.Statement.ConnPool.(*sql.Conn)
	if !ok {
		return 0, fmt.Errorf("read over a %T, not a connection", db.Statement.ConnPool)
	}
	return freshness.Leads(conn)
}

// isAnswer tells what a server found from its failure to look.
func isAnswer(err error) bool { return err == nil || errors.Is(err, gorm.ErrRecordNotFound) }
