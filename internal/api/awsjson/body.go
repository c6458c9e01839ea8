package awsjson

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// MaxBody is the largest request body in bytes, as sent and as decompressed.
const MaxBody = 16 << 20

// firstRead is how much room a body of unknown length is given at first.
const firstRead = 4 << 10

// tooLarge means that a body passes MaxBody.
type tooLarge struct{}

func (*tooLarge) Error() string { return "the request body is larger than 16 MiB" }

// read returns the body of r, decompressed. It is valid until release.
func (b *buffers) read(r *http.Request) ([]byte, error) {
	if r.ContentLength > MaxBody {
		return nil, &tooLarge{}
	}
	var source io.Reader = r.Body
	if source == nil {
		return nil, nil
	}
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
		body, err := b.fill(source, r.ContentLength)
		if err != nil && !isTooLarge(err) {
			// The caller stopped sending: what came is no JSON.
			err = awserr.Serialization("")
		}
		return body, err
	case "gzip", "deflate":
		// The bound on what is sent holds for bodies without a length too.
		sent := &bounded{source: source, left: MaxBody}
		var body []byte
		unpacked, err := unpack(sent, encoding)
		if err == nil {
			body, err = b.fill(unpacked, -1)
		}
		if err != nil && !isTooLarge(err) {
			err = awserr.Internal() // as AWS answers what is not compressed as it says
		}
		return body, err
	default:
		return nil, awserr.Internal() // as AWS answers a coding that it does not know
	}
}

func isTooLarge(err error) bool {
	var large *tooLarge
	return errors.As(err, &large)
}

func unpack(sent io.Reader, encoding string) (io.Reader, error) {
	if encoding == "gzip" {
		return gzip.NewReader(sent)
	}
	return zlib.NewReader(sent)
}

// fill reads source to its end into b.in. length is how much it will be, -1 when
// that is not known.
func (b *buffers) fill(source io.Reader, length int64) ([]byte, error) {
	room := firstRead
	if length >= 0 {
		room = int(length) + 1 // one more, so that the end is met without growing
	}
	in := b.in[:0]
	if cap(in) < room {
		in = make([]byte, 0, room)
	}
	for {
		if len(in) == cap(in) {
			in = append(in, 0)[:len(in)]
		}
		n, err := source.Read(in[len(in):cap(in)])
		in = in[:len(in)+n]
		b.in = in
		switch {
		case len(in) > MaxBody:
			return nil, &tooLarge{}
		case err == io.EOF:
			return in, nil
		case err != nil:
			return nil, err
		}
	}
}

// bounded fails with tooLarge after left bytes.
type bounded struct {
	source io.Reader
	left   int64
}

func (s *bounded) Read(p []byte) (int, error) {
	if s.left < 0 {
		return 0, &tooLarge{}
	}
	if int64(len(p)) > s.left+1 {
		p = p[:s.left+1]
	}
	n, err := s.source.Read(p)
	s.left -= int64(n)
	return n, err
}
