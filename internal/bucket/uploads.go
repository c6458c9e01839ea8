package bucket

import (
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/johannesboyne/gofakes3"
	"github.com/spf13/afero"
)

// Uploads in parts are gofakes3's MultipartBackend. Its own one keeps the parts in memory until somebody completes or aborts
// an upload, and takes every number for a part's.

const (
	maxUploads   = 1000
	maxPartBytes = 1 << 30   // of all open uploads
	uploadLife   = time.Hour // without a part
)

type upload struct {
	bucket, key    string
	meta           map[string]string
	begun, touched time.Time
	parts          map[int]part
	bytes          int64 // of the parts, with those that are arriving
}

type part struct {
	file string
	etag string // in quotes
	size int64
	at   time.Time
}

// CreateMultipartUpload implements gofakes3.MultipartBackend.
func (b *backend) CreateMultipartUpload(bucket, key string, meta map[string]string) (gofakes3.UploadID, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.find(bucket); err != nil {
		return "", err
	}
	b.expire()
	if len(b.uploads) >= maxUploads {
		return "", gofakes3.ErrorMessage("ServiceUnavailable", fmt.Sprintf("%d uploads are open: complete or abort some", maxUploads))
	}
	id, now := gofakes3.UploadID(uuid.NewString()), time.Now()
	b.uploads[id] = &upload{bucket: bucket, key: key, meta: meta, begun: now, touched: now, parts: map[int]part{}}
	return id, nil
}

// expire ends the uploads that were left. The caller holds mu, as for all below.
func (b *backend) expire() {
	for id, u := range b.uploads {
		if time.Since(u.touched) > uploadLife {
			b.drop(id)
		}
	}
}

// drop ends an upload.
func (b *backend) drop(id gofakes3.UploadID) {
	u := b.uploads[id]
	for _, p := range u.parts {
		b.forget(u, p)
	}
	delete(b.uploads, id)
}

// forget removes a part. A file that cannot be removed now is when the server starts.
func (b *backend) forget(u *upload, p part) {
	_ = b.fs.Remove(p.file)
	b.hold(u, -p.size)
}

// hold counts bytes of parts.
func (b *backend) hold(u *upload, n int64) { u.bytes += n; b.bytes += n }

// open returns an open upload.
func (b *backend) open(bucket, key string, id gofakes3.UploadID) (*upload, error) {
	u := b.uploads[id]
	if u == nil || u.bucket != bucket || u.key != key {
		return nil, gofakes3.ErrNoSuchUpload
	}
	return u, nil
}

// UploadPart implements gofakes3.MultipartBackend.
func (b *backend) UploadPart(bucket, key string, id gofakes3.UploadID, number int, length int64, body io.Reader) (string, error) {
	if number < 1 || number > gofakes3.MaxUploadPartNumber || length < 0 {
		return "", gofakes3.ErrInvalidPart
	}
	u, err := b.expect(bucket, key, id, length)
	if err != nil {
		return "", err
	}
	sum := md5.New()
	file, size, err := b.spool(io.TeeReader(body, sum))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hold(u, -length)
	if err != nil {
		return "", err
	}
	switch {
	case b.uploads[id] != u:
		err = gofakes3.ErrNoSuchUpload
	case size != length:
		err = gofakes3.ErrIncompleteBody
	default:
		err = file.Close()
	}
	if err != nil {
		b.discard(file)
		return "", err
	}
	if old, ok := u.parts[number]; ok {
		b.forget(u, old)
	}
	p := part{file: file.Name(), etag: quoted(sum), size: size, at: time.Now()}
	u.parts[number], u.touched = p, p.at
	b.hold(u, size)
	return p.etag, nil
}

// expect makes room for a part of length bytes.
func (b *backend) expect(bucket, key string, id gofakes3.UploadID, length int64) (*upload, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	u, err := b.open(bucket, key, id)
	switch {
	case err != nil:
		return nil, err
	case u.bytes+length > MaxObject:
		return nil, gofakes3.ErrorMessage(gofakes3.ErrInvalidArgument, fmt.Sprintf("Your proposed upload exceeds the maximum allowed size: Millstream takes %d MB", MaxObject>>20))
	case b.bytes+length > maxPartBytes:
		return nil, gofakes3.ErrorMessage("ServiceUnavailable", fmt.Sprintf("the parts of open uploads have %d MB: complete or abort some", b.bytes>>20))
	}
	u.touched = time.Now()
	b.hold(u, length)
	return u, nil
}

func quoted(sum hash.Hash) string { return `"` + hex.EncodeToString(sum.Sum(nil)) + `"` }

// AbortMultipartUpload implements gofakes3.MultipartBackend.
func (b *backend) AbortMultipartUpload(bucket, key string, id gofakes3.UploadID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.open(bucket, key, id); err != nil {
		return err
	}
	b.drop(id)
	return nil
}

