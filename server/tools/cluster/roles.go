package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Ports and folders stay with the instances; roles move between them (make failover). Which
// instance is a shard's primary stands in the data folders and nowhere else: a server
// comes up as a standby where there is a standby.signal, and takes writes where there is none.

// madePrimaries are the instances as they were made, before any failover.
func (c *cluster) madePrimaries() []instance {
	var list []instance
	for i, s := range c.cfg.Shards {
		list = append(list, instance{name: s.Name, shard: i, addr: s.Primary})
	}
	return list
}

func (c *cluster) madeReplicas() []instance {
	var list []instance
	for i, s := range c.cfg.Shards {
		if s.Replica != "" {
			list = append(list, instance{name: s.Name + replicaSuffix, shard: i, replica: true, addr: s.Replica})
		}
	}
	return list
}

const replicaSuffix = "-replica"

// instances are all of them, in the order they are shown.
func (c *cluster) instances() []instance { return append(c.madePrimaries(), c.madeReplicas()...) }

// primaries has each shard's primary.
func (c *cluster) primaries() []instance {
	list := c.madePrimaries()
	for _, other := range c.madeReplicas() {
		if c.isPromoted(list[other.shard], other) {
			other.replica = false
			list[other.shard] = other
		}
	}
	return list
}

// replicas has the replica of each shard that has one.
func (c *cluster) replicas() []instance {
	first := c.madePrimaries()
	list := c.madeReplicas()
	for n, i := range list {
		if c.isPromoted(first[i.shard], i) {
			list[n] = first[i.shard]
			list[n].replica = true
		}
	}
	return list
}

// isPromoted tells whether a shard's second instance is its primary.
func (c *cluster) isPromoted(first, second instance) bool {
	switch {
	case c.isStandby(first):
		return !c.isStandby(second) // it takes writes, or is lost
	case c.isStandby(second):
		return false
	}
	// Where both would take writes, one of them is there that should not be. The other was promoted later. A folder that is gone has no timeline.
	return timeline(c.dataDir(second)) > timeline(c.dataDir(first))
}

func (c *cluster) isStandby(i instance) bool {
	return fileExists(filepath.Join(c.dataDir(i), standbySignal))
}

// wouldTakeWrites tells whether the instance has data and comes up as a primary.
func (c *cluster) wouldTakeWrites(i instance) bool {
	return fileExists(filepath.Join(c.dataDir(i), "PG_VERSION")) && !c.isStandby(i)
}

const standbySignal = "standby.signal"

// timeline reads which one the last checkpoint in a data folder is of: each promotion
// begins another. 0 stands for a folder that cannot be read.
func timeline(dir string) uint32 {
	text, err := readControl(dir)
	if err != nil {
		return 0
	}
	return binary.NativeEndian.Uint32(text[48:])
}

// shutdownCheckpoint reads where the checkpoint begins by which a primary ended, the last record in its
// log. It is not clean if it ended otherwise, or runs.
func shutdownCheckpoint(dir string) (position string, clean bool) {
	const shutDown = 1 // DB_SHUTDOWNED; a standby has a value of its own
	text, err := readControl(dir)
	if err != nil || binary.NativeEndian.Uint32(text[16:]) != shutDown {
		return "", false
	}
	at := binary.NativeEndian.Uint64(text[32:])
	return fmt.Sprintf("%X/%X", at>>32, uint32(at)), true
}

// readControl reads the beginning of a data folder's control file. Everything there lies at a fixed place
// (see systemIdentifier): the state at 16, the last checkpoint's position at 32 and its timeline at 48.
func readControl(dir string) ([]byte, error) {
	f, err := os.Open(filepath.Join(dir, "global", "pg_control"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text := make([]byte, 52)
	_, err = io.ReadFull(f, text)
	return text, err
}

// program is what supervisord calls the instance. Its groups stay as they were made.
func (i instance) program() string {
	if len(i.name) > len(replicaSuffix) && i.name[len(i.name)-len(replicaSuffix):] == replicaSuffix {
		return "replicas:" + i.name
	}
	return "primaries:" + i.name
}

func programs(list []instance) (names []string) {
	for _, i := range list {
		names = append(names, i.program())
	}
	return names
}
