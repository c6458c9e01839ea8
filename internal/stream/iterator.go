package stream

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// iteratorLife is how long a shard iterator may be used.
const iteratorLife = 15 * time.Minute

// iterator is a position in a shard, as handed to clients: the stream's ARN, "|1|"
// as AWS's begin, and in base64 the fields below with a signature, by a key that is
// kept with the data: iterators survive a restart and cannot be made up.
type iterator struct {
	stream  uint64
	shard   uint32
	horizon bool       // from the oldest record, whichever that is when it is used
	after   seqnum.Num // otherwise: the records above it
	issued  int64      // ms since 1970
}

const (
	iteratorVersion = 1
	iteratorBody    = 1 + 8 + 4 + 1 + seqnum.Size + 8
	iteratorMAC     = 16
)

func (ss *Streams) encodeIterator(s *Stream, it iterator) string {
	b := make([]byte, 0, iteratorBody+sha256.Size)
	b = append(b, iteratorVersion)
	b = binary.BigEndian.AppendUint64(b, it.stream)
	b = binary.BigEndian.AppendUint32(b, it.shard)
	if it.horizon {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = it.after.Append(b)
	b = binary.BigEndian.AppendUint64(b, uint64(it.issued))
	b = append(b, ss.sign(b)...)
	return s.ARN + "|1|" + base64.StdEncoding.EncodeToString(b)
}

func (ss *Streams) sign(body []byte) []byte {
	mac := hmac.New(sha256.New, ss.store.TokenKey())
	mac.Write([]byte("shard iterator"))
	mac.Write(body)
	return mac.Sum(nil)[:iteratorMAC]
}

// decodeIterator checks integrity first, then age. That the ARN before the signed
// part is the stream's is left to the caller.
func (ss *Streams) decodeIterator(text string, now time.Time) (_ iterator, arn string, _ *awserr.Error) {
	arn, body, ok := strings.Cut(text, "|1|")
	if !ok {
		return iterator{}, "", awserr.InvalidIterator()
	}
	b, err := base64.StdEncoding.DecodeString(body)
	if err != nil || len(b) != iteratorBody+iteratorMAC || b[0] != iteratorVersion ||
		!hmac.Equal(b[iteratorBody:], ss.sign(b[:iteratorBody])) {
		return iterator{}, "", awserr.InvalidIterator()
	}
	it := iterator{
		stream: binary.BigEndian.Uint64(b[1:]), shard: binary.BigEndian.Uint32(b[9:]), horizon: b[13] == 1,
		after: seqnum.FromBytes(b[14:]), issued: int64(binary.BigEndian.Uint64(b[14+seqnum.Size:])),
	}
	if now.Sub(time.UnixMilli(it.issued)) > iteratorLife {
		return iterator{}, "", awserr.ExpiredIterator()
	}
	return it, arn, nil
}
