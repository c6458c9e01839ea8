package process

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millstreamdb/millstream/internal/function/logs"
)

const (
	// tailLimit is how much of an invocation's log its caller may see.
	tailLimit = 4 << 10
	// readRate and readBurst bound the bytes per second that are read from one
	// process. Beyond them the pipe fills and the process waits in its write: one
	// that prints without end then costs its own time and nobody else's.
	readRate  = 4 << 20
	readBurst = 8 << 20
	// drainLimit bounds what one drain reads of a process that keeps on printing.
	drainLimit = 256 << 10
	// maxFrame bounds the text of one frame; what says more is no frame.
	maxFrame = 64 << 20
)

// output reads what one process prints, stdout and stderr through one pipe so that
// their order is kept, and makes lines of it. Through the same pipe come the frames of
// runtimes that write log events to the descriptor of _LAMBDA_TELEMETRY_LOG_FD: each is
// one event, line ends and all.
type output struct {
	log  *logs.Log
	keep func(line []byte) bool // whether a printed line is logged; nil: all are
	r    *os.File
	raw  syscall.RawConn

	mu      sync.Mutex // guards what follows, and is held over each read of the pipe
	buf     []byte
	lines   [][]byte // of one piece of buf
	head    []byte   // of a frame, as far as it has come
	frame   []byte   // the text of a frame, at most a line's bytes
	missing int      // bytes of a frame that have not come
	partial []byte   // a line whose end has not come
	cut     bool     // partial was longer than a line may be; skip to its end
	tail    []byte   // lines since the last invocation ended, at least the last tailLimit bytes
	eof     bool
	stop    chan struct{}
	closed  bool
}

// pipe is what a process prints to, and its other end.
type pipe struct{ r, w *os.File }

func newPipe() (p pipe, err error) {
	if p.r, p.w, err = os.Pipe(); err != nil {
		return p, fmt.Errorf("make the output pipe: %w", err)
	}
	return p, nil
}

func (p pipe) close() {
	p.r.Close()
	p.w.Close()
}

// newOutput returns the reader of a pipe.
func newOutput(log *logs.Log, p pipe) (*output, error) {
	raw, err := p.r.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("read the output pipe: %w", err)
	}
	return &output{log: log, r: p.r, raw: raw, buf: make([]byte, 16<<10), stop: make(chan struct{})}, nil
}

// dup is a second descriptor of w.
func dup(w *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make the frames' pipe: %w", err)
	}
	return os.NewFile(uintptr(fd), "frames"), nil
}

// run reads until the pipe ends or close is called.
func (o *output) run() {
	tokens, last := readBurst, time.Now()
	for {
		n := 0
		err := o.raw.Read(func(fd uintptr) bool {
			var again bool
			n, again = o.read(int(fd))
			return !again
		})
		if err != nil || n <= 0 {
			return
		}
		now := time.Now()
		tokens = min(readBurst, tokens+int(min(now.Sub(last), time.Minute)*readRate/time.Second)) - n
		last = now
		if tokens >= 0 {
			continue
		}
		select {
		case <-o.stop:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// read takes one piece from the pipe; again means that it is empty now.
func (o *output) read(fd int) (n int, again bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.eof {
		return 0, false
	}
	for {
		n, err := syscall.Read(fd, o.buf)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return 0, true
		case err != nil || n == 0:
			o.eof = true
			o.flush()
			return 0, false
		}
		o.take(o.buf[:n])
		return n, false
	}
}

// drain takes what the process has printed up to now, so that it comes before
// what is logged next. It never waits.
func (o *output) drain() {
	_ = o.raw.Control(func(fd uintptr) { // fails only when the pipe is closed
		for left := drainLimit; left > 0; {
			n, again := o.read(int(fd))
			if again || n <= 0 {
				return
			}
			left -= n
		}
	})
}

// take takes a piece of what was printed: text, and frames within it. A piece for which
// the log has no room left is only counted, which costs a process that prints without
// end, and everybody beside it, next to nothing. mu is held.
func (o *output) take(b []byte) {
	room := o.log.Room(len(b))
	if len(o.head) > 0 { // the begin of a frame's head, or of something that looks like it
		b = append(o.head, b...)
		o.head = nil
	}
	for len(b) > 0 {
		if o.missing > 0 {
			n := min(len(b), o.missing)
			o.missing -= n
			o.frame = append(o.frame, b[:min(n, max(0, logs.MaxLine+1-len(o.frame)))]...)
			b = b[n:]
			if o.missing == 0 {
				o.event(room)
			}
			continue
		}
		i := frameStart(b)
		if i > 0 {
			o.text(b[:i], room)
			b = b[i:]
		}
		if len(b) == 0 {
			break
		}
		if len(b) < frameHead {
			o.head = append([]byte(nil), b...)
			break
		}
		o.missing, o.frame = int(binary.BigEndian.Uint32(b[4:])), o.frame[:0]
		b = b[frameHead:]
	}
	o.commit()
}

// frameHead is how long a frame's head is: four bytes of type, four of length, eight of
// time.
const frameHead = 16

// frameStart returns where in b a frame's head begins, or may begin if more came; len(b)
// when there is none. Its first byte cannot begin a character in UTF-8, and the third is NUL.
func frameStart(b []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], 0xa5)
		if i < 0 {
			return len(b)
		}
		from += i
		if isFrame(b[from:]) {
			return from
		}
		from++
	}
}

