// Package cache keeps texts in Redis, and those that were asked for lately in this
// process, too: Redis tells it when they change (server-assisted client-side
// caching), so that to ask again costs nothing.
//
// It may lose any text at any time, and may give back an old one. Whoever asks has
// to know by the text itself whether it still is true.
//
// Redis is never waited for beyond patience, and not at all once it has let
// somebody down: a goroutine then looks for it, and no request does.
package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
)

const (
	// patience is how long a request waits for Redis, which takes well below a
	// millisecond where all is well. Somebody who could not be answered within it
	// is the last to wait.
	patience = 100 * time.Millisecond
	// lookInterval is how often Redis is looked for while it is not asked.
	lookInterval = 250 * time.Millisecond
	// maxInside is how many may wait for Redis at a time; further ones go without.
	// It is well below the slots of the connection's queue (1,024), where one that
	// finds none free would wait without a limit.
	maxInside = 512
	// silence is how long a connection may say nothing at all.
	silence = time.Second
)

// Cache is this process's view of a Redis. Its methods may be called by several
// goroutines.
type Cache struct {
	option rueidis.ClientOption
	maxAge time.Duration
	log    *slog.Logger

	client  rueidis.Client // set once, before used first is
	used    atomic.Bool    // whether Redis is asked
	inside  atomic.Int64
	news    chan struct{} // there is something to put, or to look for
	mu      sync.Mutex
	puts    map[string]string // that wait to be sent
	refused string            // what Redis last said against being put something
}

// New returns a cache in the Redis at the URL, which keeps texts for maxAge, and
// those asked for lately in so many bytes of this process. It connects to nothing
// before Run.
func New(url string, bytes int64, maxAge time.Duration, log *slog.Logger) (*Cache, error) {
	option, err := rueidis.ParseURL(url)
	if err != nil {
		return nil, errors.New("REDIS_URL is not a URL of a Redis") // the error's own words would show its password
	}
	option.ForceSingleClient = true // there need be nobody at the start
	option.PipelineMultiplex = -1   // one connection: each would have a cache of its own
	option.AlwaysPipelining = true  // one who stops waiting leaves the connection to the others
	option.DisableRetry = true
	option.CacheSizeEachConn = int(bytes)
	option.ReadBufferEachConn, option.WriteBufferEachConn = 64<<10, 64<<10
	option.Dialer = net.Dialer{Timeout: silence, KeepAlive: silence}
	option.ConnWriteTimeout = silence
	option.ClientName = "messenger_server"
	return &Cache{option: option, maxAge: maxAge, log: log, news: make(chan struct{}, 1), puts: make(map[string]string)}, nil
}

// Get returns the text that was put under the key, if there is one at hand.
// Those who ask for the same at once share one question to Redis.
func (c *Cache) Get(ctx context.Context, key string) (text string, look metrics.CacheLook) {
	look.Outcome = metrics.CacheError
	if !c.used.Load() {
		return "", look
	}
	defer c.inside.Add(-1)
	if c.inside.Add(1) > maxInside {
		return "", look
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	waiting := &waitingContext{Context: bounded}
	result := c.client.DoCache(waiting, c.client.B().Get().Key(key).Cache().ToStaticTTL(), c.maxAge)
	look.Joined = result.IsCacheHit() && waiting.waited
	text, err := result.ToString()
	switch {
	case err == nil && result.IsCacheHit() && !look.Joined:
		look.Outcome = metrics.CacheHit
	case err == nil:
		look.Outcome = metrics.CacheFetched
	case rueidis.IsRedisNil(err):
		look.Outcome = metrics.CacheMiss
	case ctx.Err() != nil, isEnd(err) && bounded.Err() == nil: // the last: whom we had joined gave up
	default:
		c.leave(fmt.Errorf("ask: %w", err))
	}
	return text, look
}

// waitingContext notes whether somebody waits by it. What is not at hand is waited
// for, also where another has asked Redis for it: the client does not tell these
// from what is at hand.
type waitingContext struct {
	context.Context //nolint:containedctx // it is one

	waited bool
}

// Done implements context.Context.
func (c *waitingContext) Done() <-chan struct{} {
	c.waited = true
	return c.Context.Done()
}

func isEnd(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// leave stops asking Redis until it has been looked for.
func (c *Cache) leave(err error) {
	if c.used.CompareAndSwap(true, false) {
		c.log.Warn("cache is not used", "err", err.Error())
		c.wake()
	}
}

func (c *Cache) wake() {
	select {
	case c.news <- struct{}{}:
	default: // it is awake
	}
}

// Run connects to Redis, looks for it when it is away, and sends what was put,
// until ctx is done.
func (c *Cache) Run(ctx context.Context) {
	defer func() {
		c.used.Store(false)
		if c.client != nil {
			go c.client.Close() // it may wait for Redis, which nobody shall wait for
		}
	}()
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	told := false // in what state Redis was found
	for ctx.Err() == nil {
		if !c.used.Load() {
			err := c.look(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err == nil:
				c.log.Info("cache is used")
				c.used.Store(true)
			case !told:
				c.log.Warn("cache is not used", "err", err.Error())
			}
			told = true
		}
		wait := tick.C
		if c.used.Load() {
			wait = nil
			c.send(ctx)
		}
		select {
		case <-c.news:
		case <-wait:
		case <-ctx.Done():
		}
	}
}

// look asks Redis for a sign of life, with the patience of a request: one that is
// too slow for requests shall not be asked by them.
func (c *Cache) look(ctx context.Context) error {
	if c.client == nil {
		client, err := rueidis.NewClient(c.option)
		if client == nil {
			return err
		}
		c.client = client
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.client.Do(ctx, c.client.B().Ping().Build()).Error()
}
