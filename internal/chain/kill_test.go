package chain

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

// TestKilledShipper kills the process that writes and ships, at any moment, again and again on the same folder and place. What is restored is
// a prefix with all that the process had told as shipped. MILLSTREAM_CHAIN_KILLS says how often.
func TestKilledShipper(t *testing.T) {
	if dir := os.Getenv("MILLSTREAM_TEST_CHAIN"); dir != "" {
		shipUntilKilled(t, dir)
		return
	}
	kills := 3
	if testing.Short() {
		kills = 2
	}
	inParts(t, kills, shipperKilled)
}

// inParts runs a test of so many kills, or of MILLSTREAM_CHAIN_KILLS, some of them on one folder: what is there grows with each, and is read with each.
func inParts(t *testing.T, kills int, test func(t *testing.T, kills int)) {
	const part = 50
	if v := os.Getenv("MILLSTREAM_CHAIN_KILLS"); v != "" {
		if _, err := fmt.Sscan(v, &kills); err != nil {
			t.Fatal(err)
		}
	}
	for from := 0; from < kills; from += part {
		t.Run(fmt.Sprintf("from kill %d", from), func(t *testing.T) { test(t, min(part, kills-from)) })
	}
}

func shipperKilled(t *testing.T, kills int) {
	dir := t.TempDir()
	var shipped, begun [writers]uint64
	bases := 0
	for n := range kills {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledShipper$", "-test.timeout=5m")
		cmd.Env = append(os.Environ(), "MILLSTREAM_TEST_CHAIN="+dir, fmt.Sprintf("MILLSTREAM_TEST_BEGUN=%d %d %d %d", begun[0], begun[1], begun[2], begun[3]))
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		var timer *time.Timer
		for lines := bufio.NewScanner(out); lines.Scan(); {
			kind, rest, _ := strings.Cut(lines.Text(), " ")
			var now [writers]uint64
			if _, err := fmt.Sscan(rest, &now[0], &now[1], &now[2], &now[3]); err != nil {
				if strings.Contains(lines.Text(), "FAIL") || strings.Contains(lines.Text(), "chain_test.go") || strings.Contains(lines.Text(), "kill_test.go") {
					t.Error(lines.Text())
				}
				continue
			}
			switch kind {
			case "shipped":
				shipped = now
				if timer == nil { // something is shipped: from now on at any moment
					timer = time.AfterFunc(time.Duration(rand.IntN(int(150*time.Millisecond))), func() { _ = cmd.Process.Kill() })
				}
			case "begun":
				begun = now
			}
		}
		_ = cmd.Wait()
		if t.Failed() {
			return
		}
		if n < 5 || n%20 == 0 || n == kills-1 {
			place, err := backup.Open(t.Context(), filepath.Join(dir, "place"))
			if err != nil {
				t.Fatal(err)
			}
			has, r := restored(t, place, time.Time{})
			high := begun
			for w := range high {
				high[w] += 1000 // of what was begun after the last line
			}
			within(t, fmt.Sprintf("after kill %d", n), has, shipped, high)
			all, _, err := backup.List(t.Context(), place)
			if err != nil || t.Failed() {
				t.Fatal(err)
			}
			bases = len(all)
			t.Logf("kill %d: %d backups, the newest with %d segments and %d batches", n, bases, r.Segments, r.Batches)
		}
	}
	if bases != 1 {
		t.Errorf("%d backups were made: a kill is no gap", bases)
	}
}

