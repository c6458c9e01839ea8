package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/store"
)

// TestFold: of an item whose changes take much there is one row left, with what it was before all of them and the moment of the newest; other items stay as they are.
// Of one whose changes do not fit a row is left that does not fit, until an older one has all of the item.
func TestFold(t *testing.T) {
	w := newWorld(t)
	space := []byte{store.SpacePast, 'x'}
	of := func(key string, n int) item.Item {
		return itemOf(key, fmt.Sprint(n, strings.Repeat(fmt.Sprint(" words of ", n), 100)))
	}
	now := map[string]item.Item{"differs": of("differs", 9), "large": itemOf("large", strings.Repeat("w", 100_000)), "unfit": of("other", 9)}
	large := func(n int) item.Item { return itemOf("large", fmt.Sprint(n, strings.Repeat("w", 100_000))) }
	whole := func(it item.Item) undone { return undone{undoWhole, it} }
	pieces := map[string][][]undone{ // newest first
		"whole":   {{whole(of("whole", 8))}, {whole(of("whole", 7))}, {whole(of("whole", 6))}, {whole(of("whole", 5))}},
		"none":    {{whole(of("none", 8))}, {whole(of("none", 7)), whole(nil)}, {whole(of("none", 6))}, {whole(of("none", 5)), whole(nil)}},
		"differs": {{partOf(of("differs", 8), now["differs"])}, {partOf(of("differs", 7), of("differs", 8))}, {partOf(of("differs", 6), of("differs", 7)), partOf(of("differs", 5), of("differs", 6))}},
		"mixed":   {{whole(of("mixed", 8))}, {whole(of("mixed", 7)), partOf(of("mixed", 6), of("mixed", 7))}, {whole(of("mixed", 6)), partOf(of("mixed", 5), of("mixed", 6))}},
		"large":   {{partOf(large(8), now["large"])}, {partOf(large(5), large(8))}},
		"small":   {{whole(itemOf("small", "8"))}, {whole(itemOf("small", "5"))}},
		"unfit":   {{partOf(of("unfit", 8), of("unfit", 9))}, {partOf(of("unfit", 7), of("unfit", 8))}, {partOf(of("unfit", 6), of("unfit", 7))}, {partOf(of("unfit", 5), of("unfit", 6))}},
	}
	rows := map[string]int{"whole": 1, "none": 1, "differs": 1, "mixed": 1, "large": 2, "small": 2, "unfit": 1}
	before := map[string]item.Item{"whole": of("whole", 5), "differs": of("differs", 5), "mixed": of("mixed", 5), "large": large(5), "small": itemOf("small", "5")}
	b := w.store.NewBatch()
	defer b.Close()
	for tail, list := range pieces {
		for n, steps := range list {
			value := binary.BigEndian.AppendUint64(nil, uint64(1000-n))
			for _, u := range steps {
				value = append(binary.AppendUvarint(append(value, u.version), uint64(len(u.body))), u.body...)
			}
			b.Set(binary.BigEndian.AppendUint32(append(bytes.Clone(space), tail...), uint32(n)), value)
		}
	}
	if err := w.store.Write(b); err != nil {
		t.Fatal(err)
	}
	is := func(_ context.Context, tail []byte) (item.Item, error) { return now[string(tail)], nil }
	for range 2 {
		left, err := w.db.fold(t.Context(), space, is)
		if err != nil {
			t.Fatal(err)
		}
		size, there := 0, map[string]int{}
		err = w.store.Each(space, func(key, value []byte) error {
			tail := string(key[len(space) : len(key)-pieceSize])
			if size += len(key) + len(value) + undoneRow; there[tail] == 0 && binary.BigEndian.Uint64(value) != 1000 {
				t.Errorf("%s was changed last at %d", tail, binary.BigEndian.Uint64(value))
			}
			there[tail]++
			return nil
		})
		if err != nil || size != left || fmt.Sprint(there) != fmt.Sprint(rows) {
			t.Errorf("%v, want %v; %d bytes, and told are %d; %v", there, rows, size, left, err)
		}
		for tail := range pieces {
			if tail == "unfit" {
				if it, err := w.db.undoing(space, is)(t.Context(), []byte(tail)); !errors.Is(err, errUnfit) {
					t.Errorf("unfit: %d bytes, %v", len(it), err)
				}
				continue
			}
			if it, err := w.db.undoing(space, is)(t.Context(), []byte(tail)); err != nil || !bytes.Equal(it, before[tail]) {
				t.Errorf("%s: %d bytes, want %d; %v", tail, len(it), len(before[tail]), err)
			}
		}
	}
	b.Reset()
	for n, u := range []undone{partOf(of("unfit", 4), of("unfit", 5)), whole(of("unfit", 3)), partOf(of("unfit", 2), of("unfit", 3))} {
		value := binary.AppendUvarint(append(binary.BigEndian.AppendUint64(nil, uint64(900-n)), u.version), uint64(len(u.body)))
		b.Set(binary.BigEndian.AppendUint32(append(bytes.Clone(space), "unfit"...), uint32(10+n)), append(value, u.body...))
	}
	if err := w.store.Write(b); err != nil {
		t.Fatal(err)
	}
	if it, err := w.db.undoing(space, is)(t.Context(), []byte("unfit")); err != nil || !bytes.Equal(it, of("unfit", 2)) {
		t.Errorf("with an older row that has all of it: %d bytes, %v", len(it), err)
	}
}
