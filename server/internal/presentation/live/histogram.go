package live

import "math"

// histogram counts durations in seconds; a bucket also has those of the ones before.
type histogram []bucket

type bucket struct{ bound, count float64 }

// add adds those of another with the same bounds, or none.
func (h *histogram) add(o histogram) {
	if *h == nil {
		*h = append(histogram(nil), o...)
		return
	}
	for i := range o {
		(*h)[i].count += o[i].count
	}
}

// since is what has been counted since before; nothing where it is no longer told.
func (h histogram) since(before histogram) histogram {
	if len(h) == 0 {
		return nil
	}
	newer := append(histogram(nil), h...)
	for i := range before {
		newer[i].count -= before[i].count
	}
	return newer
}

// quantile is what q of all lasted at most, between a bucket's bounds as if they lay
// evenly; NaN of none. What is past the last bound counts as that, as for Prometheus.
func (h histogram) quantile(q float64) float64 {
	if len(h) == 0 || h[len(h)-1].count <= 0 {
		return math.NaN()
	}
	rank := q * h[len(h)-1].count
	var before bucket
	for _, b := range h {
		if b.count >= rank {
			if math.IsInf(b.bound, 1) {
				return before.bound
			}
			return before.bound + (b.bound-before.bound)*(rank-before.count)/(b.count-before.count)
		}
		before = b
	}
	return before.bound
}
