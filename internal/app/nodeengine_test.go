package app

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/millstreamdb/millstream/internal/backend/remote"
	"github.com/millstreamdb/millstream/internal/server"
)

type answers func(w http.ResponseWriter)

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	a(w)
	return w.Result(), nil
}

// An engine is taken for a Millstream by Millstream's own answer, and by no other.
func TestAnEngineIsKnownByItsAnswer(t *testing.T) {
	const own = `{"version":"0.9.0","go":"go1.26","protocol":1}`
	for _, one := range []struct {
		status, then   int
		body, mark     string
		foreign, wrong bool
	}{
		{status: 200, body: own},
		{status: 503, then: 200, body: own},
		{status: 403, mark: "MissingAuthenticationTokenException"},
		{status: 200, body: "healthy: dynamodb", foreign: true},
		{status: 200, body: "{}", foreign: true},
		{status: 404, foreign: true},
		{status: 503, then: 404, foreign: true},
		{status: 302, wrong: true},
		{status: 401, wrong: true},
		{status: 403, wrong: true},
		{status: 500, wrong: true},
		{status: 503, wrong: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			status := one.status
			transport := answers(func(w http.ResponseWriter) {
				if one.mark != "" {
					w.Header().Set("X-Amzn-Errortype", one.mark)
				}
				w.WriteHeader(status)
				_, _ = w.Write([]byte(one.body))
				if one.then != 0 {
					status = one.then
				}
			})
			n := &node{client: &remote.Client{URL: "http://engine", HTTP: &http.Client{Transport: transport}}, log: slog.New(slog.DiscardHandler)}
			foreign, err := n.isForeign(t.Context(), server.AuthOff)
			if foreign != one.foreign || (err != nil) != one.wrong {
				t.Errorf("%+v: %t, %v", one, foreign, err)
			}
		})
	}
}
