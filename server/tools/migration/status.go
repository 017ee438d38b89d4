package main

import (
	"context"
	"errors"
	"fmt"
)

// status shows what each shard stands at. It takes no lock, so it also answers while another run is at work.
func (t *tool) status(ctx context.Context) error {
	states := t.look(ctx)
	t.con.out.printf("%s", t.table(states))

	var errs []error
	for _, s := range states {
		if s.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.shard.Name, s.err))
		}
	}
	return errors.Join(errs...)
}
