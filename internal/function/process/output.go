package process

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

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
)

// output reads what one process prints, stdout and stderr through one pipe so that
// their order is kept, and makes lines of it.
type output struct {
	log *logs.Log
	r   *os.File
	raw syscall.RawConn

	mu      sync.Mutex // guards what follows, and is held over each read of the pipe
	buf     []byte
	lines   [][]byte // of one piece of buf
	partial []byte   // a line whose end has not come
	cut     bool     // partial was longer than a line may be; skip to its end
	tail    []byte   // lines since the last invocation ended, at least the last tailLimit bytes
	eof     bool
	stop    chan struct{}
	closed  bool
}

// newOutput returns the reader and the end that the process is to write to.
func newOutput(log *logs.Log) (*output, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make the output pipe: %w", err)
	}
	raw, err := r.SyscallConn()
	if err != nil {
		r.Close()
		w.Close()
		return nil, nil, fmt.Errorf("make the output pipe: %w", err)
	}
	return &output{log: log, r: r, raw: raw, buf: make([]byte, 16<<10), stop: make(chan struct{})}, w, nil
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

// take splits b into lines and logs them together. A piece for which the log has
// no room left is only counted, which costs a process that prints without end, and
// everybody beside it, next to nothing. mu is held.
func (o *output) take(b []byte) {
	if !o.log.Room(len(b)) {
		o.skip(b)
		return
	}
	o.lines = o.lines[:0]
	for len(b) > 0 {
		piece, rest, whole := bytes.Cut(b, []byte{'\n'})
		b = rest
		if whole && len(o.partial) == 0 && !o.cut {
			o.lines = append(o.lines, bytes.TrimSuffix(piece, []byte{'\r'}))
			continue
		}
		if !o.cut {
			o.partial = append(o.partial, piece...)
			if len(o.partial) > logs.MaxLine {
				o.line(o.partial)
				o.partial, o.cut = o.partial[:0], true
			}
		}
		if whole {
			if !o.cut {
				o.line(bytes.TrimSuffix(o.partial, []byte{'\r'}))
			}
			o.partial, o.cut = o.partial[:0], false
		}
	}
	o.log.Write(o.lines...)
	for _, l := range o.lines {
		o.remember(l)
	}
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

// flush takes an unfinished line as a whole one. mu is held.
func (o *output) flush() {
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

// platform logs a line of Lambda's own.
func (o *output) platform(line []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	o.line(line)
}

// end closes the log of an invocation and returns its tail.
func (o *output) end(lines [][]byte) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	for _, l := range lines {
		o.line(l)
	}
	tail := append([]byte(nil), o.tail[max(0, len(o.tail)-tailLimit):]...)
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
