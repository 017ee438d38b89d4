package cache

import (
	"context"
	"fmt"

	"github.com/redis/rueidis"
)

const (
	// maxPuts bounds what waits to be sent; what comes then is dropped.
	maxPuts = 1024
	// maxSent is how many are sent at once.
	maxSent = 128
)

// Put has the text kept under the key, soon. Of several for a key the last counts.
func (c *Cache) Put(key, text string) {
	if !c.used.Load() {
		return
	}
	c.mu.Lock()
	_, again := c.puts[key]
	if again || len(c.puts) < maxPuts {
		c.puts[key] = text
	}
	c.mu.Unlock()
	if !again {
		c.wake()
	}
}

// take returns some of what waits to be sent.
func (c *Cache) take() (sets rueidis.Commands) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, text := range c.puts {
		if len(sets) == maxSent {
			break
		}
		sets = append(sets, c.client.B().Set().Key(key).Value(text).Px(c.maxAge).Build())
		delete(c.puts, key)
	}
	return sets
}

// send sends everything that was put.
func (c *Cache) send(ctx context.Context) {
	for sets := c.take(); len(sets) > 0 && c.used.Load(); sets = c.take() {
		if err := c.sendThese(ctx, sets); err != nil && ctx.Err() == nil {
			c.leave(fmt.Errorf("put: %w", err))
		}
	}
}

// sendThese fails where Redis does not answer. What it refuses, for want of
// memory, say, is told once: what it has it still gives.
func (c *Cache) sendThese(ctx context.Context, sets rueidis.Commands) error {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	for _, result := range c.client.DoMulti(ctx, sets...) {
		err := result.Error()
		refusal, refused := rueidis.IsRedisErr(err)
		switch {
		case refused && refusal.Error() != c.refused:
			c.refused = refusal.Error()
			c.log.Warn("cache takes nothing", "err", c.refused)
		case refused:
		case err != nil:
			return err
		}
	}
	return nil
}
