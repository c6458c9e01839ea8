package bucket

import (
	"cmp"
	"crypto/md5"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/spf13/afero"
)

// Folders below the root.
const (
	objectsDir = "objects" // a folder a bucket, a file an object
	spoolDir   = "spool"   // what is arriving
)

// backend is gofakes3's store in a folder. An object is one file (see object), so it is there whole or not at all, whatever its key looks like.
type backend struct {
	fs     afero.Fs
	admit  func() error
	logger *slog.Logger
	down   string // why there are no buckets, if so

	mu      sync.Mutex // held while an object, a bucket or an upload changes
	uploads map[gofakes3.UploadID]*upload
	bytes   int64 // of their parts, with those that are arriving
}

func openBackend(root afero.Fs, admit func() error, logger *slog.Logger) (*backend, error) {
	if err := root.RemoveAll(spoolDir); err != nil {
		return nil, err
	}
	for _, dir := range []string{spoolDir, objectsDir} {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	b := &backend{fs: root, admit: admit, logger: logger, uploads: map[gofakes3.UploadID]*upload{}}
	if err := b.adopt(); err != nil {
		b.down = "the objects of an earlier build could not be moved: " + err.Error() + ": mend that and start the server again"
		logger.Error("no bucket can be used until the next start", "error", b.down)
	}
	return b, nil
}

// up says why there are no buckets. gofakes3 writes into its errors, so each call has its own.
func (b *backend) up() error {
	if b.down == "" {
		return nil
	}
	return gofakes3.ErrorMessage(gofakes3.ErrInternal, b.down)
}

// checkKey refuses what S3 refuses: a key of more than 1,024 bytes, and one that leads out of its bucket, read from the left.
func checkKey(key string) error {
	if len(key) > gofakes3.KeySizeLimit {
		return gofakes3.ErrorMessage(gofakes3.ErrKeyTooLong, "Your key is too long")
	}
	depth := 0
	for part := range strings.SplitSeq(key, "/") {
		switch part {
		case ".":
		case "..":
			depth--
		default:
			depth++
		}
		if depth < 0 {
			return gofakes3.ErrorMessage(gofakes3.ErrInvalidURI, "Couldn't parse the specified URI.")
		}
	}
	if key == "" || key == "." {
		return gofakes3.ErrorMessage(gofakes3.ErrInvalidURI, "Couldn't parse the specified URI.")
	}
	return nil
}

// ListBuckets implements gofakes3.Backend. What else lies beside the buckets is not the server's.
func (b *backend) ListBuckets() ([]gofakes3.BucketInfo, error) {
	if err := b.up(); err != nil {
		return nil, err
	}
	folders, err := afero.ReadDir(b.fs, objectsDir)
	if err != nil {
		return nil, err
	}
	var buckets []gofakes3.BucketInfo
	for _, info := range folders {
		is, err := b.BucketExists(info.Name())
		if err != nil {
			return nil, err
		}
		if is {
			buckets = append(buckets, gofakes3.BucketInfo{Name: info.Name(), CreationDate: gofakes3.NewContentTime(info.ModTime())})
		}
	}
	return buckets, nil
}

// BucketExists implements gofakes3.Backend. A name that cannot be a bucket's is none: "." is the folder of all.
func (b *backend) BucketExists(name string) (bool, error) {
	if gofakes3.ValidateBucketName(name) != nil {
		return false, nil
	}
	if err := b.up(); err != nil {
		return false, err
	}
	return afero.DirExists(b.fs, path.Join(objectsDir, name))
}

// find says in S3's words that a bucket is not there.
func (b *backend) find(bucket string) error {
	is, err := b.BucketExists(bucket)
	if err == nil && !is {
		err = gofakes3.BucketNotFound(bucket)
	}
	return err
}

// CreateBucket implements gofakes3.Backend.
func (b *backend) CreateBucket(name string) error {
	if err := cmp.Or(gofakes3.ValidateBucketName(name), b.up()); err != nil {
		return err
	}
	err := b.fs.Mkdir(path.Join(objectsDir, name), 0o700)
	if errors.Is(err, fs.ErrExist) {
		err = gofakes3.ResourceError(gofakes3.ErrBucketAlreadyExists, name)
	}
	return err
}

// DeleteBucket implements gofakes3.Backend. Uploads in parts end. A file that no listing shows is told, and not removed.
func (b *backend) DeleteBucket(name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.find(name); err != nil {
		return err
	}
	dir := path.Join(objectsDir, name)
	infos, err := afero.ReadDir(b.fs, dir)
	if err != nil {
		return err
	}
	hidden := ""
	for _, info := range infos {
		at := path.Join(dir, info.Name())
		if !isObject(info.Name()) {
			hidden = "artifacts/" + at + " is no object: move it away"
			continue
		}
		file, _, err := readObject(b.fs, at)
		if err == nil {
			_ = file.Close() // it was read only
			return gofakes3.ResourceError(gofakes3.ErrBucketNotEmpty, name)
		}
		hidden = err.Error()
	}
	if hidden != "" {
		return gofakes3.ErrorMessage(gofakes3.ErrBucketNotEmpty, "The bucket you tried to delete is not empty: "+hidden)
	}
	for id, u := range b.uploads {
		if u.bucket == name {
			b.drop(id)
		}
	}
	if err := b.fs.Remove(dir); err != nil {
		return err
	}
	if err := syncFolder(b.fs, objectsDir); err != nil {
		return err
	}
	return b.fs.RemoveAll(path.Join(settingsDir, name)) // last: without them a bucket is not its account's any more
}

// ForceDeleteBucket is for a header of another store than S3, which is not obeyed.
func (b *backend) ForceDeleteBucket(string) error { return gofakes3.ErrNotImplemented }

// HeadObject implements gofakes3.Backend.
func (b *backend) HeadObject(bucket, key string) (*gofakes3.Object, error) {
	o, err := b.GetObject(bucket, key, nil)
	if err != nil {
		return nil, err
	}
	return o, o.Contents.Close()
}

// GetObject implements gofakes3.Backend.
func (b *backend) GetObject(bucket, key string, part *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	file, o, err := b.read(bucket, key)
	if err != nil {
		return nil, err
	}
	of, err := part.Range(o.size)
	if err != nil {
		_ = file.Close() // it was read only
		return nil, err
	}
	from, length := int64(0), o.size
	if of != nil {
		from, length = of.Start, of.Length
	}
	return &gofakes3.Object{
		Name: key, Hash: o.MD5, Metadata: o.Meta, Range: of, Size: o.size, Contents: content{io.NewSectionReader(file, from, length), file},
	}, nil
}

// read opens an object's file, which the caller closes, with S3's errors.
func (b *backend) read(bucket, key string) (afero.File, object, error) {
	if err := b.find(bucket); err != nil {
		return nil, object{}, err
	}
	file, o, err := readObject(b.fs, place(bucket, key))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = gofakes3.KeyNotFound(key)
	case errors.As(err, new(*damage)):
		b.logger.Error("an object cannot be read", "bucket", bucket, "key", key, "error", err)
		err = gofakes3.ErrorMessage(gofakes3.ErrInternal, err.Error())
	}
	return file, o, err
}

