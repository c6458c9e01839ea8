package table

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// crashes is how many crashes the ordinary tests simulate; MILLSTREAM_CRASHES
// asks for more.
func crashes(t *testing.T, ordinary int) int {
	if s := os.Getenv("MILLSTREAM_CRASHES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal("MILLSTREAM_CRASHES is not a number: ", s)
		}
		return n
	}
	if testing.Short() {
		return ordinary / 10
	}
	return ordinary
}

// errLost and errTorn are what the detector finds.
var (
	errLost = errors.New("a crash took back what was answered")
	errTorn = errors.New("a transaction is there in part")
)

// crashRound runs clients on a database, crashes its disk a number of times at
// moments of chance, and judges each copy: it must open, records and items must
// agree, and everything that a client had been told before the crash is there.
func crashRound(seed uint64, shards, clients, crashes int, d store.Durability) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	w, err := openWorld(crashtest.New(), d)
	if err != nil {
		return err
	}
	if _, err := w.call("CreateTable", fmt.Sprintf(`{"TableName":"tab","BillingMode":"PAY_PER_REQUEST",
		"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],
		"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"},
		"Tags":[{"Key":"millstream:shards","Value":"%d"}]}`, shards)); err != nil {
		return err
	}
	if _, err := w.call("UpdateContinuousBackups", `{"TableName":"tab","PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":true}}`); err != nil {
		return err
	}
	e := newEvidence()
	turns := make(chan struct{})
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() { w.client(n, seed, e, turns) })
	}
	var verdict error
	for i := 0; i < crashes && verdict == nil; i++ {
		for range rng.IntN(12 * clients) {
			turns <- struct{}{}
		}
		// The last operations are under way now. What was told before the copy
		// begins must be in it.
		shown, gone := e.cut()
		shards := e.lineage()
		disk := w.disk.Clone(seed<<16 + uint64(i))
		verdict = judge(disk, shown, gone, e.transactions(), shards)
	}
	close(turns)
	wg.Wait()
	if err := w.store.Close(); err != nil && verdict == nil {
		verdict = err
	}
	if verdict == nil && len(e.failures) > 0 {
		verdict = e.failures[0]
	}
	return verdict
}

func judge(disk *crashtest.Disk, shown, gone map[string]bool, pairs [][2]string, shards []string) error {
	w, err := openWorld(disk, store.Sync)
	if err != nil {
		return fmt.Errorf("the copy does not open: %w", err)
	}
	defer w.store.Close()
	if w.db.find(scope, "tab") == nil {
		return fmt.Errorf("%w: the table", errLost)
	}
	for _, id := range shards {
		if w.streams.All()[0].Shard(id) == nil {
			return fmt.Errorf("%w: shard %s", errLost, id)
		}
	}
	written, removed, err := w.replay("tab")
	if err != nil {
		return err
	}
	for id := range shown {
		if !written[id] {
			return fmt.Errorf("%w: write %s", errLost, id)
		}
	}
	for _, pair := range pairs {
		if written[pair[0]] != written[pair[1]] {
			return fmt.Errorf("%w: of %v", errTorn, pair)
		}
	}
	for id := range gone {
		if !removed[id] {
			return fmt.Errorf("%w: the deletion of %s", errLost, id)
		}
	}
	return nil
}

// TestCrashTakesNothingBack holds P1 and P3: no acknowledged write, no-op, failed
// condition, consistent read, scan or stream record is taken back by a crash, and
// items and records stay together.
func TestCrashTakesNothingBack(t *testing.T) {
	total := crashes(t, 2000)
	for _, shards := range []int{1, 3} {
		t.Run(strconv.Itoa(shards), func(t *testing.T) {
			t.Parallel()
			const perRound = 20
			for round := range max(1, total/2/perRound) {
				if err := crashRound(uint64(round), shards, 4, perRound, store.Sync); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
			}
		})
	}
}

// TestCrashDetectorSeesWeakDurability: the same test must fail when nothing is
// synced, or it proves nothing.
func TestCrashDetectorSeesWeakDurability(t *testing.T) {
	for round := range 50 {
		if err := crashRound(uint64(round), 1, 4, 20, store.NoSync); errors.Is(err, errLost) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("1,000 crashes without any sync lost nothing: the detector is blind")
}
