package main

import (
	"math/bits"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// person is a user to be, with the claim to their address.
type person struct {
	id    uuid.UUID
	name  string
	email string // in lower case, so it is its own key
	born  time.Time
	token uuid.UUID
}

// generator draws the users of a SEED. The same SEED gives the same users in the same order, however many are asked
// for, from however many shards with the same ring.
type generator struct {
	seed      uint64
	chunkSize int
	owner     func(key string) int
}

// chunk calls give for the first n users of a chunk, in the order of their ids, with the shard that each belongs to.
func (g *generator) chunk(number, n int, give func(i, shard int, p person)) {
	random := rand.New(rand.NewPCG(g.seed, uint64(number))) //nolint:gosec // must be the same every time
	for i := range n {
		index := uint64(number*g.chunkSize + i)
		c := &cultures[random.IntN(len(cultures))]
		given, family := c.given[random.IntN(len(c.given))], c.family[random.IntN(len(c.family))]
		p := person{name: c.full(given, family), email: address(random, given.spelt, family.spelt, g.tag(index))}
		earliest, latest := bornAt(index), bornAt(index+1)
		micros := earliest + random.Uint64N(latest-earliest)
		shard := g.owner(p.email)
		for { // as the server does: a user is born on the shard that owns their address
			p.id = idAt(micros, random)
			if g.owner(p.id.String()) == shard {
				break
			}
		}
		p.born = entities.CreatedAt(p.id)
		p.token = uuid.UUID(randomBytes(random))
		p.token[6], p.token[8] = p.token[6]&0x0f|0x40, p.token[8]&0x3f|0x80
		give(i, shard, p)
	}
}

// domains are reserved for examples (RFC 2606), so that no mail ever reaches anybody.
var domains = []string{"example.com", "example.org", "example.net", "mail.example.com", "post.example.org", "inbox.example.net", "web.example.com", "home.example.org"}

// address is unlike any other of the same SEED by its tag, which has a fixed length.
func address(random *rand.Rand, given, family, tag string) string {
	domain := domains[random.IntN(len(domains))]
	switch random.IntN(4) {
	case 0:
		return given + "." + family + "." + tag + "@" + domain
	case 1:
		return given[:1] + "." + family + "-" + tag + "@" + domain
	case 2:
		return family + "." + given + tag + "@" + domain
	default:
		return given + "_" + family + "+" + tag + "@" + domain
	}
}

const (
	tagBits   = 36
	tagLength = 7              // 36^7 > 2^36
	maxUsers  = 10_000_000_000 // 2^36 tags are more
)

// tag scatters the index of a user over all tags, no two to the same: an odd factor is a bijection modulo a power of two.
func (g *generator) tag(index uint64) string {
	n := (index*0x9e3779b97f4a7c15 + g.seed*0xd1342543de82ef95) & (1<<tagBits - 1)
	text := strconv.FormatUint(n, 36)
	return "0000000"[len(text):tagLength] + text
}

var (
	firstBirth = uint64(time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
	lastBirth  = uint64(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
)

// halfway is the user who is born in the middle of the time.
const halfway = 5_000_000

// bornAt is when the user of an index may be born at the earliest, in microseconds: more and more a day, as a service
// grows, and never after the last, however many there are. So ids lie in the past, and rise with the index, which keeps what
// is inserted together close together in the index of the primary key.
func bornAt(index uint64) uint64 {
	high, low := bits.Mul64(lastBirth-firstBirth, index)
	part, _ := bits.Div64(high, low, index+halfway)
	return firstBirth + part
}

// idAt draws a UUIDv7 of a moment. Its first 48 bits are milliseconds, the next 12 the rest in units of 256 ns, as in those
// that the server makes.
func idAt(micros uint64, random *rand.Rand) uuid.UUID {
	id := uuid.UUID(randomBytes(random))
	millis, rest := micros/1000, micros%1000*1000>>8
	for i := range 6 {
		id[i] = byte(millis >> (40 - 8*i))
	}
	id[6], id[7] = 0x70|byte(rest>>8), byte(rest)
	id[8] = id[8]&0x3f | 0x80
	return id
}

func randomBytes(random *rand.Rand) (b [16]byte) {
	high, low := random.Uint64(), random.Uint64()
	for i := range 8 {
		b[i], b[8+i] = byte(high>>(8*i)), byte(low>>(8*i))
	}
	return b
}
