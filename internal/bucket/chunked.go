package bucket

import (
	"bufio"
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/sigv4"
)

// SDKs send bodies in aws-chunked form: chunks, each behind a line with its length in
// hexadecimal and perhaps a signature, and behind the last one trailers with a checksum.
// (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html)

const (
	maxLine     = 4 << 10 // of a chunk's length, or a trailer
	maxTrailers = 16
)

// decodeChunked makes a request's body plain.
func decodeChunked(r *http.Request) error {
	sum := r.Header.Get("X-Amz-Content-Sha256")
	encodings := strings.Split(r.Header.Get("Content-Encoding"), ",")
	chunked := strings.HasPrefix(sum, "STREAMING-")
	encodings = slices.DeleteFunc(encodings, func(e string) bool {
		is := strings.TrimSpace(e) == "aws-chunked"
		chunked = chunked || is
		return is || strings.TrimSpace(e) == ""
	})
	if !chunked {
		return nil
	}
	length, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil || length < 0 {
		return errors.New("a body in aws-chunked form needs the header X-Amz-Decoded-Content-Length")
	}
	d := &chunks{from: bufio.NewReaderSize(r.Body, maxLine), body: r.Body, left: length}
	if pieces := sigv4.PiecesOf(r.Context()); pieces != nil {
		d.pieces, d.piece = pieces, sha256.New()
	}
	for _, name := range strings.Split(r.Header.Get("X-Amz-Trailer"), ",") {
		if h := checksum(strings.TrimSpace(strings.ToLower(name))); h != nil {
			d.name, d.sum = strings.TrimSpace(strings.ToLower(name)), h
		}
	}
	r.Body, r.ContentLength = d, length
	r.Header.Set("Content-Length", strconv.FormatInt(length, 10))
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	r.Header.Del("X-Amz-Decoded-Content-Length")
	r.Header.Del("X-Amz-Trailer")
	if r.Header.Del("Content-Encoding"); len(encodings) > 0 {
		r.Header.Set("Content-Encoding", strings.Join(encodings, ","))
	}
	return nil
}

// checksum is the hash of a trailer; nil for one that is not checked.
func checksum(trailer string) hash.Hash {
	switch trailer {
	case "x-amz-checksum-crc32":
		return crc32.NewIEEE()
	case "x-amz-checksum-crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "x-amz-checksum-crc64nvme":
		return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5))
	case "x-amz-checksum-sha1":
		return sha1.New()
	case "x-amz-checksum-sha256":
		return sha256.New()
	}
	return nil
}

// errSignature is of requests and of their pieces.
var errSignature = &awserr.Error{Code: "SignatureDoesNotMatch", Message: "The request signature we calculated does not match the signature you provided. Check your key and signing method.", Status: http.StatusForbidden}

func errBody(text string) error {
	return &awserr.Error{Code: "InvalidRequest", Message: text, Status: http.StatusBadRequest}
}

// chunks reads what is in the chunks of a body.
type chunks struct {
	from  *bufio.Reader
	body  io.Closer
	left  int64 // of the whole
	chunk int64 // of the chunk that is being read
	begun bool
	err   error // of all further reads
	name  string
	sum   hash.Hash

	pieces    *sigv4.Pieces // that verifies the chunks' signatures; nil: they are not
	piece     hash.Hash     // of the chunk that is being read
	signature string        // of that chunk
}

func (c *chunks) Close() error { return c.body.Close() }

func (c *chunks) Read(p []byte) (int, error) {
	if c.err == nil && c.chunk == 0 {
		c.err = c.next()
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.from.Read(p[:min(int64(len(p)), c.chunk)])
	c.chunk -= int64(n)
	if c.sum != nil {
		c.sum.Write(p[:n]) // never fails
	}
	if c.piece != nil {
		c.piece.Write(p[:n])
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	c.err = err
	return n, err
}

// next reads the line before a chunk; io.EOF after the last one and its trailers.
func (c *chunks) next() error {
	if c.begun {
		if line, err := c.line(); err != nil || line != "" {
			return cmp.Or(err, errBody("a chunk is longer than it says"))
		}
		if !c.signed() {
			return errSignature
		}
	}
	c.begun = true
	line, err := c.line()
	if err != nil {
		return err
	}
	size, signature, _ := strings.Cut(line, ";")
	c.signature = strings.TrimPrefix(signature, "chunk-signature=")
	n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 64)
	if err != nil || n < 0 || n > c.left {
		return errBody(fmt.Sprintf("the length of a chunk is %q, with %d bytes to come", size, c.left))
	}
	c.left -= n
	if c.chunk = n; n > 0 {
		return nil
	}
	if c.left > 0 {
		return errBody(fmt.Sprintf("the body ends %d bytes before its length", c.left))
	}
	if !c.signed() {
		return errSignature
	}
	return c.trailers()
}

// signed reports whether the chunk that was read has its signature, where that is asked.
func (c *chunks) signed() bool {
	if c.pieces == nil {
		return true
	}
	ok := c.pieces.Piece([sha256.Size]byte(c.piece.Sum(nil)), c.signature)
	c.piece.Reset()
	return ok
}

func (c *chunks) trailers() error {
	lines, signed := sha256.New(), c.pieces == nil || !c.pieces.Trailer
	for range maxTrailers {
		line, err := c.line()
		switch {
		case err == io.ErrUnexpectedEOF, err == nil && line == "":
			if !signed {
				return errSignature
			}
			return io.EOF
		case err != nil:
			return err
		}
		name, value, _ := strings.Cut(line, ":")
		if c.pieces != nil && c.pieces.Trailer {
			if strings.EqualFold(strings.TrimSpace(name), "x-amz-trailer-signature") {
				if signed = c.pieces.Trailers([sha256.Size]byte(lines.Sum(nil)), strings.TrimSpace(value)); !signed {
					return errSignature
				}
				continue
			}
			if signed { // what follows the signature has none
				return errSignature
			}
			_, _ = io.WriteString(lines, line+"\n") // never fails
		}
		if c.sum == nil || !strings.EqualFold(strings.TrimSpace(name), c.name) {
			continue
		}
		if is := base64.StdEncoding.EncodeToString(c.sum.Sum(nil)); is != strings.TrimSpace(value) {
			return &awserr.Error{Code: "BadDigest", Message: fmt.Sprintf("the checksum %s is %s, not %s", c.name, is, strings.TrimSpace(value)), Status: http.StatusBadRequest}
		}
	}
	return errBody("the body has too many trailers")
}

// line reads a line without its end.
func (c *chunks) line() (string, error) {
	line, err := c.from.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull:
		return "", errBody("a line between the chunks is too long")
	case err == io.EOF:
		return "", io.ErrUnexpectedEOF
	case err != nil:
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}
