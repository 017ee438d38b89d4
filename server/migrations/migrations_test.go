package migrations_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/messenger-clone/messenger-clone-api/server/migrations"
)

func TestFilesComeInNumberedPairs(t *testing.T) {
	t.Parallel()

	list, err := migrations.List(migrations.FS())
	require.NoError(t, err)
	require.NotEmpty(t, list)
	require.Equal(t, "000001_create_users", list[0].String())
	require.LessOrEqual(t, migrations.Required, len(list), "the server would never start")
}

func TestList(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name  string
		files string
		want  string   // the versions' names
		wrong []string // what the error must say
	}{
		{name: "Empty"},
		{name: "InOrder", files: "000002_b.up.sql 000002_b.down.sql 000001_a.up.sql 000001_a.down.sql README.md", want: "000001_a 000002_b"},
		{name: "HalfAPair", files: "000001_a.up.sql", wrong: []string{"000001_a: want both"}},
		{name: "TwoNamesForOneNumber", files: "000001_a.up.sql 000001_a.down.sql 000001_b.up.sql 000001_b.down.sql", wrong: []string{"want number 000002"}},
		{name: "Gap", files: "000001_a.up.sql 000001_a.down.sql 000003_c.up.sql 000003_c.down.sql", wrong: []string{"000003_c: want number 000002"}},
		{name: "FromZero", files: "000000_a.up.sql 000000_a.down.sql", wrong: []string{"000000_a: want number 000001"}},
		{name: "EveryProblem", files: "1_a.up.sql 000002_B.up.sql 000003_c.up.sql", wrong: []string{"1_a.up.sql", "000002_B.up.sql", "000003_c: want both", "000003_c: want number 000001"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			dir := fstest.MapFS{}
			for _, name := range strings.Fields(tt.files) {
				dir[name] = &fstest.MapFile{}
			}
			list, err := migrations.List(dir)
			if tt.wrong != nil {
				for _, want := range tt.wrong {
					require.ErrorContains(t, err, want)
				}
				return
			}
			require.NoError(t, err)
			var got []string
			for _, m := range list {
				got = append(got, m.String())
			}
			require.Equal(t, tt.want, strings.Join(got, " "))
		})
	}
}
