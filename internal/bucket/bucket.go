package bucket

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strings"

	"github.com/johannesboyne/gofakes3"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/spf13/afero"
)

// Options of Open.
type Options struct {
	Dir    string       // of the buckets; made when it is not there. Empty: they are in memory
	Admit  func() error // tells why nothing may be written now, such as a full disk; nil: all may be
	Logger *slog.Logger // nil: nothing is logged
	// Apart keeps accounts apart: nobody reaches another's bucket. Without it each is everybody's; whose it is is kept all the same.
	Apart bool
	// Account has the buckets that no account has made: those of earlier releases.
	Account string
}

// Service holds the buckets. Its methods may be called by many goroutines at once.
type Service struct {
	backend *backend
	s3      http.Handler // of everybody
	logger  *slog.Logger
	apart   bool
	account string
}

// Open brings up the buckets. Uploads in parts are gone then. When the objects of an earlier build cannot be moved to where they lie
// now, the rest of the server must not wait for it: every call of the Service then has an error that says so, and the next Open tries again.
func Open(o Options) (*Service, error) {
	fs := afero.NewMemMapFs()
	if o.Dir != "" {
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("bucket: %w", err)
		}
		fs = afero.NewBasePathFs(private{afero.NewOsFs()}, o.Dir)
	}
	if o.Admit == nil {
		o.Admit = func() error { return nil }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	backend, err := openBackend(fs, o.Admit, o.Logger)
	if err != nil {
		return nil, fmt.Errorf("bucket: %w", err)
	}
	// Signatures are not checked here, so neither are their times.
	return &Service{backend, serverOf(backend), o.Logger, o.Apart, o.Account}, nil
}