func shipUntilKilled(t *testing.T, dir string) {
	place, err := backup.Open(t.Context(), filepath.Join(dir, "place"))
	if err != nil {
		t.Fatal(err)
	}
	l := &life{t: t}
	if _, err := fmt.Sscan(os.Getenv("MILLSTREAM_TEST_BEGUN"), &l.begun[0], &l.begun[1], &l.begun[2], &l.begun[3]); err != nil {
		t.Fatal(err)
	}
	if l.store, err = store.Open(store.Options{Dir: filepath.Join(dir, "data"), Changes: Waiting}); err != nil {
		t.Fatal(err)
	}
	// Numbers go on from what the folder has.
	for w := range writers {
		has := uint64(0)
		err := l.store.Each(key('w', w, 0)[:3], func(k, _ []byte) error { has++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		l.begun[w], l.acked[w] = has, has
	}
	l.shipper = New(Options{Store: l.store, Place: place, Dir: filepath.Join(dir, "data"), Every: 10 * time.Millisecond, Stage: l.store.Stage, Logger: slog.New(slog.DiscardHandler)})
	ended := make(chan error, 1)
	go func() { ended <- l.shipper.Run(context.Background()) }()
	for w := range writers {
		go func() {
			for {
				l.write(w, rand.IntN(3000))
				time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
			}
		}()
	}
	for {
		at, acked, begun := l.moment()
		fmt.Println("begun", begun[0], begun[1], begun[2], begun[3])
		for {
			select {
			case err := <-ended:
				t.Fatal(errors.Join(errors.New("it ended by itself"), err))
			case <-time.After(time.Millisecond):
			}
			now := time.Now()
			st := l.shipper.Status()
			if st.Backup != "" && (st.Lag == 0 || now.Add(-time.Duration(st.Lag*float64(time.Second))).After(at.Add(2*time.Millisecond))) {
				break
			}
		}
		fmt.Println("shipped", acked[0], acked[1], acked[2], acked[3])
	}
}

// TestKilledStandby kills the process that follows, at any moment, again and again on the same folder, while another writes. What is promoted
// in the end is a prefix with all that was shipped. MILLSTREAM_CHAIN_KILLS says how often.
func TestKilledStandby(t *testing.T) {
	if dir := os.Getenv("MILLSTREAM_TEST_STANDBY"); dir != "" {
		place, err := backup.Open(t.Context(), filepath.Join(dir, "place"))
		if err != nil {
			t.Fatal(err)
		}
		f, err := Follow(FollowOptions{Place: place, Dir: filepath.Join(dir, "standby"), Every: time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for f.Status().Lag < 0 {
				time.Sleep(time.Millisecond)
			}
			fmt.Println("follows")
		}()
		_, err = f.Run(context.Background())
		t.Fatal("it ended by itself", err)
	}
	inParts(t, 2, standbyKilled)
}

func standbyKilled(t *testing.T, kills int) {
	dir := t.TempDir()
	place, err := backup.Open(t.Context(), filepath.Join(dir, "place"))
	if err != nil {
		t.Fatal(err)
	}
	l := beginWith(t, filepath.Join(dir, "data"), place, nil, func(o *Options) { o.Every = 3 * time.Millisecond })
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(rand.IntN(4)) * time.Millisecond):
					l.write(w, rand.IntN(3000))
				}
			}
		})
	}
	l.shippedUntil(10 * time.Millisecond)
	for range kills {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledStandby$", "-test.timeout=5m")
		cmd.Env = append(os.Environ(), "MILLSTREAM_TEST_STANDBY="+dir)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		follows := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if lines.Text() == "follows" && !follows {
				follows = true
				time.AfterFunc(time.Duration(rand.IntN(int(150*time.Millisecond))), func() { _ = cmd.Process.Kill() })
			}
			if strings.Contains(lines.Text(), "kill_test.go") {
				t.Error(lines.Text())
			}
		}
		_ = cmd.Wait()
		if t.Failed() || !follows {
			t.Fatal("it does not follow")
		}
	}
	close(stop)
	wg.Wait()
	l.shippedUntil(10 * time.Millisecond)
	_, acked, begun := l.moment()
	f, err := Follow(FollowOptions{Place: place, Dir: filepath.Join(dir, "standby"), Every: time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := f.Run(t.Context()); ended <- err }()
	if _, err := f.Promote(t.Context(), How{}); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	n, err := prefix(filepath.Join(dir, "standby"))
	if err != nil {
		t.Fatal(err)
	}
	within(t, "promoted", n, acked, begun)
	l.write(0, 1)
	if err := <-l.ended; !errors.Is(err, ErrFenced) {
		t.Error(err)
	}
	if err := l.store.Close(); err != nil {
		t.Error(err)
	}
}
