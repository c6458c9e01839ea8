package store

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A slot is read back as it was written, and no part of one, nor one with a byte
// changed, is taken for a slot.
func TestSlots(t *testing.T) {
	w := &witness{turn: 1<<40 + 7, incarnation: 12, files: map[string]extent{"000012.log": {1 << 33, 5}, "MANIFEST-000011": {17, 1 << 63}}}
	slot := append(w.encode(), make([]byte, 100)...)
	turn, incarnation, files, ok := decodeSlot(slot)
	if !ok || turn != w.turn || incarnation != w.incarnation || !maps.Equal(files, w.files) {
		t.Fatal(turn, incarnation, files, ok)
	}
	whole := len(slot) - 100
	for i := range whole {
		if _, _, _, ok := decodeSlot(slot[:i]); ok {
			t.Errorf("%d of %d bytes are a slot", i, whole)
		}
		changed := bytes.Clone(slot)
		changed[i] ^= 0x10
		if _, _, _, ok := decodeSlot(changed); ok {
			t.Errorf("a slot with byte %d changed is a slot", i)
		}
	}
}

// What a note costs the writer of the log, beside the sync of the log that is a
// thousand times as long.
func BenchmarkNote(b *testing.B) {
	dir := b.TempDir()
	w, err := openWitness(vfs.Default, dir, slog.New(slog.DiscardHandler))
	if err == nil {
		err = w.start()
	}
	if err != nil {
		b.Fatal(err)
	}
	w.files["MANIFEST-000011"], w.files["000012.log"] = extent{1, 1}, extent{1, 1}
	digest, record := xxhash.New(), make([]byte, 2000)
	b.ResetTimer()
	for i := range b.N {
		_, _ = digest.Write(record)
		w.note("000014.log", extent{uint64(i), digest.Sum64()})
	}
	b.StopTimer()
	if err := w.stop(); err != nil {
		b.Fatal(err)
	}
}

// TestNamesByNumber: a log of seven digits is later than one of six, and the newest are those that a full slot keeps.
func TestNamesByNumber(t *testing.T) {
	w := &witness{files: map[string]extent{"MANIFEST-000011": {}}}
	for n := range witnessFilesMax {
		w.files[fmt.Sprintf("%06d.log", 999_950+n)] = extent{}
	}
	_, _, files, ok := decodeSlot(w.encode())
	_, manifest := files["MANIFEST-000011"]
	_, oldest := files["999950.log"]
	_, newest := files["1000049.log"]
	if !ok || !manifest || oldest || !newest {
		t.Error(ok, manifest, oldest, newest)
	}
}
