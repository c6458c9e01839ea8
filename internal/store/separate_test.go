package store_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/millstreamdb/millstream/internal/store"
)

// TestKeepApart: what is kept apart shares no table with anything else, and so is not merged again and again where it comes in the order of its keys, as
// the same rows are beside others.
func TestKeepApart(t *testing.T) {
	logs := [][]byte{{store.SpacePast, 1}, {store.SpacePast, 2}} // recovery logs are apart anyhow
	merged := map[bool]uint64{}
	for _, is := range []bool{false, true} {
		s, err := store.Open(store.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if is {
			s.KeepApart(func() [][]byte { return [][]byte{{store.SpacePast + 1}, logs[1], logs[0]} })
		}
		r := rand.New(rand.NewPCG(1, 1))
		value := make([]byte, 2000)
		for n := range 30 {
			b := s.NewBatch()
			for i := range 100 {
				for j := range value {
					value[j] = byte(r.Uint32()) // nothing compresses it
				}
				b.Set(binary.BigEndian.AppendUint32([]byte{store.SpaceItem}, r.Uint32()), value[:100])
				for _, log := range logs {
					b.Set(binary.BigEndian.AppendUint32(bytes.Clone(log), uint32(n*100+i)), value)
				}
			}
			if err := s.Write(b); err != nil {
				t.Fatal(err)
			}
			b.Close()
			if err := s.FlushAll(); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.CompactAll(); err != nil {
			t.Fatal(err)
		}
		merged[is] = s.Merged()
		tables, err := s.Tables()
		if err != nil || len(tables) == 0 {
			t.Fatalf("%d tables, %v", len(tables), err)
		}
		of := func(key []byte) string {
			for _, log := range logs {
				if bytes.HasPrefix(key, log) {
					return fmt.Sprint(log)
				}
			}
			return ""
		}
		for _, table := range tables {
			if is && of(table[0]) != of(table[1]) {
				t.Errorf("a table has %x to %x", table[0], table[1])
			}
		}
		closeStore(t, s)
	}
	t.Logf("%d bytes were merged, and %d with logs apart", merged[false], merged[true])
	if merged[true]*2 > merged[false] {
		t.Errorf("%d bytes were merged, and %d with logs apart", merged[false], merged[true])
	}
}

// TestRecoveryLogsAreApart: also where nobody has said so, as in a standby.
func TestRecoveryLogsAreApart(t *testing.T) {
	s, err := store.Open(store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	b := s.NewBatch()
	defer b.Close()
	for _, space := range []byte{store.SpaceItem, store.SpaceUndo, store.SpacePast} {
		b.Set([]byte{space, 1}, []byte("v"))
	}
	if err := s.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := s.FlushAll(); err != nil {
		t.Fatal(err)
	}
	tables, err := s.Tables()
	if err != nil {
		t.Fatal(err)
	}
	apart := 0
	for _, table := range tables {
		if first, last := table[0][0], table[1][0]; (first == store.SpaceUndo) != (last == store.SpaceUndo) || first < store.SpaceUndo && last > store.SpaceUndo {
			t.Errorf("a table has %x to %x", table[0], table[1])
		} else if first == store.SpaceUndo {
			apart++
		}
	}
	if apart != 1 {
		t.Errorf("%d tables have it", apart)
	}
}

// TestKeepManyApart: of too many ranges neighbours are together, and each key still has its place.
func TestKeepManyApart(t *testing.T) {
	s, err := store.Open(store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	begin := func() (keys [][]byte) {
		for i := range 200 {
			keys = append(keys, []byte{store.SpaceUndo, byte(i)})
		}
		return keys
	}
	s.KeepApart(begin)
	b := s.NewBatch()
	defer b.Close()
	for _, key := range begin() {
		b.Set(append(key, 1), []byte("v"))
	}
	if err := s.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := s.FlushAll(); err != nil {
		t.Fatal(err)
	}
	tables, err := s.Tables()
	if err != nil || len(tables) > 40 || len(tables) < 10 {
		t.Errorf("%d tables, %v", len(tables), err)
	}
	for _, key := range begin() {
		if _, there := get(t, s, string(append(key, 1))); !there {
			t.Errorf("%x is not there", key)
		}
	}
}
