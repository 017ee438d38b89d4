package freshness

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience is how long a server may take to let the sampler in, or to answer it. A
// replica that is silent is not read from long before (see silence). To give up
// sooner would make a busy machine log in again, too, for which it needs even longer.
const patience = 3 * time.Second

// link is a connection that is made when it is needed, again after a failure.
type link struct {
	config *pgx.ConnConfig
	mode   pgx.QueryExecMode // how its one query is sent
	conn   *pgx.Conn
}

func (l *link) connect(ctx context.Context) error {
	if l.conn != nil && !l.conn.IsClosed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	config := l.config
	if others := len(config.Fallbacks); others > 0 { // a server that says nothing leaves time to ask the next
		config = config.Copy()
		config.ConnectTimeout = patience / time.Duration(1+others)
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	l.conn = conn
	return nil
}

// ask reads the one row of a query without arguments.
func (l *link) ask(ctx context.Context, query string, dest ...any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := l.conn.QueryRow(ctx, query, l.mode).Scan(dest...); err != nil {
		l.close()
		return fmt.Errorf("sample: %w", err)
	}
	return nil
}

func (l *link) close() {
	if l.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = l.conn.Close(ctx) // whether the server hears of it does not matter
	l.conn = nil
}