// CompleteMultipartUpload implements gofakes3.MultipartBackend.
func (b *backend) CompleteMultipartUpload(bucket, key string, id gofakes3.UploadID, in *gofakes3.CompleteMultipartUploadRequest) (gofakes3.VersionID, string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u, err := b.open(bucket, key, id)
	if err != nil {
		return "", "", err
	}
	if len(in.Parts) == 0 {
		return "", "", gofakes3.ErrorMessage(gofakes3.ErrMalformedXML, "You must specify at least one part")
	}
	sum := md5.New()
	all := &joined{fs: b.fs}
	defer all.close()
	for i, named := range in.Parts {
		p, ok := u.parts[named.PartNumber]
		if !ok || strings.Trim(named.ETag, `"`) != strings.Trim(p.etag, `"`) {
			return "", "", gofakes3.ErrorMessagef(gofakes3.ErrInvalidPart, "One or more of the specified parts could not be found: part %d", named.PartNumber)
		}
		if i > 0 && named.PartNumber <= in.Parts[i-1].PartNumber {
			return "", "", gofakes3.ErrInvalidPartOrder
		}
		raw, err := hex.DecodeString(strings.Trim(p.etag, `"`))
		if err != nil {
			return "", "", err
		}
		sum.Write(raw) // never fails
		all.names = append(all.names, p.file)
	}
	file, err := b.write(object{Bucket: bucket, Key: key, Meta: u.meta}, all)
	if err != nil {
		return "", "", err
	}
	defer b.discard(file)
	if err := b.stand(file, bucket, key, nil); err != nil {
		return "", "", err
	}
	b.drop(id)
	return "", fmt.Sprintf(`"%s-%d"`, hex.EncodeToString(sum.Sum(nil)), len(in.Parts)), nil
}

// joined reads files one after the other, of which one is open.
type joined struct {
	fs    afero.Fs
	names []string
	file  afero.File
}

func (j *joined) Read(p []byte) (n int, err error) {
	for {
		if j.file == nil {
			if len(j.names) == 0 {
				return 0, io.EOF
			}
			if j.file, err = j.fs.Open(j.names[0]); err != nil {
				j.file = nil
				return 0, err
			}
			j.names = j.names[1:]
		}
		n, err = j.file.Read(p)
		if err == io.EOF {
			j.close()
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (j *joined) close() {
	if j.file != nil {
		_ = j.file.Close() // it was read only
		j.file = nil
	}
}

// ListMultipartUploads implements gofakes3.MultipartBackend.
func (b *backend) ListMultipartUploads(bucket string, marker *gofakes3.UploadListMarker, prefix gofakes3.Prefix, limit int64) (*gofakes3.ListMultipartUploadsResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	out := &gofakes3.ListMultipartUploadsResult{Bucket: bucket, Delimiter: prefix.Delimiter, Prefix: prefix.Prefix, MaxUploads: limit}
	after := func(u *upload, id gofakes3.UploadID) bool {
		return marker == nil || u.key > marker.Object || u.key == marker.Object && marker.UploadID != "" && id > marker.UploadID
	}
	if marker != nil {
		out.KeyMarker, out.UploadIDMarker = marker.Object, marker.UploadID
	}
	ids := slices.SortedFunc(maps.Keys(b.uploads), func(x, y gofakes3.UploadID) int {
		return cmp.Or(cmp.Compare(b.uploads[x].key, b.uploads[y].key), cmp.Compare(x, y))
	})
	for _, id := range ids {
		u := b.uploads[id]
		var match gofakes3.PrefixMatch
		if u.bucket != bucket || !after(u, id) || !prefix.Match(u.key, &match) {
			continue
		}
		if match.CommonPrefix {
			if common := match.AsCommonPrefix(); !slices.Contains(out.CommonPrefixes, common) {
				out.CommonPrefixes = append(out.CommonPrefixes, common)
			}
			continue
		}
		if int64(len(out.Uploads)) == limit {
			out.IsTruncated = true
			break
		}
		out.Uploads = append(out.Uploads, gofakes3.ListMultipartUploadItem{StorageClass: "STANDARD", Key: u.key, UploadID: id, Initiated: gofakes3.NewContentTime(u.begun)})
		out.NextKeyMarker, out.NextUploadIDMarker = u.key, id
	}
	if !out.IsTruncated {
		out.NextKeyMarker, out.NextUploadIDMarker = "", ""
	}
	return out, nil
}

// ListParts implements gofakes3.MultipartBackend.
func (b *backend) ListParts(bucket, key string, id gofakes3.UploadID, marker int, limit int64) (*gofakes3.ListMultipartUploadPartsResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u, err := b.open(bucket, key, id)
	if err != nil {
		return nil, err
	}
	out := &gofakes3.ListMultipartUploadPartsResult{Bucket: bucket, Key: key, UploadID: id, StorageClass: "STANDARD", PartNumberMarker: marker, MaxParts: limit}
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		if number <= marker {
			continue
		}
		if int64(len(out.Parts)) == limit {
			out.IsTruncated = true
			break
		}
		p := u.parts[number]
		out.Parts = append(out.Parts, gofakes3.ListMultipartUploadPartItem{PartNumber: number, ETag: p.etag, Size: p.size, LastModified: gofakes3.NewContentTime(p.at)})
		out.NextPartNumberMarker = number
	}
	return out, nil
}
