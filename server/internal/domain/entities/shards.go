package entities

import "time"

// ShardCount is how many users a shard holds.
type ShardCount struct {
	Shard  string
	Users  int64
	Server string // which of the shard's counted: "primary" or "replica"
}

// ShardCounts is the users per shard, as counted at one time.
type ShardCounts struct {
	Shards    []ShardCount
	Missing   []string // the shards that were not counted, for a reader who is lenient
	CountedAt time.Time
}

// Total is the users on all shards that were counted.
func (c ShardCounts) Total() (total int64) {
	for _, s := range c.Shards {
		total += s.Users
	}
	return total
}

// Status is how well something serves.
type Status string

// The statuses, best first. A server is ok or unavailable, nothing between.
const (
	StatusOK          Status = "ok"
	StatusDegraded    Status = "degraded"
	StatusUnavailable Status = "unavailable"
)

// ShardHealth is what a look at one shard's servers found.
type ShardHealth struct {
	Shard   string
	Primary ServerHealth
	Replica *ServerHealth // nil when the shard has none
	Slot    *SlotHealth   // nil when the shard has no replica or its primary did not answer
	Lag     *int64        // bytes of WAL the replica has yet to replay; nil when unknown
}

// ServerHealth is the state of one server. Fault is in words of ours.
type ServerHealth struct {
	Status Status
	Fault  string
}

// SlotHealth is the state of the replication slot that keeps WAL for a replica.
type SlotHealth struct {
	WALStatus string // reserved, extended, unreserved, lost; or missing
	Active    bool   // a replica is streaming from it
}

// OK tells whether the replica can go on, or catch up, from the slot.
func (s SlotHealth) OK() bool {
	return s.Active && (s.WALStatus == "reserved" || s.WALStatus == "extended")
}

// Status sums the shard up: it serves as long as one of its servers does.
func (h ShardHealth) Status() Status {
	primary := h.Primary.Status == StatusOK
	replica := h.Replica == nil || h.Replica.Status == StatusOK
	switch {
	case !primary && (h.Replica == nil || !replica):
		return StatusUnavailable
	case primary && replica && (h.Slot == nil || h.Slot.OK()):
		return StatusOK
	default:
		return StatusDegraded
	}
}

// Health is the state of all shards, as seen at one time.
type Health struct {
	Shards    []ShardHealth
	CheckedAt time.Time
}

// Status is ok when every shard is, unavailable when every shard is, else degraded.
func (h Health) Status() Status {
	count := map[Status]int{}
	for _, s := range h.Shards {
		count[s.Status()]++
	}
	switch len(h.Shards) {
	case count[StatusUnavailable]:
		return StatusUnavailable
	case count[StatusOK]:
		return StatusOK
	default:
		return StatusDegraded
	}
}
