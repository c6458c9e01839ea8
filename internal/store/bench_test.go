package store_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/millstreamdb/millstream/internal/store"
)

// Durable commits a second of two values of 1 KiB, on the disk of TMPDIR, beside
// the bare engine with the same settings that matter.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("writers=%d/store", writers), func(b *testing.B) {
			s := open(b, store.Options{Dir: b.TempDir()})
			commits(b, writers, func(item, log, value []byte) error {
				batch := s.NewBatch()
				batch.Set(item, value)
				batch.Set(log, value)
				c := s.Begin()
				err := s.Apply(c, batch)
				batch.Close()
				if err != nil {
					return err
				}
				return s.Sync(c)
			})
			closeStore(b, s)
		})
		b.Run(fmt.Sprintf("writers=%d/engine", writers), func(b *testing.B) {
			o := &pebble.Options{
				FormatMajorVersion: pebble.FormatNewest, MemTableSize: 32 << 20, CacheSize: 64 << 20,
				L0StopWritesThreshold: 48, Logger: quiet{}, LBaseMaxBytes: 128 << 20,
			}
			for i := range o.Levels {
				o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
			}
			o.TargetFileSizes[0] = 4 << 20
			db, err := pebble.Open(filepath.Join(b.TempDir(), "db"), o)
			if err != nil {
				b.Fatal(err)
			}
			commits(b, writers, func(item, log, value []byte) error {
				batch := db.NewBatch()
				_ = batch.Set(item, value, nil)
				_ = batch.Set(log, value, nil)
				if err := db.Apply(batch, pebble.Sync); err != nil {
					return err
				}
				return batch.Close()
			})
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(f string, a ...any) {
	panic(fmt.Sprintf(f, a...))
}

// commits shares b.N commits among writers. Items have random keys, log rows
// ascending ones; the values hardly compress.
func commits(b *testing.B, writers int, commit func(item, log, value []byte) error) {
	b.ReportAllocs()
	var n atomic.Int64
	done := make(chan error, writers)
	b.ResetTimer()
	for w := range writers {
		go func() {
			rng := rand.New(rand.NewPCG(7, uint64(w)))
			value := make([]byte, 1024)
			for i := 0; i < len(value); i += 8 {
				binary.LittleEndian.PutUint64(value[i:], rng.Uint64())
			}
			item, log := make([]byte, 24), make([]byte, 24)
			item[0], log[0] = store.SpaceItem, store.SpaceLog
			for {
				i := n.Add(1)
				if i > int64(b.N) {
					done <- nil
					return
				}
				binary.BigEndian.PutUint64(item[8:], rng.Uint64())
				binary.BigEndian.PutUint64(log[8:], uint64(i))
				if err := commit(item, log, value); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

// spread mixes numbers over the key space, so that absent keys lie between present
// ones and no table's bounds exclude them.
func spread(n uint64) uint64 { return n * 0x9e3779b97f4a7c15 }

func BenchmarkRead(b *testing.B) {
	s := open(b, store.Options{Dir: b.TempDir()})
	defer closeStore(b, s)
	key := make([]byte, 24)
	value := make([]byte, 1024)
	const rows = 100_000
	batch := s.NewBatch()
	defer batch.Close()
	for i := range rows {
		binary.BigEndian.PutUint64(key[8:], spread(uint64(i)))
		batch.Set(key, value)
		if batch.Len() > 1<<20 {
			if err := s.Write(batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := s.Write(batch); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		read  func(dst, key []byte) ([]byte, bool, error)
		first uint64
	}{{"Get/present", s.Get, 0}, {"Get/absent", s.Get, rows}, {"Probe/present", s.Probe, 0}, {"Probe/absent", s.Probe, rows}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			key := make([]byte, 24)
			var dst []byte
			for b.Loop() {
				binary.BigEndian.PutUint64(key[8:], spread(c.first+rand.Uint64N(rows)))
				v, found, err := c.read(dst[:0], key)
				if err != nil || found != (c.first == 0) {
					b.Fatal(found, err)
				}
				dst = v
			}
		})
	}
}

func BenchmarkIter(b *testing.B) {
	s := open(b, store.Options{Dir: b.TempDir()})
	defer closeStore(b, s)
	key := make([]byte, 9)
	for i := range 100 {
		binary.BigEndian.PutUint64(key[1:], uint64(i))
		batch := s.NewBatch()
		batch.Set(key, key)
		if err := s.Write(batch); err != nil {
			b.Fatal(err)
		}
		batch.Close()
	}
	b.ReportAllocs()
	for b.Loop() {
		it, err := s.NewIter(key[:1], store.PrefixEnd(key[:1]))
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for ok := it.First(); ok; ok = it.Next() {
			n++
		}
		if err := it.Close(); err != nil || n != 99 && n != 100 {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkOpenEmpty(b *testing.B) {
	for b.Loop() {
		s, err := store.Open(store.Options{Dir: filepath.Join(b.TempDir(), fmt.Sprint(rand.Uint64()))})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		closeStore(b, s)
		b.StartTimer()
	}
}
