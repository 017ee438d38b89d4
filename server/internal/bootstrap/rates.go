package bootstrap

import (
	"net/netip"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/prefork"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/ratelimit"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/routes"
)

// attachRates returns one worker's view of what clients have asked for, nil where
// that is not limited.
func attachRates(cfg config.Config) (*ratelimit.Table, error) {
	file := prefork.Shared(ratesFile)
	defer file.Close()
	if cfg.RateLimit == (config.Rate{}) {
		return nil, nil
	}
	return ratelimit.Attach(file, ratelimit.Limit{Quota: cfg.RateLimit.Count, Window: cfg.RateLimit.Per})
}

// rateLimit is what the HTTP side is told of it. The worker counts what is let in.
func rateLimit(cfg config.Config, rates *ratelimit.Table, worker *metrics.Worker) *routes.RateLimit {
	if rates == nil {
		return nil
	}
	take := func(client netip.Addr) (left int, next time.Duration, ok bool) {
		left, next, ok = rates.Take(client)
		worker.Limited(ok)
		return left, next, ok
	}
	return &routes.RateLimit{Take: take, Quota: cfg.RateLimit.Count, Window: cfg.RateLimit.Per, Proxies: cfg.ProxyNetworks()}
}
