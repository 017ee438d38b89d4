package host

import (
	"bufio"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDo(t *testing.T) {
	t.Parallel()
	asked, deeds := io.Pipe()
	answers, answered := io.Pipe()
	h := New(deeds, answers)
	go func() {
		lines := bufio.NewScanner(asked)
		for lines.Scan() {
			switch lines.Text() {
			case "host: start shard-1":
				_, _ = io.WriteString(answered, "ok\n")
			case "host: start shard-9":
				_, _ = io.WriteString(answered, "no such service: shard-9\n")
			default:
				_ = answered.Close()
			}
		}
	}()
	require.NoError(t, h.Do("start", "shard-1"))
	require.EqualError(t, h.Do("start", "shard-9"), "start shard-9: no such service: shard-9")
	require.ErrorContains(t, h.Do("start", "shard-1 shard-2"), "is no word")
	require.NoError(t, h.Do("start", "shard-1"), "what was refused is not sent")
	require.EqualError(t, h.Do("gone"), "gone: the command that started this has ended")
}
