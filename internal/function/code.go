package function

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/millstreamdb/millstream/internal/function/archive"
)

// CodePath is the path below which ServeCode answers; a zip's hash follows.
const CodePath = "/_millstream/v1/code/"

const (
	zipFile = "package.zip"
	taskDir = "task"
	// Folders whose names begin so are not yet, or no more, code.
	unfinished = ".new-"
	discarded  = ".old-"
)

// codeStore holds packages by the hash of their zip: <dir>/<hash>/package.zip and
// <dir>/<hash>/task. A folder of that name is whole, since it is made under
// another one, synced and renamed.
type codeStore struct {
	dir    string
	sync   bool
	flight singleflight.Group // one unpacking per hash at a time

	mu   sync.Mutex // guards refs, and is held over the renames of folders
	refs map[string]int
}

func newCodeStore(dir string, sync bool) (*codeStore, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("function: make the code folder: %w", err)
	}
	return &codeStore{dir: dir, sync: sync, refs: map[string]int{}}, nil
}

// whole unpacks what is there as a package only, as in a folder that was restored from a backup. A package that
// cannot be is told of, and the others are: its functions fail until they are deployed again.
func (c *codeStore) whole(log *slog.Logger) error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("function: list the code folder: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue // not code yet, or no more
		}
		dir := filepath.Join(c.dir, e.Name())
		if _, err := os.Stat(c.task(e.Name())); err == nil || !e.IsDir() {
			continue
		}
		zip, err := os.ReadFile(filepath.Join(dir, zipFile))
		if errors.Is(err, fs.ErrNotExist) {
			continue // no package's folder
		}
		if err == nil && hashOf(zip) != e.Name() {
			err = fmt.Errorf("its content is not what its name says")
		}
		tmp := ""
		if err == nil {
			tmp, err = os.MkdirTemp(dir, unfinished)
		}
		if err == nil {
			err = archive.Unpack(zip, tmp, c.sync)
		}
		if err == nil {
			err = os.Rename(tmp, c.task(e.Name()))
		}
		if err == nil {
			err = c.syncDir(dir)
		}
		if err != nil {
			log.Error("a package of code cannot be unpacked: what runs it fails until it is deployed again", "package", dir, "error", err)
		}
	}
	return nil
}

func (c *codeStore) task(hash string) string { return filepath.Join(c.dir, hash, taskDir) }

func hashOf(zip []byte) string {
	sum := sha256.Sum256(zip)
	return hex.EncodeToString(sum[:])
}

func base64OfHex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) == 0 {
		return ""
	}
	return base64.StdEncoding.EncodeToString(b)
}

// add unpacks a zip unless that was done before, and takes a reference on it,
// which the caller must give back with release.
func (c *codeStore) add(zip []byte) (hash string, err error) {
	hash = hashOf(zip)
	c.acquire(hash)
	_, err, _ = c.flight.Do(hash, func() (any, error) {
		if _, err := os.Stat(c.task(hash)); err == nil {
			return nil, c.mend(hash, zip)
		}
		if err := removeTree(filepath.Join(c.dir, hash)); err != nil { // a damaged package: see whole
			return nil, fmt.Errorf("function: remove damaged code: %w", err)
		}
		return nil, c.unpack(hash, zip)
	})
	if err != nil {
		c.release(hash)
		return "", err
	}
	return hash, nil
}

// mend writes a package anew that is not what its name says, though it was unpacked while it was: backups have the package only.
func (c *codeStore) mend(hash string, zip []byte) error {
	dir := filepath.Join(c.dir, hash)
	is, err := os.ReadFile(filepath.Join(dir, zipFile))
	if err == nil && hashOf(is) == hash {
		return nil
	}
	tmp := filepath.Join(dir, unfinished+"zip")
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("function: mend a damaged package: %w", err)
	}
	err = c.writeFile(tmp, zip)
	if err == nil {
		err = os.Rename(tmp, filepath.Join(dir, zipFile))
	}
	if err != nil {
		return fmt.Errorf("function: mend a damaged package: %w", err)
	}
	return c.syncDir(dir)
}

