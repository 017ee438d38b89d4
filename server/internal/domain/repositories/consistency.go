package repositories

import "context"

type strongKey struct{}

// WithStrong returns a context whose reads, of lists and counts too, see
// everything that was acknowledged before.
func WithStrong(ctx context.Context) context.Context {
	return context.WithValue(ctx, strongKey{}, true)
}

// IsStrong tells whether ctx is from WithStrong.
func IsStrong(ctx context.Context) bool {
	strong, _ := ctx.Value(strongKey{}).(bool)
	return strong
}
