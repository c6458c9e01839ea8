package bucket

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3afero"
	"github.com/spf13/afero"
)

// Folders below the root.
const (
	bucketsDir, metadataDir = "buckets", "metadata" // as s3afero has them
	spoolDir                = "spool"               // what is arriving
)

// backend is gofakes3's store in a folder, made safe: names stay inside of their bucket, objects are whole, a bucket that holds
// something is not removed, and uploads in parts lie in files.
type backend struct {
	*s3afero.MultiBucketBackend
	fs    afero.Fs
	admit func() error

	mu      sync.Mutex // held while an object, a bucket or an upload changes
	uploads map[gofakes3.UploadID]*upload
	bytes   int64 // of their parts, with those that are arriving
}

func openBackend(root afero.Fs, admit func() error) (*backend, error) {
	if err := root.RemoveAll(spoolDir); err != nil {
		return nil, err
	}
	if err := root.MkdirAll(spoolDir, 0o700); err != nil {
		return nil, err
	}
	store, err := s3afero.MultiBucket(root)
	if err != nil {
		return nil, err
	}
	b := &backend{MultiBucketBackend: store, fs: root, admit: admit, uploads: map[gofakes3.UploadID]*upload{}}
	return b, b.sweep()
}

// sweep removes the objects whose metadata is not there or is another's: the server ended between the two, before it had
// answered. Left there, the object could not be read, and neither could the list of its bucket.
func (b *backend) sweep() error {
	sizes := map[string]int64{} // by BUCKET/KEY
	err := b.walk(metadataDir, func(_ string, at string, info fs.FileInfo) error {
		text, err := afero.ReadFile(b.fs, at)
		if err != nil {
			return err
		}
		var meta s3afero.Metadata
		if json.Unmarshal(text, &meta) == nil { // else it is as if it were not there
			sizes[meta.File] = meta.Size
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.walk(bucketsDir, func(name, at string, info fs.FileInfo) error {
		if size, ok := sizes[name]; !ok || size != info.Size() {
			return b.fs.Remove(at)
		}
		return nil
	})
}

// walk calls f with the files below a folder, by their names in it and below the root.
func (b *backend) walk(dir string, f func(name, at string, info fs.FileInfo) error) error {
	return afero.Walk(b.fs, dir, func(at string, info fs.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		return f(filepath.ToSlash(name), at, info)
	})
}

// maxKey is the longest key, in bytes: with 33 more it is the name of the file with its metadata.
const maxKey = 220

// within reports whether a key's file lies in the folder of its bucket, and is no other key's: the name of a file has no empty parts.
func within(bucket, key string) bool {
	parts := strings.Split(key, "/")
	return gofakes3.ValidateBucketName(bucket) == nil && !slices.Contains(parts, ".") && !slices.Contains(parts, "..") && !slices.Contains(parts, "")
}

// BucketExists implements gofakes3.Backend. A name that cannot be a bucket's is none: "." is the folder of all.
func (b *backend) BucketExists(name string) (bool, error) {
	if gofakes3.ValidateBucketName(name) != nil {
		return false, nil
	}
	return b.MultiBucketBackend.BucketExists(name)
}

// CreateBucket implements gofakes3.Backend.
func (b *backend) CreateBucket(name string) error {
	if err := gofakes3.ValidateBucketName(name); err != nil {
		return err
	}
	return b.MultiBucketBackend.CreateBucket(name)
}

// DeleteBucket implements gofakes3.Backend. The folders that keys had do not count, and uploads in parts end.
func (b *backend) DeleteBucket(name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch is, err := b.BucketExists(name); {
	case err != nil:
		return err
	case !is:
		return gofakes3.BucketNotFound(name)
	}
	err := b.walk(path.Join(bucketsDir, name), func(string, string, fs.FileInfo) error {
		return gofakes3.ResourceError(gofakes3.ErrBucketNotEmpty, name)
	})
	if err != nil {
		return err
	}
	for id, u := range b.uploads {
		if u.bucket == name {
			b.drop(id)
		}
	}
	return b.MultiBucketBackend.ForceDeleteBucket(name)
}

// ForceDeleteBucket is for a header of another store than S3, which is not obeyed.
func (b *backend) ForceDeleteBucket(string) error { return gofakes3.ErrNotImplemented }

// HeadObject implements gofakes3.Backend.
func (b *backend) HeadObject(bucket, key string) (*gofakes3.Object, error) {
	if !within(bucket, key) {
		return nil, gofakes3.KeyNotFound(key)
	}
	return b.MultiBucketBackend.HeadObject(bucket, key)
}

// GetObject implements gofakes3.Backend.
func (b *backend) GetObject(bucket, key string, part *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	if !within(bucket, key) {
		return nil, gofakes3.KeyNotFound(key)
	}
	return b.MultiBucketBackend.GetObject(bucket, key, part)
}

// DeleteObject implements gofakes3.Backend.
func (b *backend) DeleteObject(bucket, key string) (gofakes3.ObjectDeleteResult, error) {
	if !within(bucket, key) {
		return gofakes3.ObjectDeleteResult{}, nil // as every key that is not there
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.MultiBucketBackend.DeleteObject(bucket, key)
}

// DeleteMulti implements gofakes3.Backend.
func (b *backend) DeleteMulti(bucket string, keys ...string) (gofakes3.MultiDeleteResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.MultiBucketBackend.DeleteMulti(bucket, slices.DeleteFunc(keys, func(key string) bool { return !within(bucket, key) })...)
}

// CopyObject implements gofakes3.Backend.
func (b *backend) CopyObject(fromBucket, fromKey, bucket, key string, meta map[string]string) (gofakes3.CopyObjectResult, error) {
	return gofakes3.CopyObject(b, fromBucket, fromKey, bucket, key, meta)
}

// PutObject implements gofakes3.Backend. A body that is cut off, or is another than its checksum says, leaves what was there.
func (b *backend) PutObject(bucket, key string, meta map[string]string, body io.Reader, _ int64, c *gofakes3.PutConditions) (gofakes3.PutObjectResult, error) {
	if err := checkKey(bucket, key); err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	file, size, err := b.spool(body)
	if err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	defer b.discard(file)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.put(bucket, key, meta, file, size, c)
}

func checkKey(bucket, key string) error {
	switch {
	case len(key) > maxKey:
		return gofakes3.ErrorMessage(gofakes3.ErrKeyTooLong, fmt.Sprintf("Your key is too long: Millstream takes %d bytes", maxKey))
	case !within(bucket, key):
		return gofakes3.ErrorMessage(gofakes3.ErrInvalidURI, "Millstream takes no keys with nothing, . or .. between slashes, nor with a slash at an end")
	}
	return nil
}

// put writes an object. The caller holds mu.
func (b *backend) put(bucket, key string, meta map[string]string, body io.Reader, size int64, c *gofakes3.PutConditions) (gofakes3.PutObjectResult, error) {
	at := path.Join(bucketsDir, bucket, key)
	before := b.stateOf(at)
	result, err := b.MultiBucketBackend.PutObject(bucket, key, meta, body, size, c)
	if err == nil {
		return result, nil
	}
	// An object without its metadata could not be read.
	if is := b.stateOf(at); is.there && is != before {
		err = errors.Join(err, b.fs.Remove(at))
	}
	return result, err
}

// state tells whether a file was written.
type state struct {
	there bool
	size  int64
	at    time.Time
}

func (b *backend) stateOf(name string) state {
	info, err := b.fs.Stat(name)
	if err != nil || info.IsDir() {
		return state{}
	}
	return state{true, info.Size(), info.ModTime()}
}

// spool writes a body whole to a file beside the objects, which the caller discards, while there is room.
func (b *backend) spool(body io.Reader) (file afero.File, size int64, err error) {
	if file, err = afero.TempFile(b.fs, spoolDir, "body-"); err != nil {
		return nil, 0, err
	}
	if size, err = io.Copy(file, admitted{body, b.admit}); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err == nil {
		return file, size, nil
	}
	b.discard(file)
	var told interface{ ErrorCode() gofakes3.ErrorCode }
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &told):
		return nil, 0, err
	case errors.As(err, &long):
		return nil, 0, gofakes3.ErrorMessage("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
	}
	return nil, 0, gofakes3.ErrorMessage(gofakes3.ErrIncompleteBody, err.Error())
}

// discard removes a file of the spool. What cannot be removed now is when the server starts.
func (b *backend) discard(file afero.File) {
	_ = file.Close()
	_ = b.fs.Remove(file.Name())
}

// admitted reads while the disk has room.
type admitted struct {
	io.Reader
	admit func() error
}

func (a admitted) Read(p []byte) (int, error) {
	if err := a.admit(); err != nil {
		return 0, gofakes3.ErrorMessage("ServiceUnavailable", err.Error())
	}
	return a.Reader.Read(p)
}

// keys lists the objects of a bucket that are whole.
func (b *backend) keys(bucket, prefix string) (keys []string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if is, err := b.BucketExists(bucket); err != nil || !is {
		return nil, errors.Join(err, gofakes3.BucketNotFound(bucket))
	}
	err = b.walk(path.Join(bucketsDir, bucket), func(name, _ string, _ fs.FileInfo) error {
		if strings.HasPrefix(name, prefix) {
			keys = append(keys, name)
		}
		return nil
	})
	slices.Sort(keys)
	return keys, err
}
