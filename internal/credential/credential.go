package credential

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/seal"
	"github.com/millstreamdb/millstream/internal/sigv4"
	"github.com/millstreamdb/millstream/internal/store"
)

// Options of Open.
type Options struct {
	Store *store.Store
	// Seals seals the secrets.
	Seals *seal.Keys
	// Root is an operator's key that comes from outside and is stored nowhere, with RootSecret; empty: there is none.
	Root, RootSecret, RootAccount string
	// Alive reports whether the process that was given this token is still there.
	Alive func(token string) bool
	// Now is the machine's clock.
	Now func() time.Time
}

// Key is an access key without its secret. It is a row, as JSON; fields are only ever added.
type Key struct {
	ID       string    `json:"id"`
	Account  string    `json:"account"`
	Name     string    `json:"name,omitempty"` // what people call it
	Operator bool      `json:"operator,omitempty"`
	Disabled bool      `json:"disabled,omitempty"`
	Created  time.Time `json:"created"`
	// Used is when it last signed a request that was let in, to the hour; zero: never.
	Used time.Time `json:"used,omitzero"`
	// Sealed is the secret.
	Sealed []byte `json:"sealed"`
}

// Caller is who has signed a request.
type Caller struct {
	Account  string
	Operator bool
	key      *kept   // nil: a session
	session  *claims // of a session, with its token
	token    string
	// Elsewhere is what found the caller, where that was no Service of this program.
	Elsewhere any
}

// Service holds the keys. Its methods may be called by many goroutines at once.
type Service struct {
	opts Options

	mu      sync.Mutex // held over the write of a row
	passing *seal.Key  // of this run, for sessions while there is no other

	keys     atomic.Pointer[map[string]*kept] // by id; the map is never changed
	derived  sync.Map                         // signing keys by derivedKey
	count    int                              // of derived; guarded by counting
	counting sync.Mutex
}

// kept is a key as it is used. What may change is replaced, with the map.
type kept struct {
	Key
	secret string       // empty: it cannot be opened
	used   atomic.Int64 // hour of the last use that was written or is being written
	last   atomic.Pointer[lastKey]
}

// lastKey is the signing key that was looked for last: as a rule it is the next one, too, for a day.
type lastKey struct {
	of  derivedKey
	key *sigv4.Key
}

const rowVersion = 1

// Errors of the calls that a person makes.
var (
	ErrNoKey   = errors.New("there is no such access key")
	ErrRoot    = errors.New("this key comes from the server's options: change it there")
	ErrAccount = errors.New("an account has 12 digits")
	ErrName    = errors.New("a name has at most 128 characters, without line breaks")
)

