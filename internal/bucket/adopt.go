package bucket

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/spf13/afero"
)

// Where earlier builds kept objects: buckets/BUCKET/KEY, cleaned as the name of a file, and in metadata/BUCKET what was sent with it.
const oldObjects, oldMetadata = "buckets", "metadata"

// sent is a file below oldMetadata.
type sent struct {
	File string // BUCKET/KEY, cleaned
	Hash []byte // MD5 of the content
	Meta map[string]string
	key  string
}

// adoptingFile lists the files that are moved, by their names below oldObjects, while they are.
const adoptingFile = "adopting"

// mostEnd is more than the end of an object has: its key and metadata have some 3,000 bytes, and JSON makes of one at most six.
const mostEnd = 32 << 10

// oldFile is what a file of an earlier build was before an end was written to it.
type oldFile struct {
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
}

// adopt moves the objects of earlier builds to where they lie now, one after the other: a file gets the end of an object, and then its
// new name. So it needs no room for a second one. What the files were is written down first, so that a start after a crash knows what
// of a file is its content. Two keys that had one file (a//b and a/b) are two objects then, where both had the content that is there.
// An object without its metadata is kept under the name of its file: the server had ended between the two. What is no file of a bucket
// stays where it is.
func (b *backend) adopt() error {
	old, err := afero.DirExists(b.fs, oldObjects)
	if err != nil {
		return err
	}
	if !old {
		if err := b.fs.Remove(adoptingFile); !errors.Is(err, fs.ErrNotExist) {
			return err // the server had ended before the last step
		}
		return nil
	}
	about := map[string][]sent{} // by BUCKET/KEY, cleaned
	var read []string            // the files that it is from
	err = b.walk(oldMetadata, func(name, at string, info fs.FileInfo) error {
		if !info.Mode().IsRegular() {
			return nil
		}
		text, err := afero.ReadFile(b.fs, at)
		if err != nil {
			return err
		}
		var m sent
		if json.Unmarshal(text, &m) == nil { // else it is as if it were not there
			m.key = oldKey(path.Base(name), m.File)
			about[m.File] = append(about[m.File], m)
			read = append(read, at)
		}
		return nil
	})
	if err != nil {
		return err
	}
	buckets, err := afero.ReadDir(b.fs, oldObjects)
	if err != nil {
		return err
	}
	for _, bucket := range buckets {
		if !bucket.IsDir() || gofakes3.ValidateBucketName(bucket.Name()) != nil {
			continue
		}
		if err := b.fs.MkdirAll(path.Join(objectsDir, bucket.Name()), 0o700); err != nil {
			return err
		}
	}
	files, foreign, err := b.oldFiles()
	if err != nil {
		return err
	}
	if len(foreign) > 0 {
		b.logger.Warn("files beside the objects of an earlier build are no objects, and stay where they are: move them away",
			"files", len(foreign), "first", "artifacts/"+foreign[0])
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := b.adoptFile(name, files[name], about[name]); err != nil {
			return err
		}
	}
	for _, at := range read {
		if err := b.fs.Remove(at); err != nil {
			return err
		}
	}
	for _, dir := range []string{oldMetadata, oldObjects} { // the next start looks for the second one
		if err := b.prune(dir); err != nil {
			return err
		}
	}
	if err := syncFolder(b.fs, "."); err != nil { // else a loss of power would bring back what is put anew or deleted from now on
		return err
	}
	if err := b.fs.Remove(adoptingFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// oldFiles tells which files are to be moved, and which others lie among them. It has written the former down.
func (b *backend) oldFiles() (files map[string]oldFile, foreign []string, err error) {
	before := map[string]oldFile{}
	switch text, err := afero.ReadFile(b.fs, adoptingFile); {
	case err == nil:
		if err := json.Unmarshal(text, &before); err != nil {
			return nil, nil, fmt.Errorf("artifacts/%s is damaged: %w: restore artifacts from a backup", adoptingFile, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	}
	files = map[string]oldFile{}
	same := true
	err = b.walk(oldObjects, func(name, at string, info fs.FileInfo) error {
		bucket, _, below := strings.Cut(name, "/")
		if !below || gofakes3.ValidateBucketName(bucket) != nil || !info.Mode().IsRegular() {
			foreign = append(foreign, filepath.ToSlash(at))
			return nil
		}
		was, ok := before[name]
		if grown := info.Size() - was.Size; !ok || grown < 0 || grown > mostEnd { // else it was this file that got an end, or a part of one
			was, same = oldFile{info.Size(), info.ModTime()}, false
		}
		files[name] = was
		return nil
	})
	if err != nil || same {
		return files, foreign, err
	}
	text, err := json.Marshal(files)
	if err != nil {
		return nil, nil, err
	}
	list, err := b.temporary()
	if err != nil {
		return nil, nil, err
	}
	defer b.discard(list)
	if _, err := list.Write(text); err != nil {
		return nil, nil, err
	}
	if err := list.Sync(); err != nil {
		return nil, nil, err
	}
	if err := b.fs.Rename(list.Name(), adoptingFile); err != nil {
		return nil, nil, err
	}
	return files, foreign, syncFolder(b.fs, ".")
}

// adoptFile moves one file, unless a later object is there.
func (b *backend) adoptFile(name string, was oldFile, about []sent) error {
	at := path.Join(oldObjects, name)
	if err := b.fs.Chmod(at, 0o600); err != nil {
		return err
	}
	opened, err := b.fs.OpenFile(at, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	file := arriving{opened, at}
	defer file.Close()
	sum := md5.New()
	if _, err := io.Copy(sum, io.NewSectionReader(file, 0, was.Size)); err != nil {
		return err
	}
	bucket, key, _ := strings.Cut(name, "/")
	all := []object{}
	for _, m := range about {
		if bytes.Equal(m.Hash, sum.Sum(nil)) {
			all = append(all, object{Bucket: bucket, Key: m.key, Meta: m.Meta})
		}
	}
	if len(all) == 0 {
		all = append(all, object{Bucket: bucket, Key: key})
	}
	var objects []object
	for _, o := range all {
		o.MD5, o.At = sum.Sum(nil), was.Modified
		later, err := b.hasLater(o)
		if err != nil {
			return err
		}
		if !later {
			objects = append(objects, o)
		}
	}
	for i, o := range objects {
		if i < len(objects)-1 {
			err = b.copyOf(io.NewSectionReader(file, 0, was.Size), o)
		} else if err = file.Truncate(was.Size); err == nil {
			if err = seal(file, o); err == nil {
				err = b.stand(file, o.Bucket, o.Key, nil)
			}
		}
		if err != nil {
			return err
		}
	}
	if err := b.fs.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// hasLater tells whether an object was put after another of its key. One that is damaged is not kept for the other.
func (b *backend) hasLater(o object) (bool, error) {
	file, there, err := readObject(b.fs, place(o.Bucket, o.Key))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.As(err, new(*damage)):
		b.logger.Warn("an object is replaced by the one of an earlier build", "bucket", o.Bucket, "key", o.Key, "error", err)
		return false, nil
	case err != nil:
		return false, err
	}
	_ = file.Close() // it was read only
	return there.At.After(o.At), nil
}

// copyOf writes an object with the content of another's file.
func (b *backend) copyOf(content io.Reader, o object) error {
	file, err := b.temporary()
	if err != nil {
		return err
	}
	defer b.discard(file)
	if _, err := io.Copy(file, content); err != nil {
		return err
	}
	if err := seal(file, o); err != nil {
		return err
	}
	return b.stand(file, o.Bucket, o.Key, nil)
}

// prune removes a folder, and those in it, but for those that have files.
func (b *backend) prune(dir string) error {
	infos, err := afero.ReadDir(b.fs, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, info := range infos {
		if !info.IsDir() {
			continue
		}
		if err := b.prune(path.Join(dir, info.Name())); err != nil {
			return err
		}
	}
	if infos, err = afero.ReadDir(b.fs, dir); err != nil {
		return err
	}
	if len(infos) > 0 {
		return syncFolder(b.fs, dir)
	}
	return b.fs.Remove(dir)
}

// walk calls f with what is below a folder and no folder, by its name in it and below the root. A folder that is not there has none.
func (b *backend) walk(dir string, f func(name, at string, info fs.FileInfo) error) error {
	return afero.Walk(b.fs, dir, func(at string, info fs.FileInfo, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
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

// oldKey tells which key metadata was of. Its file's name is the key with _ for / and \, and FNV-1a of the key; file is the cleaned
// BUCKET/KEY, in which slashes are missing: one after another, at the beginning or at the end.
func oldKey(name, file string) string {
	_, clean, _ := strings.Cut(file, "/")
	masked, sum, ok := cutLast(name, "-")
	if !ok || len(masked) <= len(clean) {
		return clean
	}
	tries := 10_000
	var try func(key []byte, at int) (string, bool)
	try = func(key []byte, at int) (string, bool) {
		if tries--; tries < 0 {
			return "", false
		}
		if len(key) == len(masked) {
			h := fnv.New128a()
			h.Write(key) // never fails
			return string(key), at == len(clean) && hex.EncodeToString(h.Sum(nil)) == sum
		}
		if at < len(clean) {
			if found, ok := try(append(key, clean[at]), at+1); ok {
				return found, true
			}
		}
		if n := len(key); masked[n] == '_' && (n == 0 || key[n-1] == '/' || at == len(clean)) {
			return try(append(key, '/'), at)
		}
		return "", false
	}
	if key, ok := try(make([]byte, 0, len(masked)), 0); ok {
		return key
	}
	return clean
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