func (c *codeStore) unpack(hash string, zip []byte) (err error) {
	tmp, err := os.MkdirTemp(c.dir, unfinished)
	if err != nil {
		return fmt.Errorf("function: unpack: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeTree(tmp))
		}
	}()
	task := filepath.Join(tmp, taskDir)
	if err := os.Mkdir(task, 0o700); err != nil {
		return fmt.Errorf("function: unpack: %w", err)
	}
	if err := archive.Unpack(zip, task, c.sync); err != nil {
		return err
	}
	if err := c.writeFile(filepath.Join(tmp, zipFile), zip); err != nil {
		return fmt.Errorf("function: keep the zip: %w", err)
	}
	if err := c.syncDir(tmp); err != nil {
		return err
	}
	c.mu.Lock()
	err = os.Rename(tmp, filepath.Join(c.dir, hash))
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("function: unpack: %w", err)
	}
	return c.syncDir(c.dir)
}

func (c *codeStore) writeFile(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil && c.sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (c *codeStore) syncDir(name string) error {
	if !c.sync {
		return nil
	}
	d, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("function: sync code: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// acquire takes a reference: a definition and a runner hold one each.
func (c *codeStore) acquire(hash string) {
	if hash == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refs[hash]++
}

// release gives a reference back. Code without any is removed.
func (c *codeStore) release(hash string) {
	if hash == "" {
		return
	}
	c.mu.Lock()
	c.refs[hash]--
	if c.refs[hash] > 0 {
		c.mu.Unlock()
		return
	}
	delete(c.refs, hash)
	gone, err := c.discard(hash)
	c.mu.Unlock()
	if err == nil {
		_ = removeTree(gone) // what is left over goes at the next start
	}
}

// discard renames code out of the way, which cannot fail half-way. mu is held.
func (c *codeStore) discard(hash string) (string, error) {
	to, err := os.MkdirTemp(c.dir, discarded)
	if err != nil {
		return "", err
	}
	if err := os.Rename(filepath.Join(c.dir, hash), filepath.Join(to, hash)); err != nil {
		return "", errors.Join(err, os.Remove(to)) // it was never unpacked
	}
	return to, nil
}

// sweep has that removed which no definition names; it runs before anything else does.
func (c *codeStore) sweep(remove func(name string) error) error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("function: read the code folder: %w", err)
	}
	for _, e := range entries {
		if c.refs[e.Name()] == 0 && e.Name() != shimDir {
			if err := remove(e.Name()); err != nil {
				return fmt.Errorf("function: remove old code: %w", err)
			}
		}
	}
	return nil
}

// removeTree removes a folder whose subfolders may not be writable.
func removeTree(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// linkLife is how long a link to code is good, as AWS's are.
const linkLife = 10 * time.Minute

// codeLink is an address of a zip for who has none of the server's keys, as a presigned one: it ends, and cannot be made up.
func (s *Service) codeLink(hash string) string {
	expires := strconv.FormatInt(s.opts.Now().Add(linkLife).Unix(), 10)
	return s.opts.LinkEndpoint() + CodePath + hash + "?Expires=" + expires + "&Signature=" + s.signLink(hash, expires)
}

func (s *Service) signLink(hash, expires string) string {
	mac := hmac.New(sha256.New, s.linkKey)
	_, _ = io.WriteString(mac, "code "+hash+" "+expires) // never fails
	return hex.EncodeToString(mac.Sum(nil))
}

// ServeCode answers GET CodePath + hash with the zip, for the links of GetFunction and GetLayerVersion.
func (s *Service) ServeCode(w http.ResponseWriter, r *http.Request) {
	hash, query := strings.TrimPrefix(r.URL.Path, CodePath), r.URL.Query()
	if b, err := hex.DecodeString(hash); err != nil || len(b) != sha256.Size || hash != strings.ToLower(hash) {
		http.NotFound(w, r)
		return
	}
	expires := query.Get("Expires")
	if !hmac.Equal([]byte(query.Get("Signature")), []byte(s.signLink(hash, expires))) {
		http.Error(w, "The link is not one that GetFunction or GetLayerVersion has given.", http.StatusForbidden)
		return
	}
	if until, err := strconv.ParseInt(expires, 10, 64); err != nil || s.opts.Now().Unix() > until {
		http.Error(w, "Request has expired: ask GetFunction or GetLayerVersion for another link.", http.StatusForbidden)
		return
	}
	if s.rows.shared != nil {
		s.zipThere(r.Context(), hash)
	}
	w.Header().Set("Content-Type", "application/zip")
	http.ServeFile(w, r, filepath.Join(s.code.dir, hash, zipFile))
}
