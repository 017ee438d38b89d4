package repositoriestest_test

import (
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/repositories/repositoriestest"
)

func TestFakeUsers(t *testing.T) {
	t.Parallel()
	repositoriestest.Users(t, func(testing.TB) repositoriestest.Setup {
		return repositoriestest.Setup{Store: repositoriestest.NewFake(), Settle: func(testing.TB) {}}
	})
}
