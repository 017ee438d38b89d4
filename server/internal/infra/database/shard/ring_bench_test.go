package shard

import (
	"crypto/md5"
	"testing"

	"github.com/google/uuid"
)

// BenchmarkOwner stands beside BenchmarkDigest, which is the part of it that no ring of MD5 can go without.
func BenchmarkOwner(b *testing.B) {
	r := mustRing(b, names(5))
	keys := benchKeys()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Owner(keys[i%len(keys)])
	}
}

func BenchmarkDigest(b *testing.B) {
	var digests [][]byte
	for _, key := range benchKeys() {
		digests = append(digests, []byte(key))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		md5.Sum(digests[i%len(digests)])
	}
}

// benchKeys are many, so that the search does not learn one way through the ring by heart.
func benchKeys() []string {
	keys := make([]string, 1<<12)
	for i := range keys {
		keys[i] = uuid.NewString()
	}
	return keys
}
