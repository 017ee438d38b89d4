package freshness

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// instant is a time of the host's monotonic clock, in microseconds. It means
// the same in every process, which a time.Time's monotonic reading does not.
type instant int64

func now() instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(fmt.Sprintf("CLOCK_MONOTONIC: %v", err)) // every system we build for has it
	}
	return instant(ts.Nano()/1000) + 1 // up: a mark must not lie before what it marks
}

func (i instant) add(d time.Duration) instant { return i + instant(d.Microseconds()) }

func (i instant) sub(j instant) time.Duration { return time.Duration(i-j) * time.Microsecond }
