package store_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/store"
)

func TestAdmitKeepsTheReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		s := open(t, store.Options{FS: mem, Dir: "data", DiskReserve: 1000})
		defer closeStore(t, s)
		admitted := func(want bool) {
			t.Helper()
			err := s.Admit()
			if (err == nil) != want || err != nil && !errors.Is(err, store.ErrDiskFull) {
				t.Fatalf("got %v, want admitted %v", err, want)
			}
		}
		admitted(true) // a disk that cannot tell is not full
		free := func(n uint64) { mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: n, TotalBytes: 1 << 40}) }
		free(999)
		admitted(true) // asked a moment ago
		time.Sleep(time.Second)
		admitted(false)
		admitted(false)
		// Deletes go on until a quarter of the reserve is gone.
		for n, want := range map[uint64]bool{750: true, 749: false, 999: true} {
			free(n)
			time.Sleep(time.Second)
			admitted(false)
			if err := s.AdmitDelete(); (err == nil) != want {
				t.Fatalf("a delete with %d free: %v", n, err)
			}
		}
		if free, reserve, known := s.Space(); free > 999 || reserve != 1000 || !known {
			t.Fatal(free, reserve, known)
		}
		free(1000)
		time.Sleep(time.Second)
		admitted(true)

		// Much written is a reason to ask before the second is over.
		free(0)
		put(t, s, "k", string(make([]byte, 5<<20)))
		admitted(false)
	})
}

func TestDefaultReserveFitsSmallDisks(t *testing.T) {
	for _, c := range []struct {
		total, avail uint64
		want         bool
	}{
		{1 << 40, 256 << 20, true}, {1 << 40, 256<<20 - 1, false},
		{3 << 30, 154 << 20, true}, {3 << 30, 153 << 20, false},
		{1 << 30, 128 << 20, true}, {1 << 30, 127 << 20, false},
	} {
		mem := vfs.NewMem()
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: c.avail, TotalBytes: c.total})
		s := open(t, store.Options{FS: mem, Dir: "data"})
		if err := s.Admit(); (err == nil) != c.want {
			t.Errorf("%+v: %v", c, err)
		}
		closeStore(t, s)
	}
}

// Periodic syncs within its interval, once, and not when there is nothing new.
func TestPeriodicSyncsWithinItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, store.Options{FS: vfs.NewMem(), Dir: "data", Durability: store.Periodic, SyncInterval: time.Second})
		defer closeStore(t, s)
		synced := func() uint64 { return s.Metrics().Syncs }
		time.Sleep(10 * time.Second) // for what the opening has begun
		synctest.Wait()
		before := synced()
		time.Sleep(time.Hour)
		if n := synced() - before; n != 0 {
			t.Fatalf("%d syncs of nothing", n)
		}
		for range 2 {
			for range 100 {
				put(t, s, "k", "v")
			}
			if n := synced() - before; n != 0 {
				t.Fatalf("%d syncs at once", n)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if n := synced() - before; n != 1 {
				t.Fatalf("%d syncs", n)
			}
			before = synced()
		}
	})
}

// A start that has no room to write what the log holds ends at once, and says how much
// it takes; with room, all is there.
func TestStartOnAFullDisk(t *testing.T) {
	disk := killed(t, 1, 20_000, 100)
	disk.Mem().TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 8 << 20, TotalBytes: 1 << 30})
	if _, err := store.Open(store.Options{FS: disk.FS(), Dir: damagedDir}); !errors.Is(err, store.ErrDiskFull) {
		t.Fatal(err)
	} else {
		t.Log(err)
	}
	before, err := disk.Mem().List(damagedDir)
	if err != nil {
		t.Fatal(err)
	}
	disk.Mem().TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: 1 << 30})
	for dir, want := range map[string]string{damagedDir: "0 MB free, and a start takes", "new": "0 MB free, and a start takes 8 MB"} {
		if _, err := store.Open(store.Options{FS: disk.FS(), Dir: dir}); !errors.Is(err, store.ErrDiskFull) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if after, err := disk.Mem().List(damagedDir); err != nil || len(after) != len(before) {
		t.Errorf("a refused start has written: %v, before %v (%v)", after, before, err)
	}
	disk.Mem().TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 64 << 20, TotalBytes: 1 << 30})
	if verdict, err := judge(t, disk, 20_000, 100, ""); verdict != "whole" {
		t.Fatal(verdict, err)
	}
}

// A disk on which no write would ever be accepted is refused at the start, with how much it takes.
func TestStartOnATinyDisk(t *testing.T) {
	for total, want := range map[uint64]string{60 << 20: "has 60 MB in all, and 136 MB are the least", 136 << 20: ""} {
		mem := vfs.NewMem()
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: total - 4<<20, TotalBytes: total})
		s, err := store.Open(store.Options{FS: mem, Dir: "data"})
		switch {
		case want == "" && err != nil, want != "" && (!errors.Is(err, store.ErrDiskFull) || !strings.Contains(err.Error(), want)):
			t.Errorf("%d MB: %v", total>>20, err)
		}
		if err == nil {
			closeStore(t, s)
		}
	}
}