func serverOf(b gofakes3.Backend) http.Handler {
	return gofakes3.New(b, gofakes3.WithTimeSkewLimit(0), gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
}

const (
	// MaxObject is the longest object, in bytes: more than Lambda takes as code.
	MaxObject = 300 << 20
	// maxOther is the longest body that is no object: it names 10,000 parts with their checksums.
	maxOther = 4 << 20
)

// Get reads an object for an account. The error says in S3's words what is not there, or not its own.
func (s *Service) Get(_ context.Context, account, bucket, key string) ([]byte, error) {
	if err := s.exists(bucket); err != nil {
		return nil, err
	}
	if err := s.reaches(account, bucket); err != nil {
		return nil, err
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

// exists says that a bucket is not there.
func (s *Service) exists(bucket string) error {
	ok, err := s.backend.BucketExists(bucket)
	if err == nil && !ok {
		err = errors.New("The specified bucket does not exist")
	}
	return err
}

// Exists reports whether a bucket is there. The error is fs.ErrPermission where it is another account's.
func (s *Service) Exists(account, bucket string) (bool, error) {
	is, err := s.backend.BucketExists(bucket)
	if err == nil && is {
		err = s.reaches(account, bucket)
	}
	return is && err == nil, err
}

// Create makes a bucket of an account; one that it has already stays as it is. The error says in S3's words why a name is none of a bucket.
func (s *Service) Create(account, bucket string) error {
	err := s.backend.create(bucket, account)
	if gofakes3.HasErrorCode(err, gofakes3.ErrBucketAlreadyExists) && s.reaches(account, bucket) == nil {
		return nil
	}
	return err
}

// Delete removes an empty bucket; one that is not there is no error, and one that holds something is one, as for S3.
func (s *Service) Delete(bucket string) error {
	err := s.backend.DeleteBucket(bucket)
	if gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchBucket) {
		return nil
	}
	return err
}

// ServeHTTP is Serve for everybody, where accounts are not kept apart.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.Serve(w, r, s.account) }

// Serve answers a request of an account.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, account string) {
	defer func() {
		switch fault := recover(); fault {
		case nil:
		case http.ErrAbortHandler:
			panic(fault)
		default: // of a library that holds none of the server's locks: nothing else suffers
			s.logger.Error("a request of S3 met a fault", "method", r.Method, "path", r.URL.Path, "panic", fault, "stack", string(debug.Stack()))
			fail(w, http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.")
		}
	}()
	// An object may be a page or a script. It must not run as one of this server's own, which every door lets in.
	w.Header().Set("Content-Security-Policy", "sandbox")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Site") != "none" {
		fail(w, http.StatusForbidden, "AccessDenied", "Objects are not opened from web pages: type the address, or fetch it with a program")
		return
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if bucket != "" && gofakes3.ValidateBucketName(bucket) != nil {
		fail(w, http.StatusBadRequest, "InvalidBucketName", "The specified bucket is not valid.")
		return
	}
	if !s.allows(w, r, account, bucket) {
		return
	}
	r = detached(r)
	if err := decodeChunked(r); err != nil {
		fail(w, http.StatusBadRequest, "InvalidRequest", err.Error())
		return
	}
	body := &noted{ReadCloser: r.Body}
	r.Body, w = body, &judged{ResponseWriter: w, body: body}
	if locks(w, r, key) || s.part(w, r, bucket, key) {
		return
	}
	most := int64(maxOther)
	if r.Method == http.MethodPut {
		most = MaxObject
	}
	if r.ContentLength > most {
		fail(w, http.StatusBadRequest, "EntityTooLarge", fmt.Sprintf("Your proposed upload exceeds the maximum allowed size: Millstream takes %d MB here", most>>20))
		return
	}
	r.Body = http.MaxBytesReader(w, body, most)
	if r.Method != http.MethodPut && !whole(w, r) {
		return
	}
	for _, name := range shown {
		if value := r.Header.Get(name); value != "" {
			r.Header.Set(shownPrefix+name, value)
		}
	}
	s3 := s.s3
	if key == "" && (bucket == "" || r.Method == http.MethodPut) { // what lists and makes buckets has to know whose
		s3 = serverOf(&accounts{s.backend, s, account})
	}
	s3.ServeHTTP(w, r)
}

// shown are headers of a put that S3 gives back with the object and that the library does not hand on. It hands on those that
// begin with X-Amz-.
var shown = []string{"Cache-Control", "Content-Language", "Expires"}

const shownPrefix = "X-Amz-Shown-"

// detached is a request whose headers may be changed: who audits it reads them when it has been answered.
func detached(r *http.Request) *http.Request {
	copied := *r
	copied.Header = r.Header.Clone()
	return &copied
}

// whole reads a body that is no object to its end, which tells whether it is the one that was signed: the library stops reading when it has seen
// enough, and acts. It reports false when it has answered.
func whole(w http.ResponseWriter, r *http.Request) bool {
	body, err := io.ReadAll(r.Body)
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		fail(w, http.StatusBadRequest, "EntityTooLarge", fmt.Sprintf("Your proposed upload exceeds the maximum allowed size: Millstream takes %d MB here", long.Limit>>20))
		return false
	case err != nil:
		fail(w, http.StatusBadRequest, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header.")
		return false
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return true
}

// noted is a body that keeps what is wrong with it.
type noted struct {
	io.ReadCloser
	wrong *awserr.Error
}

func (b *noted) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	_ = errors.As(err, &b.wrong)
	return n, err
}

// judged answers what is wrong with a body where the library would say that it is incomplete.
type judged struct {
	http.ResponseWriter
	body     *noted
	answered bool
}

func (w *judged) WriteHeader(status int) {
	if e := w.body.wrong; e != nil && status >= http.StatusBadRequest {
		w.answered = true
		fail(w.ResponseWriter, e.HTTPStatus(), e.Code, e.Message)
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *judged) Write(b []byte) (int, error) {
	if w.answered {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController flush and set deadlines.
func (w *judged) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func write(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, xml.Header+body) // the caller has gone: there is nobody to tell
}

// Refuse answers a request that is not let in, in S3's words.
func Refuse(w http.ResponseWriter, _ *http.Request, e *awserr.Error) {
	status, code, message := http.StatusForbidden, strings.TrimSuffix(e.Code, "Exception"), e.Message
	switch e.Code {
	case "MissingAuthenticationTokenException":
		code, message = "AccessDenied", "Access Denied"
	case "UnrecognizedClientException":
		code, message = "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
	case "ExpiredTokenException":
		status, code, message = http.StatusBadRequest, "ExpiredToken", "The provided token has expired."
	case "IncompleteSignatureException":
		status, code = http.StatusBadRequest, "AuthorizationHeaderMalformed"
	case "InvalidSignatureException":
		switch {
		case strings.HasPrefix(message, "Signature expired"), strings.HasPrefix(message, "Signature not yet current"):
			code, message = "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."
		case strings.Contains(message, "does not match the signature"):
			code, message = errSignature.Code, errSignature.Message
		default:
			code = "SignatureDoesNotMatch"
		}
	case "InvalidRequest":
		status = http.StatusBadRequest
	}
	fail(w, status, code, message)
}

func fail(w http.ResponseWriter, status int, code, message string) {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(message)) // a Builder takes everything
	write(w, status, "<Error><Code>"+code+"</Code><Message>"+b.String()+"</Message></Error>")
}

// Put writes an object whole. When nothing may be written now, the error is over that of Options.Admit.
func (s *Service) Put(bucket, key string, content []byte) error {
	if err := s.exists(bucket); err != nil {
		return err
	}
	_, err := s.backend.PutObject(bucket, key, map[string]string{}, bytes.NewReader(content), int64(len(content)), nil)
	if err != nil {
		err = errors.Join(s.backend.admit(), err) // S3's errors have no cause in them
	}
	return err
}

// Open opens an object for reading.
func (s *Service) Open(bucket, key string) (io.ReadCloser, error) {
	o, err := s.backend.GetObject(bucket, key, nil)
	if err != nil {
		return nil, err
	}
	return o.Contents, nil
}

// Keys lists the objects whose keys begin with prefix, ascending. A damaged object of the bucket is an error, since its key is not known.
func (s *Service) Keys(bucket, prefix string) ([]string, error) {
	objects, damaged, err := s.backend.objects(bucket, prefix)
	if err := errors.Join(err, errors.Join(damaged...)); err != nil {
		return nil, err
	}
	var keys []string
	for _, o := range objects {
		keys = append(keys, o.Key)
	}
	return keys, nil
}
