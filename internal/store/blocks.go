package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// For a block that does not match its checksum the engine looks for the one bit that
// was flipped, by trying each of its first 40 KB in turn: that takes 20 ms of a
// core for 4 KB and minutes for 4 MB, at every read. So larger blocks are checked
// before the engine sees them, at some 0.1 µs a KB, and are refused when they are damaged.

// checkedBlock is the size above which a block is checked here.
const checkedBlock = 8 << 10

// blockTrailer follows each block: its kind of compression, and a CRC-32C of both.
const blockTrailer = 1 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// isTable says whether a path is that of a table.
func isTable(path string) bool { return strings.HasSuffix(path, ".sst") }

// tableFile is a table as the engine reads it: a block a call.
type tableFile struct{ vfs.File }

func (f tableFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if err == nil && len(p) > checkedBlock && !wholeBlock(p) {
		return 0, fmt.Errorf("%w: block %d/%d: checksum mismatch", pebble.ErrCorruption, off, len(p)-blockTrailer)
	}
	return n, err
}

// wholeBlock says whether a block, with its trailer, matches its checksum.
func wholeBlock(b []byte) bool {
	c := crc32.Checksum(b[:len(b)-4], castagnoli)
	return binary.LittleEndian.Uint32(b[len(b)-4:]) == (c>>15|c<<17)+0xa282ead8
}
