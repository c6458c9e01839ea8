package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The witness remembers what the disk has promised to keep. The engine takes a log
// that was cut for one that a crash has cut, a log that is missing for one that is
// no longer needed, and a damaged list of its files (the manifest) for a shorter
// one: it opens without a word, and synced, acknowledged writes are gone. So the
// file WITNESS says, for each log and manifest, how long it was at its last sync,
// and the hash of its bytes up to there. Open compares (see verify.go).
//
// The invariant: what the newest whole slot says is true of the disk after any
// crash, so that a difference is damage and never a false alarm.
//
//   - An extent is noted after the sync of its file has returned. Whether the note
//     itself reaches the disk does not matter: an older one is true as well.
//   - Before a file is removed, used again under another name or made anew, its
//     extent is struck out, and that is synced.
//   - The engine syncs its folder before it writes to a new log, so a log that is
//     noted is in the folder. A manifest counts only once the engine's marker names
//     it, and its note is synced before that marker is made.
//
// A note is one write of some hundred bytes to the system's cache for each sync of a
// log, which takes a thousand times as long; it is synced once a second. So the
// witness is exact when the process was killed, and a second old at most when the
// machine was.
type witness struct {
	fs  vfs.FS
	dir string
	log *slog.Logger

	mu          sync.Mutex // guards the following
	file        vfs.File   // nil: closed
	turn        uint64     // of the newest slot
	incarnation uint64     // of the store that writes; 0: none has yet finished its Open
	files       map[string]extent
	timer       *time.Timer // runs while there is a note that is not synced
	failed      bool        // and said
	idle        sync.WaitGroup
}

// extent is the beginning of a file.
type extent struct {
	end uint64 // bytes
	sum uint64 // their xxhash64
}

const (
	witnessFile      = "WITNESS"
	witnessMagic     = "MWIT\x01"
	witnessSlots     = 3
	witnessSlotBytes = 4096 // what a disk writes at once, or more
	witnessFilesMax  = 100  // fit in a slot; the engine has a handful
	witnessSyncEvery = time.Second
)

// isWitnessed says whether the engine's file of this name is one that it appends to
// and relies on.
func isWitnessed(base string) bool {
	return strings.HasSuffix(base, ".log") || strings.HasPrefix(base, "MANIFEST-")
}

// openWitness reads the newest slot of the folder's witness. Without a file, or when
// no store has finished its first Open, the witness is blank: incarnation 0.
func openWitness(f vfs.FS, dir string, log *slog.Logger) (*witness, error) {
	w := &witness{fs: f, dir: dir, log: log, files: map[string]extent{}}
	name := f.PathJoin(dir, witnessFile)
	text, err := readFile(f, name)
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: read %s: %w", name, err)
	}
	found := false
	for slot := range slices.Chunk(text, witnessSlotBytes) {
		turn, incarnation, files, ok := decodeSlot(slot)
		if ok && (!found || turn > w.turn) {
			found = true
			w.turn, w.incarnation, w.files = turn, incarnation, files
		}
	}
	if !found {
		return nil, fmt.Errorf("%w: %s cannot be read, so that a loss at the end of the log could not be told; "+
			"restore the folder from a backup, or remove that file to open the folder as it is", ErrDamaged, name)
	}
	if w.incarnation == 0 {
		clear(w.files)
	}
	return w, nil
}

// start makes the file, unless it is there, and begins to take notes.
func (w *witness) start() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := w.fs.PathJoin(w.dir, witnessFile)
	if _, err := w.fs.Stat(name); errors.Is(err, fs.ErrNotExist) {
		blank := make([]byte, witnessSlots*witnessSlotBytes)
		w.turn = 0
		copy(blank, w.encode())
		if err := writeFile(w.fs, w.dir, witnessFile, blank); err != nil {
			return fmt.Errorf("store: make %s: %w", name, err)
		}
	}
	file, err := w.fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("store: open %s: %w", name, err)
	}
	w.file = file
	return w.keep()
}

// enter says which store writes from now on. It is durable when it returns, and is
// called before that store's incarnation is in the database: a database with a
// higher one has been opened by a program that keeps no witness.
func (w *witness) enter(incarnation uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.incarnation = incarnation
	return w.keep()
}

// note takes down that a file has been synced.
func (w *witness) note(base string, e extent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.files[base] == e || w.file == nil {
		return
	}
	w.files[base] = e
	if err := w.write(); err != nil {
		// What the disk holds is older and as true. A disk that fails will soon be
		// known by the log.
		if !w.failed {
			w.log.Error("the witness of the log cannot be written: a loss at the log's end might go unseen", "error", err)
		}
		w.failed = true
		return
	}
	w.failed = false
	if w.timer == nil {
		w.idle.Add(1)
		w.timer = time.AfterFunc(witnessSyncEvery, w.syncSoon)
	}
}

func (w *witness) syncSoon() {
	defer w.idle.Done()
	w.mu.Lock()
	w.timer = nil
	file := w.file
	w.mu.Unlock()
	if file != nil {
		_ = file.SyncData() // outside the lock: the log goes on; an error is of no more weight than in note
	}
}

// synced is how much of a file is known to be synced.
func (w *witness) synced(base string) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.files[base].end
}

// forget strikes a file out, durably, before it is removed or made anew.
func (w *witness) forget(base string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.files[base]; !known || w.file == nil {
		return nil
	}
	delete(w.files, base)
	return w.keep()
}

