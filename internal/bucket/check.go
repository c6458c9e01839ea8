package bucket

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/spf13/afero"
)

// Check compares each object in the folder of a service that is not open with its checksums, and changes nothing. It returns how many
// there are and what is wrong with some. An error says that it could not look.
func Check(ctx context.Context, dir string) (looked int64, faults []string, err error) {
	b := &backend{fs: afero.NewReadOnlyFs(afero.NewBasePathFs(afero.NewOsFs(), dir))}
	buckets, err := b.ListBuckets()
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, nil
	}
	for _, bucket := range buckets {
		for _, dir := range []string{path.Join(objectsDir, bucket.Name), path.Join(settingsDir, bucket.Name)} {
			infos, err := afero.ReadDir(b.fs, dir)
			if err != nil && !errors.Is(err, fs.ErrNotExist) { // most have no settings
				return looked, faults, err
			}
			for _, info := range infos {
				if path.Dir(dir) == objectsDir && !isObject(info.Name()) {
					continue
				}
				if info.Name() != ownerSetting {
					looked++
				}
				if err := b.check(path.Join(dir, info.Name())); err != nil {
					faults = append(faults, err.Error())
				}
				if err := ctx.Err(); err != nil {
					return looked, faults, err
				}
			}
		}
	}
	return looked, faults, err
}

func (b *backend) check(at string) error {
	file, o, err := readObject(b.fs, at)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := md5.New()
	if _, err := io.Copy(sum, io.NewSectionReader(file, 0, o.size)); err != nil {
		return fmt.Errorf("artifacts/%s: %w", at, err)
	}
	if !bytes.Equal(sum.Sum(nil), o.MD5) {
		return fmt.Errorf("the content of %q in the bucket %s is not what was put: %w", o.Key, o.Bucket, &damage{at, errors.New("its MD5 is another")})
	}
	return nil
}
