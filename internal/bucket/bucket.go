package bucket

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3afero"
	"github.com/spf13/afero"
)

// Service holds the buckets. Its methods may be called by many goroutines at once.
type Service struct {
	backend *s3afero.MultiBucketBackend
	s3      http.Handler
}

// Open brings up the buckets below dir, which is made when there is a first one; an empty
// dir means memory.
func Open(dir string) (*Service, error) {
	fs := afero.NewMemMapFs()
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("bucket: %w", err)
		}
		fs = afero.NewBasePathFs(private{afero.NewOsFs()}, dir)
	}
	backend, err := s3afero.MultiBucket(fs)
	if err != nil {
		return nil, fmt.Errorf("bucket: %w", err)
	}
	// Signatures are not checked here, so neither are their times.
	s3 := gofakes3.New(backend, gofakes3.WithTimeSkewLimit(0), gofakes3.WithLogger(gofakes3.DiscardLog()))
	return &Service{backend: backend, s3: s3.Server()}, nil
}

// private makes files and folders that only the owner reads, as all of the data's are.
type private struct{ afero.Fs }

func (p private) Create(name string) (afero.File, error) {
	return p.Fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
}

func (p private) OpenFile(name string, flag int, _ os.FileMode) (afero.File, error) {
	return p.Fs.OpenFile(name, flag, 0o600)
}

func (p private) Mkdir(name string, _ os.FileMode) error    { return p.Fs.Mkdir(name, 0o700) }
func (p private) MkdirAll(name string, _ os.FileMode) error { return p.Fs.MkdirAll(name, 0o700) }

// MaxObject is the longest object that Get reads into memory: more than Lambda takes as code.
const MaxObject = 300 << 20

// Get reads an object. The error says in S3's words what is not there.
func (s *Service) Get(_ context.Context, bucket, key string) ([]byte, error) {
	if ok, err := s.backend.BucketExists(bucket); err != nil || !ok {
		return nil, errors.Join(errors.New("The specified bucket does not exist"), err)
	}
	o, err := s.backend.GetObject(bucket, key, nil)
	switch {
	case gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchKey):
		return nil, errors.New("The specified key does not exist.")
	case err != nil:
		return nil, err
	}
	defer o.Contents.Close()
	body, err := io.ReadAll(io.LimitReader(o.Contents, MaxObject+1))
	if err == nil && len(body) > MaxObject {
		err = fmt.Errorf("the object has more than %d MB", MaxObject>>20)
	}
	return body, err
}

// Exists reports whether a bucket is there.
func (s *Service) Exists(bucket string) (bool, error) { return s.backend.BucketExists(bucket) }

// Create makes a bucket; one that is there already stays as it is.
func (s *Service) Create(bucket string) error {
	err := s.backend.CreateBucket(bucket)
	if gofakes3.HasErrorCode(err, gofakes3.ErrBucketAlreadyExists) {
		return nil
	}
	return err
}

// Delete removes a bucket with what it holds; one that is not there is no error.
func (s *Service) Delete(bucket string) error {
	err := s.backend.ForceDeleteBucket(bucket)
	if gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchBucket) {
		return nil
	}
	return err
}

// settings are those of buckets that are taken and not kept, by their name in the query,
// and what S3 answers for a bucket that has none.
var settings = map[string]string{
	"encryption": "ServerSideEncryptionConfigurationNotFoundError", "policy": "NoSuchBucketPolicy", "lifecycle": "NoSuchLifecycleConfiguration",
	"publicAccessBlock": "NoSuchPublicAccessBlockConfiguration", "tagging": "NoSuchTagSet", "cors": "NoSuchCORSConfiguration",
	"ownershipControls": "OwnershipControlsNotFoundError", "website": "NoSuchWebsiteConfiguration", "replication": "ReplicationConfigurationNotFoundError",
}

func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	for name, missing := range settings {
		if !query.Has(name) {
			continue
		}
		switch r.Method {
		case http.MethodGet:
			fail(w, http.StatusNotFound, missing, "The bucket has no such configuration")
		case http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		default:
			w.WriteHeader(http.StatusOK)
		}
		return
	}
	if query.Has("versioning") {
		if r.Method == http.MethodGet {
			write(w, http.StatusOK, `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>`)
		}
		return // taken: there is one version of an object
	}
	if query.Has("location") {
		write(w, http.StatusOK, `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>`)
		return
	}
	if err := decodeChunked(r); err != nil {
		fail(w, http.StatusBadRequest, "InvalidRequest", err.Error())
		return
	}
	if r.Method == http.MethodPut && r.ContentLength != 0 {
		whole, err := spool(r.Body)
		if err != nil {
			fail(w, http.StatusBadRequest, "IncompleteBody", err.Error())
			return
		}
		defer whole.Close()
		r.Body = whole
	}
	s.s3.ServeHTTP(w, r)
}

// spool reads a body whole before an object is touched: one that is cut off must leave
// what was there.
func spool(body io.Reader) (io.ReadCloser, error) {
	file, err := os.CreateTemp("", "millstream-object-")
	if err != nil {
		return nil, err
	}
	whole := spooled{file}
	if _, err = io.Copy(file, body); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, whole.Close())
	}
	return whole, nil
}

type spooled struct{ *os.File }

func (s spooled) Close() error { return errors.Join(s.File.Close(), os.Remove(s.Name())) }

func write(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, xml.Header+body) // the caller has gone: there is nobody to tell
}

func fail(w http.ResponseWriter, status int, code, message string) {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(message)) // a Builder takes everything
	write(w, status, "<Error><Code>"+code+"</Code><Message>"+b.String()+"</Message></Error>")
}