// sync makes what was noted durable.
func (w *witness) sync() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return nil
	}
	return w.keep()
}

// keep writes and syncs. mu is held.
func (w *witness) keep() error {
	if err := w.write(); err != nil {
		return fmt.Errorf("store: write %s: %w", witnessFile, err)
	}
	if err := w.file.SyncData(); err != nil {
		return fmt.Errorf("store: sync %s: %w", witnessFile, err)
	}
	return nil
}

// write writes the next slot. mu is held.
func (w *witness) write() error {
	w.turn++
	_, err := w.file.WriteAt(w.encode(), int64(w.turn%witnessSlots*witnessSlotBytes))
	return err
}

// encode returns a slot: magic with version, turn (8), incarnation (8), number of
// files (2), each as length of the name (1), name, end (8), sum (8); then the
// xxhash64 of all that (8). mu is held.
func (w *witness) encode() []byte {
	names := slices.SortedFunc(maps.Keys(w.files), byNumber)
	if extra := len(names) - witnessFilesMax; extra > 0 {
		names = names[extra:] // manifests and the newest logs stay
	}
	b := append(make([]byte, 0, 256), witnessMagic...)
	b = binary.BigEndian.AppendUint64(b, w.turn)
	b = binary.BigEndian.AppendUint64(b, w.incarnation)
	b = binary.BigEndian.AppendUint16(b, uint16(len(names)))
	for _, name := range names {
		e := w.files[name]
		b = append(append(b, byte(len(name))), name...)
		b = binary.BigEndian.AppendUint64(b, e.end)
		b = binary.BigEndian.AppendUint64(b, e.sum)
	}
	return binary.BigEndian.AppendUint64(b, xxhash.Sum64(b))
}

// decodeSlot is the inverse of encode; ok is false for what no encode has made whole.
func decodeSlot(b []byte) (turn, incarnation uint64, files map[string]extent, ok bool) {
	whole := b
	take := func(n int) []byte {
		if len(b) < n {
			b, ok = nil, false
			return make([]byte, n)
		}
		part := b[:n]
		b = b[n:]
		return part
	}
	ok = true
	if string(take(len(witnessMagic))) != witnessMagic {
		return 0, 0, nil, false
	}
	turn = binary.BigEndian.Uint64(take(8))
	incarnation = binary.BigEndian.Uint64(take(8))
	files = map[string]extent{}
	for range binary.BigEndian.Uint16(take(2)) {
		name := string(take(int(take(1)[0])))
		files[name] = extent{end: binary.BigEndian.Uint64(take(8)), sum: binary.BigEndian.Uint64(take(8))}
		if !ok {
			return 0, 0, nil, false
		}
	}
	body := whole[:len(whole)-len(b)]
	sum := binary.BigEndian.Uint64(take(8))
	return turn, incarnation, files, ok && sum == xxhash.Sum64(body)
}

// stop syncs what was noted and ends.
func (w *witness) stop() error {
	w.mu.Lock()
	if w.timer != nil && w.timer.Stop() {
		w.idle.Done()
	}
	w.timer = nil
	file := w.file
	w.file = nil
	w.mu.Unlock()
	w.idle.Wait()
	if file == nil {
		return nil
	}
	return errors.Join(file.SyncData(), file.Close())
}

// witnessedFile is a log or manifest while the engine writes it, from its beginning
// and by one goroutine at a time.
type witnessedFile struct {
	vfs.File
	w      *witness
	base   string
	end    uint64
	digest *xxhash.Digest
	torn   bool // a write ended early: what the digest covers is not what is there
	// The engine asks for room up to ahead; it has been taken up to taken.
	ahead, taken int64
}

// logStep is how much room on the disk a log takes ahead of what is written.
const logStep = 4 << 20

// Preallocate takes the room in steps. The engine asks for as much as a full memtable at once, for each log; but at its start memtables are small,
// and its logs wait together for the first flush: five of them held 180 MB of a small disk, with 4 MB in them, and the reserve was gone.
func (f *witnessedFile) Preallocate(offset, length int64) error {
	f.ahead, f.taken = offset+length, max(f.taken, offset)
	return f.takeRoom()
}

func (f *witnessedFile) takeRoom() error {
	n := min(logStep, f.ahead-f.taken)
	if n <= 0 {
		return nil
	}
	offset := f.taken
	f.taken += n
	return f.File.Preallocate(offset, n)
}

// Write takes the sum before it writes: unlike io.Writer's, a vfs.File's Write may change p.
func (f *witnessedFile) Write(p []byte) (int, error) {
	for int64(f.end)+int64(len(p)) > f.taken && f.taken < f.ahead {
		_ = f.takeRoom() // as the engine does: it is for speed alone
	}
	_, _ = f.digest.Write(p) // never fails
	n, err := f.File.Write(p)
	f.end += uint64(n)
	f.torn = f.torn || n < len(p)
	return n, err
}

func (f *witnessedFile) Sync() error     { return f.synced(f.File.Sync()) }
func (f *witnessedFile) SyncData() error { return f.synced(f.File.SyncData()) }

func (f *witnessedFile) synced(err error) error {
	if err == nil && f.end > 0 && !f.torn {
		f.w.note(f.base, extent{f.end, f.digest.Sum64()})
	}
	return err
}