// content is what is read of an object.
type content struct {
	io.Reader
	io.Closer
}

// DeleteObject implements gofakes3.Backend. A key that is not there is no error.
func (b *backend) DeleteObject(bucket, key string) (gofakes3.ObjectDeleteResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.find(bucket); err != nil {
		return gofakes3.ObjectDeleteResult{}, err
	}
	return gofakes3.ObjectDeleteResult{}, b.remove(bucket, key)
}

// remove removes an object. The caller holds mu.
func (b *backend) remove(bucket, key string) error {
	at := place(bucket, key)
	if err := b.fs.Remove(at); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return syncFolder(b.fs, path.Dir(at))
}

// DeleteMulti implements gofakes3.Backend.
func (b *backend) DeleteMulti(bucket string, keys ...string) (out gofakes3.MultiDeleteResult, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.find(bucket); err != nil {
		return out, err
	}
	for _, key := range keys {
		if err := b.remove(bucket, key); err != nil {
			out.Error = append(out.Error, gofakes3.ErrorResult{Key: key, Code: gofakes3.ErrInternal, Message: err.Error()})
		} else {
			out.Deleted = append(out.Deleted, gofakes3.ObjectID{Key: key})
		}
	}
	return out, nil
}

// CopyObject implements gofakes3.Backend.
func (b *backend) CopyObject(fromBucket, fromKey, bucket, key string, meta map[string]string) (gofakes3.CopyObjectResult, error) {
	return gofakes3.CopyObject(b, fromBucket, fromKey, bucket, key, meta)
}

// PutObject implements gofakes3.Backend. A body that is cut off, or is another than its checksum says, leaves what was there.
func (b *backend) PutObject(bucket, key string, meta map[string]string, body io.Reader, _ int64, c *gofakes3.PutConditions) (gofakes3.PutObjectResult, error) {
	if err := cmp.Or(b.find(bucket), checkKey(key)); err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	file, err := b.write(object{Bucket: bucket, Key: key, Meta: meta}, body)
	if err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	defer b.discard(file)
	b.mu.Lock()
	defer b.mu.Unlock()
	return gofakes3.PutObjectResult{}, b.stand(file, bucket, key, c)
}

