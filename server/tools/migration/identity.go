package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// identity is what a shard says of itself.
type identity struct {
	shard.Identity
	cluster string // empty when nothing is written there yet
	table   bool   // whether there is a place to write it
}

// checkIdentities refuses shards that are not who the settings say, or not all
// of one cluster. Those that say nothing yet pass.
func (t *tool) checkIdentities(ctx context.Context, primaries []*primary) error {
	_, _, err := t.identities(ctx, primaries)
	return err
}

// identities asks every shard, and returns the cluster's id if any has it.
func (t *tool) identities(ctx context.Context, primaries []*primary) (found []identity, cluster string, err error) {
	want, err := t.wanted()
	if err != nil {
		return nil, "", err
	}
	found = make([]identity, len(primaries))
	if err := t.onEvery(ctx, func(ctx context.Context, i int) (err error) {
		found[i], err = primaries[i].identity(ctx)
		return err
	}); err != nil {
		return nil, "", err
	}
	var problems []error
	for i, f := range found {
		switch {
		case f.cluster == "":
		case cluster == "":
			cluster = f.cluster
			problems = append(problems, want[i].Match(f.Identity))
		case f.cluster != cluster:
			problems = append(problems, fmt.Errorf("%s at %s is of another cluster (%s) than the shards before it (%s): correct %s",
				want[i].Name, primaries[i].addr(), f.cluster, cluster, addrVariable(primaries[i].shard)))
		default:
			problems = append(problems, want[i].Match(f.Identity))
		}
	}
	return found, cluster, errors.Join(problems...)
}

// wanted is who the settings say that the shards of this run are.
func (t *tool) wanted() ([]shard.Identity, error) {
	names := make([]string, 0, len(t.cfg.Shards))
	for _, s := range t.cfg.Shards {
		names = append(names, s.Name)
	}
	list, err := shard.Identities(names)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(id shard.Identity) bool {
		return !slices.ContainsFunc(t.shards, func(s config.Shard) bool { return s.Name == id.Name })
	}), nil
}

// writeIdentities has every shard that does not know it yet write down who it is, once.
func (t *tool) writeIdentities(ctx context.Context, primaries []*primary) error {
	found, cluster, err := t.identities(ctx, primaries)
	if err != nil {
		return err
	}
	if cluster == "" {
		cluster = uuid.NewString()
	}
	want, err := t.wanted()
	if err != nil {
		return err
	}
	return t.onEvery(ctx, func(ctx context.Context, i int) error {
		if !found[i].table || found[i].cluster != "" {
			return nil
		}
		return primaries[i].writeIdentity(ctx, cluster, want[i])
	})
}

func (p *primary) identity(ctx context.Context) (found identity, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.set.ConnectTimeout)
	defer cancel()
	var epoch int64 // connecting has compared it
	err = p.conn.QueryRow(ctx, shard.IdentityQuery, pgx.QueryExecModeExec).
		Scan(&found.cluster, &found.Name, &found.Index, &found.Shards, &found.VirtualNodes, &found.RingChecksum, &epoch)
	switch {
	case isCode(err, undefinedTable):
		return identity{}, nil
	case errors.Is(err, pgx.ErrNoRows):
		return identity{table: true}, nil
	case err != nil:
		return identity{}, fmt.Errorf("who is it: %w", explain(err, ""))
	}
	found.table = true
	return found, nil
}

// writeIdentity writes the row and lets the server read it only.
func (p *primary) writeIdentity(ctx context.Context, cluster string, id shard.Identity) error {
	ctx, cancel := context.WithTimeout(ctx, p.set.ConnectTimeout)
	defer cancel()
	err := pgx.BeginFunc(ctx, p.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO `+identityTable+` (cluster_id, shard_name, shard_index, shard_count, virtual_nodes, ring_checksum)
			VALUES ($1, $2, $3, $4, $5, $6)`, pgx.QueryExecModeExec, cluster, id.Name, id.Index, id.Shards, id.VirtualNodes, id.RingChecksum); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "REVOKE INSERT, UPDATE, DELETE ON "+identityTable+" FROM "+pgx.Identifier{p.api}.Sanitize())
		return err
	})
	if err != nil {
		return fmt.Errorf("write who it is: %w", explain(err, ""))
	}
	return nil
}
