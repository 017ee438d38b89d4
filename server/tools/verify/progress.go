package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// progress counts the rows that were read.
type progress struct {
	began time.Time
	rows  []atomic.Int64
}

func newProgress(shards int) *progress {
	return &progress{began: time.Now(), rows: make([]atomic.Int64, shards)}
}

func (p *progress) add(shard, rows int) { p.rows[shard].Add(int64(rows)) }

// show prints every second how far the scan is: over itself in a terminal,
// else not at all until stop, which prints the sum.
func (p *progress) show(w io.Writer, terminal bool) (stop func()) {
	back := ""
	if terminal {
		back = "\r"
	}
	line := func(end string) {
		var total int64
		for i := range p.rows {
			total += p.rows[i].Load()
		}
		seconds := time.Since(p.began).Seconds()
		fmt.Fprintf(w, "%sread %d users and claims, %.0f a second, in %.1f s%s", back, total, float64(total)/seconds, seconds, end)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		if !terminal {
			<-done
			return
		}
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				line("")
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		line("\n")
	}
}
