package remote

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/backend"
)

// A position that went while nobody had the claim is told by who takes it. Of a mapping that was deleted none is lost.
func TestPositionsThatAreGoneBetweenClaims(t *testing.T) {
	for _, deleted := range []bool{false, true} {
		w := newSuiteWorld(t)
		s, m, c := w.claimed(t, w.c)
		var said bytes.Buffer
		w.b.o.Log = slog.New(slog.NewTextHandler(&said, nil))
		rows, err := w.b.query(t.Context(), w.b.progress, checkpointKey(m.UUID), "")
		w.check(err)
		c.lose()
		w.check(w.b.remove(t.Context(), w.b.progress, rows[0].P, rows[0].S))
		if deleted {
			row, err := w.b.get(t.Context(), w.b.control, definitionKey, mappingPrefix+m.UUID)
			w.check(err)
			_, err = w.b.put(t.Context(), w.b.control, Row{P: row.P, S: row.S, Data: encode(definitionRow{Deleted: true})}, row.V)
			w.check(err)
		}
		next := newClaim(w.b, m.StreamARN, 2, 2)
		w.b.work.Go(next.feed.run)
		_, err = s.Load(t.Context(), next, m.UUID)
		if w.check(err); strings.Contains(said.String(), "all positions of a mapping are gone") == deleted {
			t.Errorf("deleted %t: the log says %q", deleted, said.String())
		}
		next.lose()
	}
}

// What the owner before tidies, late, is no loss to the next one; and it tidies nothing that the next one has by then.
func TestTidyingIsNoLoss(t *testing.T) {
	for _, taken := range []bool{false, true} {
		w := newSuiteWorld(t)
		s, m, c := w.claimed(t, w.c)
		var said bytes.Buffer
		w.b.o.Log = slog.New(slog.NewTextHandler(&said, nil))
		at, err := w.b.query(t.Context(), w.b.progress, checkpointKey(m.UUID), "")
		w.check(err)
		end := spot(7)
		end.Done = true
		w.check(s.Advance(t.Context(), c, m.UUID, []backend.Row{{UUID: m.UUID, Shard: at[0].S, Checkpoint: end}}, nil))
		rows, err := w.b.query(t.Context(), w.b.progress, checkpointKey(m.UUID), "") // as the next owner's Load reads them
		w.check(err)
		next := newClaim(s.Backend, m.StreamARN, 2, 2)
		w.b.work.Go(next.feed.run)
		tidy := func() { c.tidy(m.UUID, map[string]owned{rows[0].S: c.rows[m.UUID][rows[0].S]}, nil, nil) }
		if !taken {
			tidy()
		}
		_, there, err := next.takeRow(rows[0])
		if err != nil || there != taken || said.Len() > 0 || !next.Valid() {
			t.Errorf("taken before %t: %t, %v, the claim is good: %t, the log says %s", taken, there, err, next.Valid(), said.String())
		}
		if taken {
			tidy()
			if r, err := w.b.get(t.Context(), w.b.progress, rows[0].P, rows[0].S); err != nil || r == nil {
				t.Errorf("the owner before has tidied what the next one has: %v, %v", r, err)
			}
		}
		next.lose()
	}
}

// A proxy that lets DynamoDB's operations pass and no others holds no mapping up: a queue is told as before.
func TestProxyThatRefusesTheOperation(t *testing.T) {
	w := newSuiteWorld(t)
	to, err := url.Parse(w.c.URL)
	w.check(err)
	pass := httputil.NewSingleHostReverseProxy(to)
	p := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if t := r.Header.Get("X-Amz-Target"); !strings.HasPrefix(t, "DynamoDB_2012") && !strings.HasPrefix(t, "DynamoDBStreams_2012") {
			http.Error(rw, "<html>Forbidden</html>", http.StatusForbidden)
			return
		}
		r.Host = to.Host
		pass.ServeHTTP(rw, r)
	}))
	defer p.Close()
	defer p.CloseClientConnections()
	through := *w.c
	through.URL = p.URL
	s, m, c := w.claimed(t, &through)
	defer c.lose()
	w.Sends()
	scope, _ := arn.Parse(m.StreamARN)
	build := func() ([]backend.Row, []backend.AsideRows, error) { return nil, nil, nil }
	notice := &backend.Notice{Queue: scope.Scope().QueueARN(w.prefix + "sent"), Document: []byte(`{}`)}
	if err := s.TransactUnder(t.Context(), c, m.UUID, backend.Transaction{Notice: notice, Applied: func() {}, Build: build}); !errors.Is(err, backend.ErrNoNotice) {
		t.Error(err)
	}
}
