package main

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

var exampleOfGuide = regexp.MustCompile("(?s)<!-- example: (\\w+) -->\n```sql\n(.*?)```")

// What the guide teaches works, in the order in which it teaches it.
func TestExamplesOfTheGuide(t *testing.T) {
	t.Parallel()
	b := setup(t)
	text, err := os.ReadFile("../../../docs/MIGRATIONS.md")
	require.NoError(t, err)
	examples := map[string]string{}
	for _, part := range exampleOfGuide.FindAllStringSubmatch(string(text), -1) {
		examples[part[1]] = part[2]
	}
	require.Len(t, examples, 5)

	files := pairs(
		examples["add_messages_table"]+"|DROP TABLE messages;",
		examples["index_messages"]+"|"+alone+"DROP INDEX CONCURRENTLY messages_recipient_idx;",
		examples["add_messages_seen_at"]+"|ALTER TABLE messages DROP COLUMN seen_at;",
		examples["fill_messages_seen_at"]+"|SELECT 1;",
		examples["drop_messages_seen"]+"|ALTER TABLE messages ADD COLUMN seen boolean NOT NULL DEFAULT false;",
	)
	b.mustUp(files)
	for range 5 {
		require.NoError(t, b.run(t.Context(), "down", files).err)
	}
	b.wantVersions(b.onAll(0)...)
}
