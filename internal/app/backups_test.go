package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// metric reads one metric of a server; ok is false when it is not shown.
func (k *keeping) metric(name string) (v float64, ok bool) {
	k.t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Host = "127.0.0.1:8000"
	k.s.Handler().ServeHTTP(w, r)
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(w.Body.String())
	if found == nil {
		return 0, false
	}
	v, err := strconv.ParseFloat(found[1], 64)
	k.must(err)
	return v, true
}

// wantMetric fails unless a metric lies within two bounds.
func (k *keeping) wantMetric(name string, least, most float64) {
	k.t.Helper()
	if v, ok := k.metric(name); !ok || v < least || v > most {
		k.t.Errorf("%s is %v (%v), not within %v and %v", name, v, ok, least, most)
	}
}

// What waits for a place that does not answer is counted, and is no more when it does again.
func TestMetricsOfReplication(t *testing.T) {
	place := filepath.Join(t.TempDir(), "place")
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, Replicate: place, ReplicateEvery: time.Millisecond}, nil)
	if err != nil {
		t.Fatal(err)
	}
	k := clientsOf(t, s, dir)
	defer k.close()
	k.orders("orders", 3)
	arrived := func() (float64, bool) {
		lag, _ := k.metric("millstream_replication_lag_seconds")
		waiting, ok := k.metric("millstream_replication_waiting_batches")
		return waiting, ok && lag == 0 && waiting == 0
	}
	until(k, "all is in the place", arrived)
	k.wantMetric("millstream_replication_backup_age_seconds", 0, 600)
	k.must(os.Rename(place, place+"-away"))
	end, _ := k.metric("millstream_replication_shipped_end")
	const puts = 20
	for i := range puts {
		k.put("orders", i, "y")
	}
	k.wantMetric("millstream_replication_waiting_batches", puts, 10*puts)
	k.wantMetric("millstream_replication_shipped_end", end, end)
	k.must(os.RemoveAll(place))
	k.must(os.Rename(place+"-away", place))
	until(k, "all is in the place again", arrived)
	k.wantMetric("millstream_replication_shipped_end", end+puts, end+1000*puts)
}

// A server knows of its backups what it was told, also after a start; others' are refused.
func TestMetricsOfBackups(t *testing.T) {
	dir := t.TempDir()
	k := openKeeping(t, dir)
	id := k.s.store.DatabaseID()
	now := time.Now()
	name := func(ago time.Duration) string {
		return now.Add(-ago).UTC().Format("20060102T150405.000Z") + fmt.Sprintf("-%x-ABCD", id[:4])
	}
	tell := func(want int, id string, ago time.Duration, more string) {
		t.Helper()
		r := httptest.NewRequest("POST", "/_millstream/v1/backups", strings.NewReader(
			fmt.Sprintf(`{"id":%q,"made":%q%s}`, id, now.Add(-ago).Format(time.RFC3339Nano), more)))
		r.Host = "127.0.0.1:8000"
		r.Header.Set("X-Millstream", "1")
		w := httptest.NewRecorder()
		k.s.Handler().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%d %s, not %d", w.Code, w.Body, want)
		}
	}
	if _, ok := k.metric("millstream_backup_age_seconds"); ok {
		t.Error("an age is shown, and there is no backup")
	}
	tell(http.StatusBadRequest, "20260101T000000.000Z-01234567-ABCD", time.Hour, "")
	tell(http.StatusBadRequest, "x", time.Hour, "")
	tell(http.StatusBadRequest, "x-"+strings.Repeat("0", 100)+"-x", time.Hour, "")
	for _, hours := range []time.Duration{3, 2, 1} {
		tell(http.StatusOK, name(hours*time.Hour), hours*time.Hour, "")
		tell(http.StatusOK, name(hours*time.Hour), hours*time.Hour, "")
	}
	k.wantMetric("millstream_backup_age_seconds", 3600, 3700)
	k.wantMetric("millstream_backup_verified_age_seconds", -1, -1)
	k.wantMetric("millstream_backups_unverified", 3, 3)
	tell(http.StatusOK, name(2*time.Hour), 2*time.Hour, `,"verified":true`)
	// What replicates makes its own: it is verified, and does not count as one that was made by a person.
	tell(http.StatusOK, name(150*time.Minute), 150*time.Minute, `,"verified":true,"chained":true`)
	for range 2 {
		k.wantMetric("millstream_backup_age_seconds", 3600, 3700)
		k.wantMetric("millstream_backup_verified_age_seconds", 7200, 7300)
		k.wantMetric("millstream_backups_unverified", 1, 1)
		k.close()
		k = openKeeping(t, dir)
	}
	tell(http.StatusOK, name(time.Hour), time.Hour, `,"verified":true`)
	k.wantMetric("millstream_backups_unverified", 0, 0)
	k.wantMetric("millstream_quarantined_ranges", 0, 0)
	k.close()
}

// A backup that is told with a time to come does not count: it would be the newest until then. One that was kept so while the server's own clock was wrong is forgotten.
func TestBackupToldAhead(t *testing.T) {
	k := openKeeping(t, t.TempDir())
	defer k.close()
	id := k.s.store.DatabaseID()
	now := time.Now()
	told := func(made time.Time) wire.Backup {
		return wire.Backup{ID: made.UTC().Format("20060102T150405.000Z") + fmt.Sprintf("-%x-ABCD", id[:4]), Made: made}
	}
	year, old := told(now.AddDate(1, 0, 0)), told(now.AddDate(0, -3, 0))
	for _, year.Verified = range []bool{false, true} {
		if err := k.s.backups.tell(year); err == nil || !strings.Contains(err.Error(), "one of the two clocks is wrong") {
			t.Errorf("a backup of next year is answered with %v", err)
		}
	}
	both := func(least, most float64) {
		t.Helper()
		k.wantMetric("millstream_backup_age_seconds", least, most)
		k.wantMetric("millstream_backup_verified_age_seconds", least, most)
	}
	old.Verified = true
	k.must(k.s.backups.tell(old))
	both(80*86400, 100*86400)
	k.s.backups.known.Made, k.s.backups.known.Verified = year.Made, year.Made
	k.must(k.s.backups.tell(old))
	both(80*86400, 100*86400)
	soon := told(now.Add(4 * time.Minute)) // clocks differ a little
	soon.Verified = true
	k.must(k.s.backups.tell(soon))
	both(0, 0)
}

// Where all that is known is a backup of what replicates, there is no age of one that a person made.
func TestMetricsOfChainedBackup(t *testing.T) {
	k := openKeeping(t, t.TempDir())
	defer k.close()
	id := k.s.store.DatabaseID()
	k.must(k.s.backups.tell(wire.Backup{ID: fmt.Sprintf("20260101T000000.000Z-%x-ABCD", id[:4]), Made: time.Now(), Chained: true, Verified: true}))
	if v, ok := k.metric("millstream_backup_age_seconds"); ok {
		t.Errorf("no backup was made by a person, and its age is %v", v)
	}
	k.wantMetric("millstream_backup_verified_age_seconds", 0, 600)
}
