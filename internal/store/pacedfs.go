package store

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// pacedFS reads so many bytes a second at most, over all files: a look at a copy leaves the disk and the processors to the server that it is of.
type pacedFS struct {
	vfs.FS
	p *pace
}

func (f pacedFS) Unwrap() vfs.FS { return f.FS }

func (f pacedFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, opts...)
	if err != nil {
		return nil, err
	}
	return pacedFile{file, f.p}, nil
}

type pacedFile struct {
	vfs.File
	p *pace
}

func (f pacedFile) Read(b []byte) (int, error) {
	n, err := f.File.Read(b)
	f.p.read(n)
	return n, err
}

func (f pacedFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(b, at)
	f.p.read(n)
	return n, err
}

// pace spreads bytes over time.
type pace struct {
	rate int64 // a second

	mu   sync.Mutex
	next time.Time // when the next byte is due
}

// paceAhead is how much may be read at once after a pause.
const paceAhead = 100 * time.Millisecond

func (p *pace) read(n int) {
	p.mu.Lock()
	now := time.Now()
	if early := now.Add(-paceAhead); p.next.Before(early) {
		p.next = early
	}
	p.next = p.next.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	wait := p.next.Sub(now)
	p.mu.Unlock()
	if wait > 0 {
		time.Sleep(wait)
	}
}
