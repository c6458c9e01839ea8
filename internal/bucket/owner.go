package bucket

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/johannesboyne/gofakes3"
)

// ownerSetting is the file among a bucket's settings that says whose it is: an account's number. It is none of S3's settings, so no request
// reaches it. A bucket without it was made by an earlier release.
const ownerSetting = "millstream-owner"

// errDenied is S3's answer to who asks for another account's bucket. It is fs.ErrPermission.
var errDenied = denied{}

type denied struct{}

func (denied) Error() string        { return "Access Denied" }
func (denied) Is(target error) bool { return target == fs.ErrPermission }

// owner is the account of a bucket.
func (s *Service) owner(bucket string) (string, error) {
	account, _, err := s.backend.setting(bucket, ownerSetting)
	if errors.Is(err, fs.ErrNotExist) {
		return s.account, nil
	}
	return string(account), err
}

// reaches says why an account may not use a bucket that is there.
func (s *Service) reaches(account, bucket string) error {
	if !s.apart {
		return nil
	}
	owner, err := s.owner(bucket)
	if err == nil && owner != account {
		err = errDenied
	}
	return err
}

// allows reports whether a request of an account goes on: it names no other account's bucket, neither as its own nor as what it copies. Else it
// has answered. A name that is taken is told by who makes the bucket.
func (s *Service) allows(w http.ResponseWriter, r *http.Request, account, bucket string) bool {
	if !s.apart || bucket == "" {
		return true
	}
	names := []string{bucket}
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/") // "/bucket//" is a key that is called "/"
	if making := r.Method == http.MethodPut && key == "" && r.URL.RawQuery == ""; making {
		names = nil
	}
	if source := r.Header.Get("X-Amz-Copy-Source"); source != "" {
		if plain, err := url.PathUnescape(source); err == nil {
			source = plain
		}
		from, _, _ := strings.Cut(strings.TrimPrefix(source, "/"), "/")
		names = append(names, from)
	}
	for _, name := range names {
		is, err := s.backend.BucketExists(name)
		if err == nil && is {
			err = s.reaches(account, name)
		}
		if err == nil && is {
			for _, header := range []string{"X-Amz-Expected-Bucket-Owner", "X-Amz-Source-Expected-Bucket-Owner"} {
				if want := r.Header.Get(header); want != "" && want != account {
					err = errDenied
				}
			}
		}
		switch {
		case errors.Is(err, errDenied):
			fail(w, http.StatusForbidden, "AccessDenied", "Access Denied")
			return false
		case err != nil:
			answer(w, err)
			return false
		}
	}
	return true
}

// accounts is the backend as one account sees it, where it lists and makes buckets.
type accounts struct {
	*backend
	service *Service
	account string
}

// ListBuckets implements gofakes3.Backend.
func (a *accounts) ListBuckets() ([]gofakes3.BucketInfo, error) {
	all, err := a.backend.ListBuckets()
	if err != nil || !a.service.apart {
		return all, err
	}
	var own []gofakes3.BucketInfo
	for _, b := range all {
		switch err := a.service.reaches(a.account, b.Name); {
		case err == nil:
			own = append(own, b)
		case !errors.Is(err, errDenied):
			return nil, err
		}
	}
	return own, nil
}

// CreateBucket implements gofakes3.Backend.
func (a *accounts) CreateBucket(name string) error { return a.create(name, a.account) }

// create makes a bucket of an account. Whose it is is written first: a bucket without that is another's.
func (b *backend) create(name, account string) error {
	if err := cmp.Or(gofakes3.ValidateBucketName(name), b.up()); err != nil {
		return err
	}
	file, err := b.write(object{Bucket: name, Key: ownerSetting}, bytes.NewReader([]byte(account)))
	if err != nil {
		return err
	}
	defer b.discard(file)
	b.mu.Lock()
	defer b.mu.Unlock()
	is, err := b.BucketExists(name)
	if err != nil {
		return err
	}
	if is {
		return gofakes3.ResourceError(gofakes3.ErrBucketAlreadyExists, name)
	}
	at := settingPlace(name, ownerSetting)
	if err := b.fs.RemoveAll(path.Dir(at)); err != nil { // what a crash has left of one that was deleted
		return err
	}
	if err := b.fs.MkdirAll(path.Dir(at), 0o700); err != nil {
		return err
	}
	if err := b.fs.Rename(file.Name(), at); err != nil {
		return err
	}
	if err := syncFolder(b.fs, path.Dir(at)); err != nil {
		return err
	}
	return b.CreateBucket(name)
}