// write makes the file of an object in the spool. Its time is now unless o has one.
func (b *backend) write(o object, body io.Reader) (afero.File, error) {
	sum := md5.New()
	file, size, err := b.spool(io.TeeReader(body, sum))
	if err != nil {
		return nil, err
	}
	if o.MD5, o.size = sum.Sum(nil), size; o.At.IsZero() {
		o.At = time.Now()
	}
	for _, name := range shown {
		if value, ok := o.Meta[shownPrefix+name]; ok {
			delete(o.Meta, shownPrefix+name)
			o.Meta[name] = value
		}
	}
	if err := seal(file, o); err != nil {
		b.discard(file)
		return nil, err
	}
	return file, nil
}

// stand gives an object's file its name, if the conditions allow it. The caller holds mu.
func (b *backend) stand(file afero.File, bucket, key string, c *gofakes3.PutConditions) error {
	if err := b.find(bucket); err != nil { // deleted meanwhile
		return err
	}
	at := place(bucket, key)
	if c != nil {
		if err := b.allows(at, c); err != nil {
			return err
		}
	}
	if err := b.fs.Rename(file.Name(), at); err != nil {
		return err
	}
	return syncFolder(b.fs, path.Dir(at))
}

// allows checks a put's conditions on what is there.
func (b *backend) allows(at string, c *gofakes3.PutConditions) error {
	file, o, err := readObject(b.fs, at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gofakes3.CheckPutConditions(c, &gofakes3.ConditionalObjectInfo{})
	case err != nil:
		return err
	}
	_ = file.Close() // it was read only
	return gofakes3.CheckPutConditions(c, &gofakes3.ConditionalObjectInfo{Exists: true, Hash: o.MD5})
}

// arriving is a file of the spool. It keeps its name there when it gets another.
type arriving struct {
	afero.File
	name string
}

func (a arriving) Name() string { return a.name }

// temporary makes a file in the spool, which the caller discards.
func (b *backend) temporary() (afero.File, error) {
	file, err := afero.TempFile(b.fs, spoolDir, "body-") // for the owner only
	if err != nil {
		return nil, err
	}
	return arriving{file, file.Name()}, nil
}

// spool writes a body whole to a file beside the objects, which the caller discards, while there is room.
func (b *backend) spool(body io.Reader) (file afero.File, size int64, err error) {
	if file, err = b.temporary(); err != nil {
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

// objects lists the objects of a bucket whose keys begin with prefix, by key, and tells of each that is damaged: its key is not known.
func (b *backend) objects(bucket, prefix string) (objects []object, damaged []error, err error) {
	if err := b.find(bucket); err != nil {
		return nil, nil, err
	}
	dir := path.Join(objectsDir, bucket)
	infos, err := afero.ReadDir(b.fs, dir)
	if err != nil {
		return nil, nil, err
	}
	for _, info := range infos {
		if !isObject(info.Name()) {
			continue
		}
		file, o, err := readObject(b.fs, path.Join(dir, info.Name()))
		switch {
		case errors.Is(err, fs.ErrNotExist): // deleted meanwhile
			continue
		case errors.As(err, new(*damage)):
			damaged = append(damaged, err)
			continue
		case err != nil:
			return nil, nil, err
		}
		_ = file.Close() // it was read only
		if strings.HasPrefix(o.Key, prefix) {
			objects = append(objects, o)
		}
	}
	slices.SortFunc(objects, func(x, y object) int { return cmp.Compare(x.Key, y.Key) })
	return objects, damaged, nil
}

// ListBucket implements gofakes3.Backend. A damaged object is left out, so that the others can be reached, and logged.
func (b *backend) ListBucket(bucket string, p *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	if p == nil {
		p = &gofakes3.Prefix{}
	}
	objects, damaged, err := b.objects(bucket, p.Prefix)
	if err != nil {
		return nil, err
	}
	for _, err := range damaged {
		b.logger.Error("a listing leaves out an object", "bucket", bucket, "error", err)
	}
	list := gofakes3.NewObjectList()
	for _, o := range objects {
		name, common := o.Key, false
		if p.HasDelimiter {
			if end := strings.Index(o.Key[len(p.Prefix):], p.Delimiter); end >= 0 {
				name, common = o.Key[:len(p.Prefix)+end+len(p.Delimiter)], true
			}
		}
		if page.HasMarker && name <= page.Marker || common && name == list.NextMarker {
			continue
		}
		if n := len(list.Contents) + len(list.CommonPrefixes); page.MaxKeys > 0 && int64(n) == page.MaxKeys {
			list.IsTruncated = true
			return list, nil
		}
		if list.NextMarker = name; common {
			list.AddPrefix(name)
		} else {
			list.Add(&gofakes3.Content{Key: name, LastModified: gofakes3.NewContentTime(o.At), ETag: gofakes3.FormatETag(o.MD5), Size: o.size})
		}
	}
	list.NextMarker = ""
	return list, nil
}
