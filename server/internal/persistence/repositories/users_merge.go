package repositories

import "bytes"

// part is what is known of one shard's users: the newest of them, or of those
// after a cursor.
type part struct {
	users []userRow
	whole bool // there are no more
}

// newestFirst is the list's order: by id, which is by creation.
func newestFirst(a, b *userRow) int { return bytes.Compare(b.ID[:], a.ID[:]) }

// mergeNewestFirst merges the parts, each newest first, and returns up to take
// rows of the result after the first skip. Where it takes more of some parts to
// go on, it returns which, and how many rows are still needed.
func mergeNewestFirst(parts []part, skip, take int) (merged []userRow, short []int, lacks int) {
	merged = make([]userRow, 0, take)
	next := make([]int, len(parts))
	for lacks = skip + take; lacks > 0; lacks-- {
		head := -1
		for i, p := range parts {
			switch {
			case next[i] == len(p.users):
				if !p.whole {
					short = append(short, i)
				}
			case head < 0 || newestFirst(&p.users[next[i]], &parts[head].users[next[head]]) < 0:
				head = i
			}
		}
		if len(short) > 0 || head < 0 {
			return merged, short, lacks
		}
		if lacks <= take {
			merged = append(merged, parts[head].users[next[head]])
		}
		next[head]++
	}
	return merged, nil, 0
}