// Open brings the keys up. Those whose secrets were sealed with a file that is not there, or is another, sign nothing: see Count and
// Unusable.
func Open(o Options) (*Service, error) {
	s := &Service{opts: o, passing: seal.Passing()}
	keys := map[string]*kept{}
	err := o.Store.Each([]byte{store.SpaceCredential}, func(key, value []byte) error {
		if len(value) == 0 || value[0] != rowVersion {
			return errors.New("credential: a row has an unknown format: it was written by a newer release")
		}
		k := &kept{}
		if err := json.Unmarshal(value[1:], &k.Key); err != nil {
			return fmt.Errorf("credential: decode a row: %w", err)
		}
		keys[k.ID] = k
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if secret, err := o.Seals.Open(seal.AccessKey, []byte(k.ID), k.Sealed); err == nil {
			k.secret = string(secret)
		}
		if !k.Used.IsZero() {
			k.used.Store(k.Used.Unix() / 3600)
		}
	}
	if o.Root != "" {
		if keys[o.Root] != nil || len(o.RootSecret) < 16 {
			return nil, fmt.Errorf("credential: the root key %s: want an id that no other key has, and a secret of 16 characters or more", o.Root)
		}
		keys[o.Root] = &kept{Key: Key{ID: o.Root, Account: o.RootAccount, Name: "root", Operator: true, Created: o.Now().UTC().Truncate(time.Second)}, secret: o.RootSecret}
	}
	s.keys.Store(&keys)
	return s, nil
}

// Count is how many keys there are that may sign.
func (s *Service) Count() int {
	n := 0
	for _, k := range *s.keys.Load() {
		if !k.Disabled && k.secret != "" {
			n++
		}
	}
	return n
}

// Unusable reports whether a key's secret was sealed with another file than the one that is there.
func (s *Service) Unusable(id string) bool {
	k := (*s.keys.Load())[id]
	return k != nil && k.secret == ""
}

// List returns the keys in the order in which they were made.
func (s *Service) List() []Key {
	var all []Key
	for _, k := range *s.keys.Load() {
		one := k.Key
		one.Sealed = nil
		if hour := k.used.Load(); hour > 0 {
			one.Used = time.Unix(hour*3600, 0).UTC()
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b Key) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// Create makes a key of an account, 12 digits. The secret is told this once.
func (s *Service) Create(account, name string, operator bool) (k Key, secret string, err error) {
	if len(account) != 12 || strings.Trim(account, "0123456789") != "" {
		return Key{}, "", ErrAccount
	}
	if len(name) > 128 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return Key{}, "", ErrName
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.Seals.Broken() == nil && !s.opts.Seals.There() {
		for _, k := range *s.keys.Load() {
			if k.ID != s.opts.Root { // it is easily forgotten that a new file is not the old one
				return Key{}, "", fmt.Errorf("the access key %s was sealed with a file that is not there, %s: bring it back, or remove the key first", k.ID, s.opts.Seals.File())
			}
		}
	}
	made := &kept{Key: Key{ID: newID("AKIA"), Account: account, Name: name, Operator: operator, Created: s.opts.Now().UTC().Truncate(time.Second)}, secret: newSecret()}
	if made.Sealed, err = s.opts.Seals.Seal(seal.AccessKey, []byte(made.ID), []byte(made.secret)); err != nil {
		return Key{}, "", err
	}
	if err := s.put(made); err != nil {
		return Key{}, "", err
	}
	k = made.Key
	k.Sealed = nil
	return k, made.secret, nil
}

// Disable has a key sign nothing any more, or, with false, sign again. It holds for the next request.
func (s *Service) Disable(id string, disabled bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := (*s.keys.Load())[id]
	switch {
	case k == nil:
		return ErrNoKey
	case id == s.opts.Root:
		return ErrRoot
	}
	next := &kept{Key: k.Key, secret: k.secret}
	next.Disabled = disabled
	next.used.Store(k.used.Load())
	return s.put(next)
}

// Delete removes a key for good.
func (s *Service) Delete(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case (*s.keys.Load())[id] == nil:
		return ErrNoKey
	case id == s.opts.Root:
		return ErrRoot
	}
	b := s.opts.Store.NewBatch()
	defer b.Close()
	b.Delete(rowKey(id))
	if err := s.opts.Store.Write(b); err != nil {
		return err
	}
	s.replace(id, nil)
	return nil
}

func rowKey(id string) []byte { return append([]byte{store.SpaceCredential}, id...) }

// put writes a key's row, and then has it used. mu is held.
func (s *Service) put(k *kept) error {
	if err := s.opts.Store.Admit(); err != nil && !k.Disabled { // to disable one is possible on a full disk
		return err
	}
	if hour := k.used.Load(); hour > 0 {
		k.Used = time.Unix(hour*3600, 0).UTC()
	}
	row, err := json.Marshal(&k.Key)
	if err != nil {
		return err
	}
	b := s.opts.Store.NewBatch()
	defer b.Close()
	b.Set(rowKey(k.ID), append([]byte{rowVersion}, row...))
	if err := s.opts.Store.Write(b); err != nil {
		return err
	}
	s.replace(k.ID, k)
	return nil
}

// replace has a key used as it is now. mu is held.
func (s *Service) replace(id string, k *kept) {
	next := map[string]*kept{}
	for other, value := range *s.keys.Load() {
		if other != id {
			next[other] = value
		}
	}
	if k != nil {
		next[id] = k
	}
	s.keys.Store(&next)
}

// newID makes an id as AWS's are: four letters that tell the kind, and 16 more characters.
func newID(kind string) string { return kind + rand.Text()[:16] }

func newSecret() string {
	var b [30]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}

// maxDerived bounds the signing keys that are remembered: one for each key, day, region and service.
const maxDerived = 4096

// derivedKey names a signing key. The secret is part of it, so that no change can leave an old one in use.
type derivedKey struct{ secret, date, region, service string }

func (s *Service) derive(k derivedKey) *sigv4.Key {
	if found, ok := s.derived.Load(k); ok {
		return found.(*sigv4.Key)
	}
	key := sigv4.NewKey(k.secret, k.date, k.region, k.service)
	s.counting.Lock()
	defer s.counting.Unlock()
	if s.count++; s.count > maxDerived { // a day's, or a stranger's regions: begin anew
		s.derived.Clear()
		s.count = 1
	}
	s.derived.Store(k, &key)
	return &key
}

// Reason says why no caller was found.
type Reason int

// The reasons.
const (
	Known       Reason = iota
	Unknown            // there is no such key, or it is disabled, or the token is none
	ExpiredOne         // the session has ended
	TokenBeside        // a token came with a key that needs none
	Unreached          // who knows does not answer
)

// Known reports whether Find would find a key, without the work of it: for who has yet to look at what is signed.
func (s *Service) Known(accessKey, token, _, _, _ string) bool {
	if k := (*s.keys.Load())[accessKey]; k != nil {
		return !k.Disabled && k.secret != ""
	}
	secret, _, _ := s.session(accessKey, token)
	return secret != ""
}

// Unguessable is Known for keys whose secret was made here: the root key's may be what a person could think of.
func (s *Service) Unguessable(accessKey, token, date, region, service string) bool {
	return (accessKey != s.opts.Root || s.opts.Root == "") && s.Known(accessKey, token, date, region, service)
}

// Find returns the key that a request with this access key and token (empty: none) must be signed with.
func (s *Service) Find(accessKey, token, date, region, service string) (*sigv4.Key, Caller, Reason) {
	if k := (*s.keys.Load())[accessKey]; k != nil {
		if k.Disabled || k.secret == "" {
			return nil, Caller{}, Unknown
		}
		reason := Known
		if token != "" {
			reason = TokenBeside // told after the signature
		}
		of := derivedKey{k.secret, date, region, service}
		last := k.last.Load()
		if last == nil || last.of != of {
			last = &lastKey{of, s.derive(of)}
			k.last.Store(last)
		}
		return last.key, Caller{Account: k.Account, Operator: k.Operator, key: k}, reason
	}
	if !strings.HasPrefix(accessKey, "ASIA") {
		return nil, Caller{}, Unknown
	}
	secret, caller, reason := s.session(accessKey, token)
	if secret == "" {
		return nil, caller, reason
	}
	return s.derive(derivedKey{secret, date, region, service}), caller, reason
}

// Holder returns who has a key; ok is false when it is not there, or may not sign.
func (s *Service) Holder(id string) (_ Caller, ok bool) {
	k := (*s.keys.Load())[id]
	if k == nil || k.Disabled || k.secret == "" {
		return Caller{}, false
	}
	return Caller{Account: k.Account, Operator: k.Operator, key: k}, true
}

// Opens reports whether a secret is that of a key that may sign, and notes that the key was used.
func (s *Service) Opens(id, secret string) bool {
	holder, ok := s.Holder(id)
	if !ok || subtle.ConstantTimeCompare([]byte(holder.key.secret), []byte(secret)) != 1 {
		return false
	}
	s.Used(holder)
	return true
}

// Used notes that a caller's request was let in. It writes once an hour for a key, in the background of nothing: on the caller's
// goroutine, without waiting for the disk when the store takes no writes.
func (s *Service) Used(c Caller) {
	if c.key == nil || c.key.ID == s.opts.Root {
		return
	}
	hour := s.opts.Now().Unix() / 3600
	was := c.key.used.Load()
	if hour <= was || !c.key.used.CompareAndSwap(was, hour) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := (*s.keys.Load())[c.key.ID]; k == c.key && s.opts.Store.Admit() == nil {
		next := &kept{Key: k.Key, secret: k.secret}
		next.used.Store(hour)
		_ = s.put(next) // the next hour tries again
	}
}

// secretOf derives the secret of a session's access key.
func secretOf(by *seal.Key, accessKey string) (string, error) {
	secret, err := by.Derive(seal.Session)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write([]byte(accessKey)) // never fails
	return hex.EncodeToString(mac.Sum(nil)[:20]), nil
}
