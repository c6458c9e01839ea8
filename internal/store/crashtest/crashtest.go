// Package crashtest is a disk in memory for tests of durability. It keeps apart
// what has been synced from what has not, and can be copied at any moment as a
// crash of the machine would leave it: synced data whole, and of the rest each
// 4 KiB block and each directory entry by chance. It counts syncs, and can be told
// to fail.
package crashtest

import (
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Disk is a crashable disk in memory. It may be used by several goroutines, and
// inside a testing/synctest bubble.
type Disk struct {
	mem   *vfs.MemFS
	fs    *diskFS
	syncs [2]atomic.Int64 // of logs, of anything else
	fault atomic.Pointer[Fault]
}

// Fault decides whether an operation on a file fails: op is "create", "write" or
// "sync". A nil error lets it through.
type Fault func(op, file string) error

// New returns an empty disk.
func New() *Disk { return wrap(vfs.NewCrashableMem()) }

func wrap(mem *vfs.MemFS) *Disk {
	d := &Disk{mem: mem}
	d.fs = &diskFS{FS: mem, d: d}
	return d
}

// FS is what a store is opened on.
func (d *Disk) FS() vfs.FS { return d.fs }

// Mem is the file system under FS, for what must pass by the faults.
func (d *Disk) Mem() *vfs.MemFS { return d.mem }

// Clone returns the disk as a crash at this moment would leave it. The seed
// decides what survives of the unsynced data: for a third of seeds nothing, for
// some of the others nearly all. Whoever still writes to d does not touch the clone.
func (d *Disk) Clone(seed uint64) *Disk {
	rng := rand.New(rand.NewPCG(seed, 0x6d696c6c))
	percent := 0
	if rng.IntN(3) > 0 {
		percent = rng.IntN(101)
	}
	return d.CloneKeeping(percent, seed)
}

// CloneKeeping is Clone with the chance, in percent, that an unsynced block or
// directory entry survives.
func (d *Disk) CloneKeeping(percent int, seed uint64) *Disk {
	return wrap(d.mem.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: percent,
		RNG:                 rand.New(rand.NewPCG(seed, 0x73747265)),
	}))
}

// LogSyncs returns how often a write-ahead log was synced.
func (d *Disk) LogSyncs() int64 { return d.syncs[0].Load() }

// Syncs returns how often anything was synced.
func (d *Disk) Syncs() int64 { return d.syncs[0].Load() + d.syncs[1].Load() }

// Fail makes operations fail as f says, from now on; nil ends it.
func (d *Disk) Fail(f Fault) {
	if f == nil {
		d.fault.Store(nil)
		return
	}
	d.fault.Store(&f)
}

func (d *Disk) failure(op, file string) error {
	if f := d.fault.Load(); f != nil {
		return (*f)(op, file)
	}
	return nil
}

type diskFS struct {
	vfs.FS
	d *Disk
}

func (f *diskFS) Unwrap() vfs.FS { return f.FS }

func (f *diskFS) file(name string, file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &diskFile{File: file, d: f.d, name: name, isLog: strings.HasSuffix(name, ".log")}, nil
}

func (f *diskFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.d.failure("create", name); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(name, c)
	return f.file(name, file, err)
}

func (f *diskFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.d.failure("create", to); err != nil {
		return nil, err
	}
	file, err := f.FS.ReuseForWrite(from, to, c)
	return f.file(to, file, err)
}

func (f *diskFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.OpenReadWrite(name, c, o...)
	return f.file(name, file, err)
}

func (f *diskFS) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	return f.file(name, file, err)
}

type diskFile struct {
	vfs.File
	d     *Disk
	name  string
	isLog bool
}

func (f *diskFile) Write(p []byte) (int, error) {
	if err := f.d.failure("write", f.name); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *diskFile) sync(do func() error) error {
	if err := f.d.failure("sync", f.name); err != nil {
		return err
	}
	// Counted before it is done, so that a test that has seen the effect has seen
	// the count.
	if f.isLog {
		f.d.syncs[0].Add(1)
	} else {
		f.d.syncs[1].Add(1)
	}
	return do()
}

func (f *diskFile) Sync() error     { return f.sync(f.File.Sync) }
func (f *diskFile) SyncData() error { return f.sync(f.File.SyncData) }
