package export

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/millstreamdb/millstream/internal/item"
)

// MaxLine is the longest line of JSON, in bytes. An item of 400 KB may take some 18 MB: 1E125 has two bytes of it, and is
// written with all of its zeros. The memory for a line grows with it, to twice that at most.
const MaxLine = 64 << 20

// MaxRow is the longest row of CSV, in bytes: it has no numbers that grow.
const MaxRow = 4 << 20

// maxPlain is how many bytes an object may have, uncompressed: what is compressed better is no data.
const maxPlain = 64 << 30

// maxWindow is the most memory that a zstd stream may ask for, in bytes.
const maxWindow = 32 << 20

// Source says how the objects of an import are to be read.
type Source struct {
	Format      string // "DYNAMODB_JSON" or "CSV"
	Compression string // "NONE", "GZIP" or "ZSTD"
	Delimiter   rune   // of CSV
	Header      []string
	// Types are those of the key attributes, of the table and its indexes; all else in CSV is a string.
	Types map[string]item.Type
}

// Unreadable says that an object, from some line on, does not hold items. Its text is for people.
type Unreadable struct{ err error }

func (u *Unreadable) Error() string { return u.err.Error() }
func (u *Unreadable) Unwrap() error { return u.err }

func unreadable(format string, args ...any) error { return &Unreadable{fmt.Errorf(format, args...)} }

// Read calls add with each item of an object, which holds until add returns, and returns how many bytes it had, uncompressed. An error of *Unreadable tells
// that the rest of the object was left; others are of r or of add. As on AWS, the first line that is no item ends
// its object, and lines of white space are nothing.
func (s *Source) Read(r io.Reader, add func(item.Item) error) (n int64, err error) {
	under := &source{r: r}
	plain, err := s.decompress(under)
	if err == nil {
		defer plain.Close()
		counted := &counter{r: plain}
		if s.Format == "CSV" {
			err = s.readCSV(counted, add)
		} else {
			err = readJSON(counted, add)
		}
		n = counted.n
	}
	if under.err != nil { // not the content's fault
		return n, under.err
	}
	return n, err
}

// source notes errors of what is read.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// counter counts bytes, and bounds how many may come since the last call of rest.
type counter struct {
	r     io.Reader
	n     int64
	since int64
	bound int64 // 0: none
}

func (c *counter) Read(p []byte) (int, error) {
	if c.bound > 0 && c.since > c.bound {
		return 0, unreadable("a line has more than %d bytes", c.bound)
	}
	if c.n > maxPlain {
		return 0, unreadable("more than %d bytes, uncompressed", int64(maxPlain))
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.since += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = unreadable("decompress: %w", err)
	}
	return n, err
}

func (s *Source) decompress(r io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	if s.Compression == "GZIP" || s.Compression == "ZSTD" {
		if _, err := buffered.Peek(1); err != nil {
			return io.NopCloser(bytes.NewReader(nil)), nil // of no length; an error of r is noted
		}
	}
	switch s.Compression {
	case "GZIP":
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, unreadable("not gzip: %w", err)
		}
		return z, nil
	case "ZSTD":
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, unreadable("not zstd: %w", err)
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(buffered), nil
}

func readJSON(r io.Reader, add func(item.Item) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), MaxLine)
	var parser item.Reader
	defer parser.Drop()
	for no := 1; lines.Scan(); no++ {
		line := lines.Bytes()
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		parser.Reset(line)
		for {
			it, err := readItem(&parser)
			if err != nil {
				return unreadable("line %d: %w", no, err)
			}
			if err := add(it); err != nil {
				return err
			}
			if parser.End() == nil {
				break
			}
		}
	}
	err := lines.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		return unreadable("a line has more than %d bytes", MaxLine)
	}
	return err
}

// readItem reads {"Item":{...}}. AWS takes several of them in one line.
func readItem(r *item.Reader) (it item.Item, err error) {
	if r.Kind() != item.KindObject {
		return nil, errors.New("not an object of JSON")
	}
	err = r.Object(func(name []byte) error {
		if string(name) != "Item" {
			return r.Skip()
		}
		value, invalid, err := r.BorrowItem()
		if err != nil {
			return err
		}
		if invalid != nil {
			return invalid
		}
		it = value
		return nil
	})
	if errors.Is(err, item.ErrSyntax) {
		return nil, errors.New("malformed JSON")
	}
	if err == nil && it == nil {
		return nil, errors.New("there is no member Item (of incremental exports nothing can be imported)")
	}
	return it, err
}

func (s *Source) readCSV(r *counter, add func(item.Item) error) error {
	r.bound = MaxRow
	rows := csv.NewReader(r)
	rows.Comma, rows.ReuseRecord = s.Delimiter, true
	header := s.Header
	rows.FieldsPerRecord = len(header)
	if header == nil {
		first, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return rowError(err)
		}
		header = append(header, first...)
		for i, name := range header {
			header[i] = string(bytes.TrimPrefix([]byte(name), []byte("\ufeff"))) // a byte order mark
		}
	}
	seen := map[string]bool{}
	for _, name := range header {
		if name == "" || !utf8.ValidString(name) || seen[name] {
			return unreadable("the header has %q, which is no name or there twice", name)
		}
		seen[name] = true
	}
	var entries []item.Entry
	for {
		r.since = 0
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return rowError(err)
		}
		line, _ := rows.FieldPos(0)
		entries = entries[:0]
		for i, text := range row {
			if text == "" {
				continue
			}
			v, err := s.value(header[i], text)
			if err != nil {
				return unreadable("line %d: %s: %w", line, header[i], err)
			}
			entries = append(entries, item.Entry{Name: header[i], Value: v})
		}
		if err := add(item.NewItem(entries)); err != nil {
			return err
		}
	}
}

// rowError is the error of a row; one of what lies below is one already.
func rowError(err error) error {
	if u, ok := errors.AsType[*Unreadable](err); ok {
		return u
	}
	return unreadable("%w", err)
}

func (s *Source) value(name, text string) (item.Value, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("not UTF-8")
	}
	switch s.Types[name] {
	case item.N:
		v, e := item.ParseNumber([]byte(text))
		if e != nil {
			return nil, e
		}
		return v, nil
	case item.B:
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("not base64")
		}
		return item.Binary(b), nil
	}
	return item.String(text), nil
}
