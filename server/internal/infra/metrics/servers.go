package metrics

import (
	"time"
)

// Role is what a server of a shard is asked as.
type Role uint8

// The roles. Primaries are asked through their poolers.
const (
	Primary Role = iota
	Replica
	roles
)

// String is the label's word.
func (r Role) String() string { return [...]string{"primary", "replica"}[r] }

// Outcome is what came of something that was to be asked of a server.
type Outcome uint8

// The outcomes. The last two were not sent.
const (
	Answered Outcome = iota
	Refused          // the server said no
	Late             // no answer in time
	Canceled
	Failed // no connection, or one that was cut
	GateShut
	QueueFull
	Outcomes
)

// String is the label's word.
func (o Outcome) String() string {
	return [...]string{"answered", "error", "timeout", "canceled", "failed", "gate_shut", "queue_full"}[o]
}

// Server counts what one worker asks of one server of a shard.
type Server struct{ server *server }

// Server returns what counts for a server of a shard.
func (w *Worker) Server(shard int, role Role) Server { return Server{&w.slot.servers[shard][role]} }

// Asked counts what was sent, or was to be, and how long it took, the wait for a
// connection included.
func (s Server) Asked(outcome Outcome, took time.Duration) {
	s.server.outcomes[outcome].Add(1)
	if outcome < GateShut {
		s.server.took.observe(took)
	}
}

// Waited counts how long something waited for a connection.
func (s Server) Waited(took time.Duration) { s.server.waited.observe(took) }

// Sent counts a statement by how many calls it carries.
func (s Server) Sent(calls int) { s.server.together.observe(calls) }
