package basebackup

import (
	"fmt"
	"strconv"
	"strings"
)

// LSN is a position in the write-ahead log. In text it is written as PostgreSQL writes it: 0/16B3748.
type LSN uint64

func parseLSN(text string) (LSN, error) {
	high, low, found := strings.Cut(text, "/")
	h, err := strconv.ParseUint(high, 16, 32)
	l, lowErr := strconv.ParseUint(low, 16, 32)
	if !found || err != nil || lowErr != nil {
		return 0, fmt.Errorf("%q is no WAL position", text)
	}
	return LSN(h<<32 | l), nil
}

func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint64(l)>>32, uint64(l)&0xffffffff) }

// MarshalText implements encoding.TextMarshaler.
func (l LSN) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *LSN) UnmarshalText(text []byte) (err error) {
	*l, err = parseLSN(string(text))
	return err
}

// segment is the beginning of the segment file that holds l.
func (l LSN) segment(size int64) LSN { return l - l%LSN(size) }

// segmentName is the file that begins at l.
func (l LSN) segmentName(timeline int, size int64) string {
	number := uint64(l) / uint64(size)
	perID := uint64(1<<32) / uint64(size)
	return fmt.Sprintf("%08X%08X%08X", timeline, number/perID, number%perID)
}
