package live

import (
	"fmt"
	"math"
)

// ring is how the keys are spread, as a ring.
type ring struct {
	Arcs   []arc
	Middle string
	Label  string // for who does not see it
}

// arc is a shard's part. A whole turn is 100.
type arc struct {
	Name, Short    string
	Color          int
	State          severity
	Length, Offset string
	X, Y           string // of the name
	Named          bool
}

// gap is between two arcs.
const gap = 0.8

func newRing(m *moment) ring {
	r := ring{Label: "The ring:"}
	begin, well := 0.0, 0
	for i := range m.shards {
		s := &m.shards[i]
		state, _ := s.effect(len(m.shards))
		if len(s.serverTroubles(len(m.shards), len(m.workers))) == 0 {
			state = fine
			well++
		}
		share := 100 * s.share
		if math.IsNaN(share) {
			continue
		}
		middle := 2 * math.Pi * (begin + share/2) / 100
		r.Arcs = append(r.Arcs, arc{
			Name: s.name, Short: fmt.Sprint(i), Color: i % colors, State: state, Named: share > 4,
			Length: fmt.Sprintf("%.2f %.2f", max(share-gap, 0.1), 100-max(share-gap, 0.1)), Offset: fmt.Sprintf("%.2f", -begin-gap/2),
			X: fmt.Sprintf("%.1f", 40*math.Sin(middle)), Y: fmt.Sprintf("%.1f", -40*math.Cos(middle)),
		})
		r.Label += fmt.Sprintf(" %s %s,", s.name, percent(s.share))
		begin += share
	}
	r.Middle = fmt.Sprintf("%d of %d", well, len(m.shards))
	r.Label += " " + r.Middle + " shards are whole."
	return r
}
