package admin

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestLocalKnowsItsNames and answers nobody who was led here by another.
func TestLocalKnowsItsNames(t *testing.T) {
	t.Parallel()
	h := Local(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	for host, want := range map[string]int{
		"localhost:9090":         http.StatusOK,
		"localhost":              http.StatusOK,
		"127.0.0.1:9090":         http.StatusOK,
		"[::1]:9090":             http.StatusOK,
		"[::1]":                  http.StatusOK,
		"messenger_server:9090":  http.StatusOK,
		"admin.localhost:9090":   http.StatusOK,
		"evil.example:9090":      http.StatusMisdirectedRequest,
		"127.0.0.1.evil.example": http.StatusMisdirectedRequest,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
	}
}
