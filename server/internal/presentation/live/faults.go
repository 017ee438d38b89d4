package live

import (
	"fmt"
	"slices"
)

// severity is how bad something is.
type severity int

const (
	fine severity = iota
	warning
	fault // something is refused, or fails
)

// String is its word, and the class of what shows it.
func (s severity) String() string { return [...]string{"fine", "warning", "fault"}[s] }

// trouble is something that is not as it is to be. What it is called does not change
// while it lasts; what comes of it may.
type trouble struct {
	severity

	what  string
	works string // what comes of it, and what works on
}

// What counts as trouble. Prometheus' alerts (monitoring/rules.yml) go by the same,
// and wait for a while before they say so.
const (
	failing   = 0.01 // of the requests
	saturated = 0.9  // of a pool's connections
	tooLong   = 1    // seconds that a client of PgBouncer waits
	retaining = 0.5  // of the log that may be kept for a replica
)

// troubles are those of the newest moment, the worst first.
func (h *history) troubles() []trouble {
	m := h.newest()
	all := m.workerTroubles()
	for i := range m.shards {
		s := &m.shards[i]
		found := s.serverTroubles(len(m.shards), len(m.workers))
		if len(found) == 0 {
			found = s.replicaTroubles()
		}
		all = append(append(all, found...), h.loadTroubles(i)...)
	}
	if now := h.total(); now.failed > failing*now.rate {
		all = append(all, trouble{
			fault, "Requests fail",
			fmt.Sprintf("%s of %s requests a second are answered with a status of 500 or higher.", rate(now.failed), rate(now.rate)),
		})
	}
	slices.SortStableFunc(all, func(a, b trouble) int { return int(b.severity) - int(a.severity) })
	return all
}

func (m *moment) workerTroubles() (all []trouble) {
	serving := 0
	for i := range m.workers {
		if m.workers[i].phase == "serving" {
			serving++
		}
	}
	for i := range m.workers {
		w := &m.workers[i]
		if w.phase != "silent" || w.deaths == 0 && !(w.goroutines > 0) { // which has yet to tell something
			continue
		}
		t := trouble{fault, fmt.Sprintf("Worker %d tells nothing", i), ""}
		if serving == 0 {
			t.works = "No worker serves: nothing is answered but this port."
		} else {
			t.works = fmt.Sprintf("It hangs or has died, and is replaced then; its requests were cut or wait. %d of %d workers serve.", serving, len(m.workers))
		}
		all = append(all, t)
	}
	return all
}

// up finds the shard's database of a role that answers; nil if none does.
func (s *shardAt) up(role string) *serverAt {
	for i := range s.servers {
		if s.servers[i].up && s.servers[i].role == role {
			return &s.servers[i]
		}
	}
	return nil
}

// effect says what becomes of a shard's requests.
func (s *shardAt) effect(shards int) (worst severity, works string) {
	writes := s.up("primary") != nil && s.pooler.up != 0
	// What a replica had when its primary went away, it still has.
	reads := s.up("replica") != nil && (s.serves == 1 || !writes)
	others := ""
	if shards > 1 {
		others = " The other shards work on."
	}
	switch {
	case writes && reads:
		return warning, "Reads and writes work."
	case writes:
		return warning, "Its reads go to the primary: nothing fails."
	case reads:
		return fault, "Its writes are refused (503). Its reads go to the replica, as far as that is known to be up to date." + others
	default:
		part := ""
		if shards > 1 {
			part = fmt.Sprintf(", %s of all,", percent(s.share))
		}
		return fault, fmt.Sprintf("Its users%s can be neither read nor changed (503).", part) + others
	}
}

// serverTroubles are those of databases and poolers that do not answer.
func (s *shardAt) serverTroubles(shards, workers int) (all []trouble) {
	worst, works := s.effect(shards)
	add := func(what string, args ...any) {
		all = append(all, trouble{worst, fmt.Sprintf(what, args...), works})
	}
	down := 0
	for _, one := range s.servers {
		if !one.up {
			down++
		}
	}
	switch {
	case down > 0 && down == len(s.servers):
		add("No database of %s answers", s.name)
	default:
		for _, one := range s.servers {
			if !one.up {
				add("%s’s %s does not answer", s.name, one.role)
			}
		}
		if down == 0 && len(s.servers) > 0 && s.up("primary") == nil {
			add("%s has no primary", s.name)
		}
	}
	if s.pooler.up == 0 {
		add("%s’s PgBouncer does not answer", s.name)
	}
	if len(all) > 0 {
		return all
	}
	for side, word := range []string{primary: "primary", replica: "replica"} {
		if n := s.sides[side].shut; n > 0 {
			all = append(all, trouble{
				fault, fmt.Sprintf("%s’s %s is not asked by all workers", s.name, word),
				fmt.Sprintf("It answers this port, but did not answer %g of %d workers: these refuse or go elsewhere, and look again all the time.", n, workers),
			})
			if side == replica {
				all[len(all)-1].severity = warning
			}
		}
	}
	return all
}

// replicaTroubles are those of a replica that answers.
func (s *shardAt) replicaTroubles() (all []trouble) {
	add := func(severity severity, works, what string) {
		all = append(all, trouble{severity, fmt.Sprintf(what, s.name), works})
	}
	if s.up("replica") == nil {
		return nil
	}
	switch {
	case s.slotLost == 1:
		add(fault, "Its reads go to the primary. What it needs is no longer kept: it has to be cloned again (make up).", "%s’s replica is lost")
	case s.slotActive == 0:
		add(warning, fmt.Sprintf("It is %s behind: too far behind, its reads go to the primary. The log it needs is kept for it meanwhile.", seconds(s.lag)), "%s’s replica does not stream from its primary")
	case s.serves == 0:
		add(warning, fmt.Sprintf("It is %s behind: its reads go to the primary until it has caught up. Nothing fails.", seconds(s.lag)), "%s’s replica is too far behind")
	}
	if s.retained > retaining*s.most {
		add(warning, fmt.Sprintf("%s of at most %s are kept. Beyond that, the replica has to be cloned again.", size(s.retained), size(s.most)), "%s keeps much log for its replica")
	}
	return all
}

// loadTroubles are those of a shard that is asked for too much.
func (h *history) loadTroubles(i int) (all []trouble) {
	s, before := &h.newest().shards[i], &h.before().shards[i]
	for side, word := range []string{primary: "primary", replica: "replica"} {
		to := s.sides[side]
		if n := h.rate(to.refused, before.sides[side].refused); n > 0 {
			all = append(all, trouble{fault, fmt.Sprintf("%s’s %s is asked for more than it can do", s.name, word), rate(n) + " requests a second are refused (503), so that the others are answered in time."})
		}
		if to.limit > 0 && to.busy >= saturated*to.limit {
			all = append(all, trouble{
				warning, fmt.Sprintf("Connections to %s’s %s are nearly all busy", s.name, word),
				fmt.Sprintf("%g of %g. Requests wait for their turn; if it lasts, some are refused.", to.busy, to.limit),
			})
		}
	}
	if s.pooler.wait > tooLong {
		all = append(all, trouble{warning, fmt.Sprintf("Clients of %s’s PgBouncer wait", s.name), fmt.Sprintf("%g wait for a connection to the primary, one of them for %s.", s.pooler.waiting, seconds(s.pooler.wait))})
	}
	return all
}
