package bucket

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

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

// adopt moves the objects of earlier builds to where they lie now, one after the other, so that a crash amid it leaves each in one
// place at least. Two keys that had one file (a//b and a/b) are two objects then, where both had the content that is there. An object
// without its metadata is kept under the name of its file: the server had ended between the two.
func (b *backend) adopt() error {
	old, err := afero.DirExists(b.fs, oldObjects)
	if err != nil || !old {
		return err
	}
	about := map[string][]sent{} // by BUCKET/KEY, cleaned
	err = b.walk(oldMetadata, func(name, at string, _ fs.FileInfo) error {
		text, err := afero.ReadFile(b.fs, at)
		if err != nil {
			return err
		}
		var m sent
		if json.Unmarshal(text, &m) == nil { // else it is as if it were not there
			m.key = oldKey(path.Base(name), m.File)
			about[m.File] = append(about[m.File], m)
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
		if err := b.fs.MkdirAll(path.Join(objectsDir, bucket.Name()), 0o700); err != nil {
			return err
		}
	}
	err = b.walk(oldObjects, func(name, at string, info fs.FileInfo) error {
		return b.adoptFile(name, at, info.ModTime(), about[name])
	})
	if err != nil {
		return err
	}
	for _, dir := range []string{oldMetadata, oldObjects} { // the next start looks for the second one
		if err := b.fs.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// adoptFile moves one file.
func (b *backend) adoptFile(name, at string, modified time.Time, about []sent) error {
	content, err := b.fs.Open(at)
	if err != nil {
		return err
	}
	defer content.Close()
	sum := md5.New()
	if _, err := io.Copy(sum, content); err != nil {
		return err
	}
	bucket, key, _ := strings.Cut(name, "/")
	objects := []object{}
	for _, m := range about {
		if bytes.Equal(m.Hash, sum.Sum(nil)) {
			objects = append(objects, object{Bucket: bucket, Key: m.key, Meta: m.Meta})
		}
	}
	if len(objects) == 0 {
		objects = append(objects, object{Bucket: bucket, Key: key})
	}
	for _, o := range objects {
		o.MD5, o.At = sum.Sum(nil), modified
		if err := b.copyOf(content, o); err != nil {
			return err
		}
	}
	return b.fs.Remove(at)
}

// copyOf writes an object with the content of a file.
func (b *backend) copyOf(content afero.File, o object) error {
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return err
	}
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

// walk calls f with the files below a folder, by their names in it and below the root. A folder that is not there has none.
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
