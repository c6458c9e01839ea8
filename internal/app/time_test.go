package app

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

const day = 24 * time.Hour

// clockworld is a server on a disk of its own, with a clock that the test sets, in a bubble.
type clockworld struct {
	t    *testing.T
	disk *crashtest.Disk
	step atomic.Int64
	log  strings.Builder
	s    *App
}

func (w *clockworld) start() {
	w.t.Helper()
	var err error
	w.s, err = Open(Options{
		Now:    func() time.Time { return time.Now().Add(time.Duration(w.step.Load())) },
		Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
	}, w.disk.FS())
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *clockworld) stop() {
	w.t.Helper()
	if err := w.s.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// kill leaves the disk as a kill does.
func (w *clockworld) kill() {
	w.t.Helper()
	disk := w.disk.CloneKeeping(100, 1)
	w.stop()
	w.disk = disk
}

func (w *clockworld) must(op, body string) string {
	w.t.Helper()
	status, answer := send(w.t, w.s.Handler(), op, body)
	if status != http.StatusOK {
		w.t.Fatal(op, status, answer)
	}
	return answer
}

func (w *clockworld) ask(method, path string) string {
	r := httptest.NewRequest(method, "http://127.0.0.1"+path, nil)
	r.Header.Set("X-Millstream", "1")
	a := httptest.NewRecorder()
	w.s.Handler().ServeHTTP(a, r)
	return a.Body.String()
}

// items are those that a table has.
func (w *clockworld) items() (n int) {
	w.t.Helper()
	var scan struct{ Count int }
	if err := json.Unmarshal([]byte(w.must("Scan", `{"TableName":"tab","ConsistentRead":true}`)), &scan); err != nil {
		w.t.Fatal(err)
	}
	return scan.Count
}

func bubble(t *testing.T, test func(w *clockworld)) {
	synctest.Test(t, func(t *testing.T) {
		w := &clockworld{t: t, disk: crashtest.New()}
		w.start()
		w.must("CreateTable", makeTable)
		w.must("UpdateTimeToLive", `{"TableName":"tab","TimeToLiveSpecification":{"Enabled":true,"AttributeName":"until"}}`)
		for days := 1; days <= 300; days += 100 {
			w.must("PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"%d"},"until":{"N":"%d"}}}`, days, time.Now().Add(time.Duration(days)*day).Unix()))
		}
		test(w)
		w.stop()
	})
}

// TestStartWithAClockAhead: a server that is started with a clock 400 days ahead removes nothing, over further starts, until a
// person accepts the clock; and says so.
func TestStartWithAClockAhead(t *testing.T) {
	bubble(t, func(w *clockworld) {
		for range 2 {
			w.stop()
			w.step.Store(int64(400 * day))
			w.start()
			time.Sleep(5 * time.Minute)
			if n := w.items(); n != 3 {
				t.Fatalf("%d items are left", n)
			}
		}
		const ahead = "the clock is 400 days ahead of what it should be"
		if text := w.ask("GET", "/healthz"); !strings.HasPrefix(text, "degraded: ") || !strings.Contains(text, ahead) || !strings.Contains(text, "millstream clock accept") {
			t.Errorf("health: %s", text)
		}
		if text := w.ask("GET", "/metrics"); !strings.Contains(text, "millstream_clock_ahead_seconds 3.45") {
			t.Error("no metric")
		}
		if n := strings.Count(w.log.String(), "the clock is ahead of what it should be"); n != 2 {
			t.Errorf("the log says it %d times in two runs", n)
		}
		if text := w.ask("GET", "/_millstream/v1/clock"); !strings.Contains(text, `"aheadMs":345`) || !strings.Contains(text, `"until":"`) {
			t.Errorf("clock: %s", text)
		}
		if text := w.ask("POST", "/_millstream/v1/clock/accept"); !strings.Contains(text, `"wasAheadMs":345`) || strings.Contains(text, "until") {
			t.Errorf("accepted: %s", text)
		}
		time.Sleep(2 * time.Second)
		if n := w.items(); n != 0 {
			t.Errorf("%d items are left by an accepted clock", n)
		}
		if text := w.ask("GET", "/healthz"); text != "ok\n" {
			t.Errorf("health: %s", text)
		}
		w.stop()
		w.start() // accepted for good
		if text := w.ask("GET", "/healthz"); text != "ok\n" {
			t.Errorf("health: %s", text)
		}
	})
}

// TestClockAgreesWithItself: a clock that jumps while the server runs is believed after as long as it has jumped, over kills; and
// at once when it is set right.
func TestClockAgreesWithItself(t *testing.T) {
	bubble(t, func(w *clockworld) {
		w.step.Store(int64(250 * day))
		time.Sleep(2 * time.Second)
		w.step.Store(0)
		time.Sleep(12 * time.Hour)
		if n := w.items(); n != 3 {
			t.Fatalf("%d items are left", n)
		}
		time.Sleep(13 * time.Hour) // the first is due
		if n := w.items(); n != 2 {
			t.Fatalf("%d items are left", n)
		}
		w.step.Store(int64(day))
		w.must("PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"soon"},"until":{"N":"%d"}}}`, time.Now().Add(time.Hour).Unix()))
		time.Sleep(20 * time.Hour)
		if n := w.items(); n != 3 {
			t.Fatalf("%d items are left", n)
		}
		w.kill()
		w.start()
		time.Sleep(3 * time.Hour)
		if n := w.items(); n != 3 {
			t.Fatalf("%d items are left after a kill", n)
		}
		time.Sleep(2 * time.Hour)
		if n := w.items(); n != 2 {
			t.Fatalf("%d items are left by a clock that has agreed with itself", n)
		}
	})
}
