package chain

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
)

// A segment is: magic with its version, the length of the head (4), the head as JSON, the frames by zstd, and the xxhash64 of all that (8). A
// frame is the number of a batch (8), the number after it (8), its time in ms (8), its length (4), the batch. All big-endian.
const magic = "MSEG\x01"

// segmentBytes is how much a segment holds before compression, but for one larger batch.
const segmentBytes = 8 << 20

// segmentMost is the most that is read as one; a batch of the engine has less than 4 GB, and of ours much less.
const segmentMost = 1 << 30

// Head says what a segment is. Fields are only ever added.
type Head struct {
	Number      uint64 `json:"number"`
	Previous    uint64 `json:"previous"` // hash of the segment before
	Database    string `json:"database"`
	Lineage     string `json:"lineage"` // of the open of the folder that ships
	Incarnation uint64 `json:"incarnation"`
	Host        string `json:"host,omitempty"`
	Claim       bool   `json:"claim,omitempty"` // the first of a run
	// Gap: what the segments before this one have does not reach up to it.
	Gap  bool   `json:"gap,omitempty"`
	Part uint64 `json:"part"` // number of the newest segment with a gap
	// Renumber: the changes of later segments have numbers of their own, from First on. A standby goes on here from exactly what the segments before have.
	Renumber bool `json:"renumber,omitempty"`
	// First and End are the numbers of the first batch and of the one after the last; the same: there is none.
	First uint64 `json:"first"`
	End   uint64 `json:"end"`
	// Over is why the server that ships ends for another, which goes on elsewhere: nothing of that one is here.
	Over string `json:"over,omitempty"`
	AtMS int64  `json:"atMs"` // all that was acknowledged up to then is in the chain, unless Gap
	// Files have come to lie beside the database since the segment before, by their names in the data folder.
	Files []backup.File `json:"files,omitempty"`
}

func nameOf(number uint64) string { return fmt.Sprintf("chain/%016x", number) }

// encoder makes segments. It keeps what it makes them with: under load there are several a second.
type encoder struct {
	zip    *zstd.Encoder
	frames []byte // of the segment before, if that was large
}

// frameHeader is what a frame has before its batch, in bytes.
const frameHeader = 28

// encode returns a segment, and its hash. It is for one goroutine.
func (e *encoder) encode(h Head, changes []store.Change) (segment []byte, hash uint64, err error) {
	head, err := json.Marshal(h)
	if err != nil {
		return nil, 0, err
	}
	size := 0
	for i := range changes {
		size += frameHeader + len(changes[i].Batch)
	}
	frames := slices.Grow(e.frames[:0], size)
	if e.frames = nil; size >= segmentBytes/2 && size <= 2*segmentBytes {
		e.frames = frames
	}
	for _, c := range changes {
		for _, n := range []uint64{c.First, c.End, uint64(c.AtMS)} {
			frames = binary.BigEndian.AppendUint64(frames, n)
		}
		frames = binary.BigEndian.AppendUint32(frames, uint32(len(c.Batch)))
		frames = append(frames, c.Batch...)
	}
	segment = binary.BigEndian.AppendUint32([]byte(magic), uint32(len(head)))
	if e.zip == nil {
		if e.zip, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true)); err != nil {
			return nil, 0, err
		}
	}
	segment = e.zip.EncodeAll(frames, append(segment, head...))
	hash = xxhash.Sum64(segment)
	return binary.BigEndian.AppendUint64(segment, hash), hash, nil
}

var errTorn = errors.New("it is not what was written")

// decode reads what encode has made.
func decode(segment []byte) (h Head, hash uint64, changes []store.Change, err error) {
	if len(segment) < len(magic)+4+8 || !bytes.HasPrefix(segment, []byte(magic[:4])) {
		return h, 0, nil, errTorn
	}
	body, sum := segment[:len(segment)-8], segment[len(segment)-8:]
	if hash = xxhash.Sum64(body); hash != binary.BigEndian.Uint64(sum) {
		return h, 0, nil, errTorn
	}
	if body[4] != magic[4] {
		return h, 0, nil, fmt.Errorf("it was written by another release: its form is %d, and this one knows %d", body[4], magic[4])
	}
	n := binary.BigEndian.Uint32(body[5:])
	body = body[9:]
	if uint64(n) > uint64(len(body)) {
		return h, 0, nil, errTorn
	}
	if err := json.Unmarshal(body[:n], &h); err != nil {
		return h, 0, nil, fmt.Errorf("%w: %w", errTorn, err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(segmentMost), zstd.WithDecoderLowmem(true))
	if err != nil {
		return h, 0, nil, err
	}
	defer decoder.Close()
	frames, err := decoder.DecodeAll(body[n:], nil)
	if err != nil {
		return h, 0, nil, fmt.Errorf("%w: %w", errTorn, err)
	}
	for len(frames) > 0 {
		if len(frames) < frameHeader {
			return h, 0, nil, errTorn
		}
		c := store.Change{First: binary.BigEndian.Uint64(frames), End: binary.BigEndian.Uint64(frames[8:]), AtMS: int64(binary.BigEndian.Uint64(frames[16:]))}
		size := binary.BigEndian.Uint32(frames[24:])
		if frames = frames[frameHeader:]; uint64(size) > uint64(len(frames)) {
			return h, 0, nil, errTorn
		}
		c.Batch, frames = frames[:size:size], frames[size:]
		changes = append(changes, c)
	}
	return h, hash, changes, nil
}
