package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// timeFormat begins every line of a file.
const timeFormat = "2006-01-02T15:04:05.000Z"

// Log is the log of one function. It outlives the function, as a log group does.
//
// Locks: order, then mu or Sink.mu; Sink.mu, then mu. So mu is released before a
// line is delivered.
type Log struct {
	sink *Sink
	key  key
	path string // "" without files

	mu      sync.Mutex // guards what follows
	ring    []Line     // newest last
	ringLen int        // bytes of text in ring
	tokens  int
	last    time.Time // when tokens were last added
	dropped int       // lines since the last kept one
	buf     []byte    // lines that wait for the file
	timer   *time.Timer
	missing int // lines since the last that could be written to the file
	closed  bool

	order sync.Mutex // held from Write's append to its deliver, so that followers see one order
}

// Write keeps lines, each cut at MaxLine, and returns how many there was room for.
// The texts are not used after it returns.
func (l *Log) Write(texts ...[]byte) (kept int) { return l.write(false, texts) }

// Note keeps a line that the server says of the function as it was deployed.
func (l *Log) Note(text string) { l.write(true, [][]byte{[]byte(text)}) }

func (l *Log) write(note bool, texts [][]byte) (kept int) {
	if len(texts) == 0 {
		return 0
	}
	l.order.Lock()
	defer l.order.Unlock()
	now := l.sink.now()
	var lines []Line
	l.mu.Lock()
	for _, text := range texts {
		before := len(lines)
		if lines = l.add(lines, now, text); len(lines) > before {
			kept++
			lines[len(lines)-1].Note = note
			l.ring[len(l.ring)-1].Note = note
		}
	}
	l.mu.Unlock()
	if len(lines) == 0 {
		return 0
	}
	if l.sink.print != nil {
		l.sink.print(lines)
	}
	l.sink.deliver(lines)
	return kept
}

// Room reports whether so many more bytes of lines may be logged now.
func (l *Log) Room(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refill(l.sink.now())
	return l.tokens >= n
}

// Drop counts lines that nobody tried to write because there was no room.
func (l *Log) Drop(lines int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped += lines
}

// refill adds the tokens that have come due. mu is held.
func (l *Log) refill(now time.Time) {
	if gone := now.Sub(l.last); gone > 0 {
		l.tokens = min(burst, l.tokens+int(min(gone, time.Minute)*rate/time.Second))
	}
	l.last = now
}

// add keeps a line, and before it a note of those dropped, if there is room, and
// appends them to lines. mu is held.
func (l *Log) add(lines []Line, now time.Time, text []byte) []Line {
	if len(text) > MaxLine {
		cut := append([]byte(nil), text[:MaxLine]...)
		text = append(cut, " [line cut]"...)
	}
	l.refill(now)
	cost := len(text) + 32
	if l.closed || l.tokens < cost {
		l.dropped++
		return lines
	}
	l.tokens -= cost
	if l.dropped > 0 {
		note := fmt.Appendf(nil, "[%d lines dropped: the function prints more than %d KB a second]", l.dropped, rate>>10)
		lines = append(lines, l.line(now, note))
		l.dropped = 0
	}
	return append(lines, l.line(now, text))
}

// line puts a line into ring and buffer. mu is held.
func (l *Log) line(now time.Time, text []byte) Line {
	line := Line{Time: now, Scope: l.key.scope, Function: l.key.function, Text: string(text), seq: l.sink.seq.Add(1)}
	l.remember(line)
	if l.path == "" {
		return line
	}
	l.buf = now.UTC().AppendFormat(l.buf, timeFormat)
	l.buf = append(l.buf, ' ')
	l.buf = append(l.buf, text...)
	l.buf = append(l.buf, '\n')
	if len(l.buf) >= 64<<10 {
		_ = l.flush()
	} else if l.timer == nil {
		l.timer = time.AfterFunc(flushAfter, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.timer = nil
			_ = l.flush() // the file says so once it can be written again
		})
	}
	return line
}

func (l *Log) remember(line Line) {
	l.ring = append(l.ring, line)
	l.ringLen += len(line.Text) + 64
	drop := 0
	for l.ringLen > maxRing && drop < len(l.ring)-1 {
		l.ringLen -= len(l.ring[drop].Text) + 64
		l.ring[drop] = Line{}
		drop++
	}
	l.ring = l.ring[drop:]
}

// flush writes the buffer to the file. When that fails, the lines are in memory only, and the next flush tries again: then
// the file says how many it lacks. mu is held.
func (l *Log) flush() error {
	if len(l.buf) == 0 {
		return nil
	}
	lines := bytes.Count(l.buf, []byte("\n"))
	text := l.buf
	if l.missing > 0 {
		note := l.sink.now().UTC().AppendFormat(nil, timeFormat)
		note = fmt.Appendf(note, " [%d lines are not in this file: it could not be written]\n", l.missing)
		text = append(note, text...)
	}
	l.buf = l.buf[:0]
	if err := l.append(text); err != nil {
		l.missing += lines
		return err
	}
	l.missing = 0
	return nil
}

// append writes to the end of the file, and rotates it before when it is full. The file is open for as long only: a
// server with thousands of functions has no descriptor for each.
func (l *Log) append(text []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return err
	}
	if st, err := os.Stat(l.path); err == nil && st.Mode().IsRegular() && st.Size()+int64(len(text)) > l.sink.fileLimit {
		if err := os.Rename(l.path, l.path+".1"); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return errors.Join(err, f.Truncate(st.Size())) // a part of it is no line
	}
	return nil
}

// recall fills the ring with the end of the file that an earlier run left.
func (l *Log) recall() {
	f, err := os.Open(l.path)
	if err != nil {
		return
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return
	}
	from := max(0, st.Size()-maxRing)
	tail, err := io.ReadAll(io.NewSectionReader(f, from, st.Size()-from))
	if err != nil {
		return
	}
	lines := bytes.Split(tail, []byte("\n"))
	if from > 0 {
		lines = lines[1:] // a part of a line
	}
	last := Line{Scope: l.key.scope, Function: l.key.function}
	for _, b := range lines {
		at, text, ok := cutTime(b)
		switch {
		case ok:
			if !last.Time.IsZero() {
				l.remember(last)
			}
			last.Time, last.Text = at, text
		case !last.Time.IsZero(): // the next line of an event that holds line ends
			last.Text += "\n" + string(b)
		}
	}
	if !last.Time.IsZero() {
		last.Text = strings.TrimSuffix(last.Text, "\n") // of the file's end
		l.remember(last)
	}
}

// cutTime takes a line of a file apart.
func cutTime(b []byte) (at time.Time, text string, ok bool) {
	if len(b) < len(timeFormat)+1 || b[len(timeFormat)] != ' ' {
		return time.Time{}, "", false
	}
	at, err := time.Parse(timeFormat, string(b[:len(timeFormat)]))
	return at, string(b[len(timeFormat)+1:]), err == nil
}

// Recent returns the newest lines, oldest first: at most n.
func (l *Log) Recent(n int) []Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := max(0, len(l.ring)-max(0, n))
	return append([]Line(nil), l.ring[from:]...)
}

// remove drops all lines, and the files.
func (l *Log) remove() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring, l.ringLen, l.buf, l.missing = nil, 0, l.buf[:0], 0
	if l.path == "" {
		return nil
	}
	var errs []error
	for _, path := range []string{l.path, l.path + ".1"} {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// close writes what is left. A write after it is dropped.
func (l *Log) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	return l.flush()
}
