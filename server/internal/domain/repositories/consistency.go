package repositories

import "context"

type (
	strongKey  struct{}
	lenientKey struct{}
	patientKey struct{}
)

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

// WithLenient returns a context whose reads across shards go without those that
// do not answer, and name them.
func WithLenient(ctx context.Context) context.Context {
	return context.WithValue(ctx, lenientKey{}, true)
}

// IsLenient tells whether ctx is from WithLenient.
func IsLenient(ctx context.Context) bool {
	lenient, _ := ctx.Value(lenientKey{}).(bool)
	return lenient
}

// WithPatience returns a context whose reads across shards ask one after the
// other: nobody waits for them, and others are to notice little of them.
func WithPatience(ctx context.Context) context.Context {
	return context.WithValue(ctx, patientKey{}, true)
}

// IsPatient tells whether ctx is from WithPatience.
func IsPatient(ctx context.Context) bool {
	patient, _ := ctx.Value(patientKey{}).(bool)
	return patient
}
