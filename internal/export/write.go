package export

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/millstreamdb/millstream/internal/item"
)

// Names of an export's files below its folder. AWS's guide calls the sums .checksum; real exports have .md5.
const (
	Started      = "_started"
	DataFolder   = "data/"
	FilesJSON    = "manifest-files.json"
	FilesSum     = "manifest-files.md5"
	SummaryJSON  = "manifest-summary.json"
	SummarySum   = "manifest-summary.md5"
	rootOfLayout = "AWSDynamoDB"
)

// Folder is where the files of an export lie in its bucket.
func Folder(prefix, id string) string {
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	return prefix + rootOfLayout + "/" + id + "/"
}

// FileBytes is about how long a data file gets, in bytes, compressed.
const FileBytes = 8 << 20

// MaxFileBytes is longer than any data file: one item, of 400 KB, may come on top, and an item may compress badly.
const MaxFileBytes = FileBytes + 4<<20

// File is a line of the files manifest.
type File struct {
	ItemCount   int64  `json:"itemCount"`
	MD5Checksum string `json:"md5Checksum"` // base64
	ETag        string `json:"etag"`
	Key         string `json:"dataFileS3Key"`
}

// SharedFolder is where the data files of incremental exports lie in a bucket, of all of them together.
func SharedFolder(prefix string) string {
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	return prefix + rootOfLayout + "/" + DataFolder
}

// Summary is the summary manifest of an export.
type Summary struct {
	Version          string  `json:"version"` // "2020-06-30"; "2023-08-01" of an incremental one
	ExportARN        string  `json:"exportArn"`
	StartTime        string  `json:"startTime"`
	EndTime          string  `json:"endTime"`
	TableARN         string  `json:"tableArn"`
	TableID          string  `json:"tableId"`
	ExportTime       string  `json:"exportTime,omitempty"` // of a full one
	ExportFromTime   string  `json:"exportFromTime,omitempty"`
	ExportToTime     string  `json:"exportToTime,omitempty"`
	S3Bucket         string  `json:"s3Bucket"`
	S3Prefix         *string `json:"s3Prefix"`
	S3SSEAlgorithm   string  `json:"s3SseAlgorithm"`
	S3SSEKMSKeyID    *string `json:"s3SseKmsKeyId"`
	ManifestFilesKey string  `json:"manifestFilesS3Key"`
	BilledSizeBytes  int64   `json:"billedSizeBytes"`
	ItemCount        int64   `json:"itemCount"`
	OutputFormat     string  `json:"outputFormat"`
	OutputView       string  `json:"outputView,omitempty"`
	ExportType       string  `json:"exportType,omitempty"`
}

// Time shows a time as manifests do.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// Sum is the content of a .md5 file.
func Sum(content []byte) string {
	sum := md5.Sum(content)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Manifest returns the files manifest, as lines of JSON.
func Manifest(files []File) ([]byte, error) {
	var out bytes.Buffer
	for i := range files {
		line, err := json.Marshal(&files[i])
		if err != nil {
			return nil, err
		}
		out.Write(line)
		out.WriteByte('\n')
	}
	return out.Bytes(), nil
}

// ParseManifest reads a files manifest.
func ParseManifest(content []byte) ([]File, error) {
	var files []File
	for d := json.NewDecoder(bytes.NewReader(content)); d.More(); {
		var f File
		if err := d.Decode(&f); err != nil {
			return nil, fmt.Errorf("a line of %s: %w", FilesJSON, err)
		}
		files = append(files, f)
	}
	return files, nil
}

// Writer makes the data files of an export in DynamoDB JSON. The names of files follow from the export's
// id, so one that is made again writes over what it had written.
type Writer struct {
	id    string
	put   func(name string, content []byte) error
	files []File
	total int64 // items

	items int64 // in the file that is being made
	line  []byte
	file  bytes.Buffer
	gz    *gzip.Writer
}

// NewWriter returns a writer that hands each finished file to put; the content is the writer's own again after that.
func NewWriter(id string, put func(name string, content []byte) error) (*Writer, error) {
	w := &Writer{id: id, put: put}
	var err error
	w.gz, err = gzip.NewWriterLevel(&w.file, 5)
	return w, err
}

// Add writes an item.
func (w *Writer) Add(it item.Item) error {
	w.line = append(w.line[:0], `{"Item":`...)
	w.line = it.AppendJSON(w.line)
	w.line = append(w.line, '}', '\n')
	return w.write()
}

// AddChange writes what became of an item in a stretch of time; old and now are nil where there was none. keys are the names of the key attributes, and
// at is when it was written last.
func (w *Writer) AddChange(keys []string, old, now item.Item, at time.Time) error {
	of := now
	if of == nil {
		of = old
	}
	return w.addChange(keys, of, old, now, at)
}

// AddDelete is AddChange of an item that was removed, without its image.
func (w *Writer) AddDelete(keys []string, old item.Item, at time.Time) error {
	return w.addChange(keys, old, nil, nil, at)
}

func (w *Writer) addChange(keys []string, of, old, now item.Item, at time.Time) error {
	w.line = append(w.line[:0], `{"Metadata":{"WriteTimestampMicros":{"N":"`...)
	w.line = strconv.AppendInt(w.line, at.UnixMicro(), 10)
	w.line = append(w.line, `"}},"Keys":{`...)
	for i, name := range keys {
		if i > 0 {
			w.line = append(w.line, ',')
		}
		text, err := json.Marshal(name)
		if err != nil {
			return err
		}
		w.line = append(append(w.line, text...), ':')
		w.line = of.Get(name).AppendJSON(w.line)
	}
	w.line = append(w.line, '}')
	for _, image := range []struct {
		name string
		it   item.Item
	}{{"OldImage", old}, {"NewImage", now}} {
		if image.it != nil {
			w.line = append(append(append(w.line, `,"`...), image.name...), `":`...)
			w.line = image.it.AppendJSON(w.line)
		}
	}
	w.line = append(w.line, '}', '\n')
	return w.write()
}

// write adds the line.
func (w *Writer) write() error {
	if _, err := w.gz.Write(w.line); err != nil {
		return err
	}
	w.items++
	if w.file.Len() < FileBytes {
		return nil
	}
	return w.end()
}

// end finishes a file.
func (w *Writer) end() error {
	if err := w.gz.Close(); err != nil {
		return err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", w.id, len(w.files)))
	name := strings.ToLower(base32.HexEncoding.EncodeToString(sum[:])[:26]) + ".json.gz"
	content := w.file.Bytes()
	md := md5.Sum(content)
	if err := w.put(name, content); err != nil {
		return err
	}
	w.files = append(w.files, File{w.items, base64.StdEncoding.EncodeToString(md[:]), hex.EncodeToString(md[:]), name})
	w.total += w.items
	w.items = 0
	w.file.Reset()
	w.gz.Reset(&w.file)
	return nil
}

// Close ends the last file, of which there is at least one, and returns them all, by their names, and the number of items.
func (w *Writer) Close() ([]File, int64, error) {
	if w.items > 0 || len(w.files) == 0 {
		if err := w.end(); err != nil {
			return nil, 0, err
		}
	}
	return w.files, w.total, nil
}
