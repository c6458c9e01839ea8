package harness

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
)

// SplitShards makes children of the open shards of a table's stream, into each, by
// Millstream's own protocol (as `millstream shards split` does).
func (t *Target) SplitShards(tb testing.TB, table string, into int) {
	tb.Helper()
	query := url.Values{"into": {fmt.Sprint(into)}, "table": {table}}
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, t.Endpoint+"/_millstream/v1/shards/split?"+query.Encode(), nil)
	if err != nil {
		tb.Error(err)
		return
	}
	req.Header.Set("X-Millstream", "1")
	t.sign(tb, req, "millstream", nil)
	res, err := t.http.Do(req)
	if err != nil {
		tb.Error(err)
		return
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		tb.Errorf("split: %s %v", res.Status, err)
	}
}