// isFrame reports whether b begins with a frame's head, as far as it goes.
func isFrame(b []byte) bool {
	return (len(b) < 2 || b[1] == 0x5a) && (len(b) < 3 || b[2] == 0) &&
		(len(b) < 4 || b[3]&^0x1c == 2 || b[3]&^0x1c == 3) && (len(b) < 8 || binary.BigEndian.Uint32(b[4:]) <= maxFrame)
}

// event logs a frame that has come whole. mu is held.
func (o *output) event(room bool) {
	event := bytes.TrimRight(o.frame, "\r\n")
	if !room {
		o.log.Drop(1)
		o.remember(event)
		return
	}
	o.commit()
	o.line(event)
}

// text splits b into lines. mu is held.
func (o *output) text(b []byte, room bool) {
	if !room {
		o.skip(b)
		return
	}
	for len(b) > 0 {
		piece, rest, whole := bytes.Cut(b, []byte{'\n'})
		b = rest
		if whole && len(o.partial) == 0 && !o.cut {
			if piece = bytes.TrimSuffix(piece, []byte{'\r'}); o.keep == nil || o.keep(piece) {
				o.lines = append(o.lines, piece)
			}
			continue
		}
		if !o.cut {
			o.partial = append(o.partial, piece...)
			if len(o.partial) > logs.MaxLine {
				o.commit()
				o.line(o.partial)
				o.partial, o.cut = o.partial[:0], true
			}
		}
		if whole {
			if line := bytes.TrimSuffix(o.partial, []byte{'\r'}); !o.cut && (o.keep == nil || o.keep(line)) {
				o.commit()
				o.line(line)
			}
			o.partial, o.cut = o.partial[:0], false
		}
	}
}

// commit logs the lines that were gathered, together. mu is held.
func (o *output) commit() {
	o.log.Write(o.lines...)
	for _, l := range o.lines {
		o.remember(l)
	}
	o.lines = o.lines[:0]
}

// skip drops the lines that end in b. mu is held.
func (o *output) skip(b []byte) {
	last := bytes.LastIndexByte(b, '\n') + 1
	if last > 0 {
		n := bytes.Count(b[:last], []byte{'\n'})
		if o.cut {
			n-- // it was logged, or counted, when it was cut
		}
		o.log.Drop(n)
		o.partial = append(o.partial, b[:last-1]...)
		o.remember(o.partial)
		o.partial, o.cut = o.partial[:0], false
	}
	if o.cut {
		return
	}
	if o.partial = append(o.partial, b[last:]...); len(o.partial) > logs.MaxLine {
		o.log.Drop(1)
		o.partial, o.cut = o.partial[:0], true
	}
}

// flush takes an unfinished line, and an unfinished frame, as a whole one. mu is held.
func (o *output) flush() {
	if o.missing > 0 && len(o.frame) > 0 {
		o.line(o.frame)
	}
	o.missing, o.frame = 0, o.frame[:0]
	if len(o.head) > 0 {
		o.partial = append(o.partial, o.head...)
		o.head = nil
	}
	if len(o.partial) > 0 {
		o.line(o.partial)
		o.partial = o.partial[:0]
	}
}

// line logs one line. mu is held.
func (o *output) line(b []byte) {
	o.log.Write(b)
	o.remember(b)
}

// remember adds what was printed to the tail. mu is held.
func (o *output) remember(b []byte) {
	if len(b) > tailLimit {
		b = b[len(b)-tailLimit:]
	}
	o.tail = append(append(o.tail, b...), '\n')
	if len(o.tail) > 4*tailLimit {
		o.tail = append(o.tail[:0], o.tail[len(o.tail)-tailLimit:]...)
	}
}

// platform logs a line of Lambda's own; nil is none.
func (o *output) platform(line []byte) {
	if line == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	o.line(line)
}

// end closes the log of an invocation and returns its tail, if it is wanted.
func (o *output) end(lines [][]byte, wanted bool) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	for _, l := range lines {
		if l != nil {
			o.line(l)
		}
	}
	var tail []byte
	if wanted {
		tail = append(tail, o.tail[max(0, len(o.tail)-tailLimit):]...)
	}
	o.tail = o.tail[:0]
	return tail
}

// close frees the pipe and ends run.
func (o *output) close() {
	o.mu.Lock()
	if !o.closed {
		o.closed = true
		close(o.stop)
	}
	o.flush()
	o.mu.Unlock()
	o.r.Close()
}
