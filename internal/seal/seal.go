package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Purpose says what for something is sealed. It is part of what is on the disk.
type Purpose string

// The purposes.
const (
	AccessKey   Purpose = "millstream seal 1"
	Session     Purpose = "millstream session 1" // of credentials that end
	Environment Purpose = "millstream environment 1"
	Parameter   Purpose = "millstream parameter 1" // of Parameter Store, and of stacks
)

// ErrOther says that none of the keys that are there has sealed something.
var ErrOther = errors.New("it was sealed with another key")

// minKey is how many characters a key has at least; those made here have 52.
const minKey = 32

// Keys are the keys of a file. Its methods may be called by many goroutines at once.
type Keys struct {
	file   string // empty: the keys are in memory
	making sync.Mutex
	keys   atomic.Pointer[[]*Key] // nil: there is no file yet
	broken error                  // why there are none although there is a file
}

// Open reads the keys of a file; one that is not there is made by the first Seal. Empty: they live in memory, for data that do. A file
// that is none, or that others can read, is an error, or with lenient seals and opens nothing.
func Open(file string, lenient bool) (*Keys, error) {
	k := &Keys{file: file}
	if file == "" {
		return k, k.Make()
	}
	err := k.read()
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil && lenient {
		k.broken, err = err, nil
	}
	return k, err
}

// File is where the keys are; empty: in memory.
func (k *Keys) File() string { return k.file }

// There reports whether there is a key.
func (k *Keys) There() bool { return k.keys.Load() != nil }

// Broken is why a file that is there gives no key.
func (k *Keys) Broken() error { return k.broken }

// Why says, for people, why something did not open.
func (k *Keys) Why() string {
	switch {
	case k == nil:
		return "it has no keys"
	case k.broken != nil:
		return k.broken.Error()
	case !k.There():
		return k.file + " is not there"
	case k.file == "":
		return "the key is another"
	}
	return k.file + " has another key"
}

func (k *Keys) read() error {
	text, err := os.ReadFile(k.file)
	if err != nil {
		return fmt.Errorf("the file of the key that seals secrets cannot be read: %w", err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	whole := strings.TrimSpace(string(text))
	if len(whole) < minKey {
		return fmt.Errorf("%s is no key: it has %d characters, and %d are the least", k.file, len(whole), minKey)
	}
	var keys []*Key
	if !slices.ContainsFunc(lines, func(line string) bool { return len(line) < minKey }) {
		for _, line := range lines {
			keys = append(keys, NewKey([]byte(line)))
		}
	}
	if len(keys) != 1 { // one key in several lines, as earlier releases read it
		keys = append(keys, NewKey([]byte(whole)))
	}
	if info, err := os.Stat(k.file); err != nil || info.Mode().Perm()&0o077 != 0 {
		return errors.Join(fmt.Errorf("%s can be read by others: chmod 600 it", k.file), err)
	}
	k.keys.Store(&keys)
	return nil
}

// Make sees to it that there is a key: it makes the file when there is none.
func (k *Keys) Make() error {
	k.making.Lock()
	defer k.making.Unlock()
	if k.broken != nil {
		return k.broken
	}
	if k.There() {
		return nil
	}
	secret := rand.Text() + rand.Text()
	if k.file == "" {
		k.keys.Store(&[]*Key{NewKey([]byte(secret))})
		return nil
	}
	if err := write(k.file, secret+"\n"); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return k.read() // also one that was put there meanwhile
}

// write makes the file whole or not at all, and never over one that is there.
func write(name, text string) error {
	file, err := os.CreateTemp(filepath.Dir(name), ".secrets-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Link(file.Name(), name)
	}
	err = errors.Join(err, os.Remove(file.Name()))
	if err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// First is the key that seals; nil: there is none.
func (k *Keys) First() *Key {
	if all := k.keys.Load(); all != nil {
		return (*all)[0]
	}
	return nil
}

// Seal seals a text so that it opens with the same purpose and context only. It makes the file when there is none.
func (k *Keys) Seal(p Purpose, context, plain []byte) ([]byte, error) {
	if !k.There() {
		if err := k.Make(); err != nil {
			return nil, err
		}
	}
	return k.First().Seal(p, context, plain)
}

// Open opens what a key of the file has sealed; else the error is ErrOther, and Why says more. Without Keys nothing opens.
func (k *Keys) Open(p Purpose, context, sealed []byte) ([]byte, error) {
	if k == nil {
		return nil, ErrOther
	}
	if all := k.keys.Load(); all != nil {
		for _, key := range *all {
			if plain, err := key.Open(p, context, sealed); err == nil {
				return plain, nil
			}
		}
	}
	return nil, ErrOther
}

// Key is one key.
type Key struct {
	secret []byte
	made   sync.Map // what was derived, by Purpose
}

type derived struct {
	secret []byte
	aead   cipher.AEAD
}

// NewKey makes a key of a secret that nobody can guess.
func NewKey(secret []byte) *Key { return &Key{secret: secret} }

// Passing makes a key that is stored nowhere.
func Passing() *Key { return NewKey([]byte(rand.Text() + rand.Text())) }

// Derive makes a secret of 32 bytes for a purpose that is not sealing. It must not be changed.
func (k *Key) Derive(p Purpose) ([]byte, error) {
	d, err := k.derive(p)
	return d.secret, err
}

func (k *Key) derive(p Purpose) (d derived, err error) {
	if found, ok := k.made.Load(p); ok {
		return found.(derived), nil
	}
	if d.secret, err = hkdf.Key(sha256.New, k.secret, nil, string(p), 32); err != nil {
		return d, err
	}
	block, err := aes.NewCipher(d.secret)
	if err != nil {
		return d, err
	}
	if d.aead, err = cipher.NewGCM(block); err == nil {
		k.made.Store(p, d)
	}
	return d, err
}

// Seal is Keys.Seal with this key.
func (k *Key) Seal(p Purpose, context, plain []byte) ([]byte, error) {
	d, err := k.derive(p)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, d.aead.NonceSize(), d.aead.NonceSize()+len(plain)+d.aead.Overhead())
	_, _ = rand.Read(nonce) // never fails
	return d.aead.Seal(nonce, nonce, plain, context), nil
}

// Open opens what Seal has sealed.
func (k *Key) Open(p Purpose, context, sealed []byte) ([]byte, error) {
	d, err := k.derive(p)
	if err != nil {
		return nil, err
	}
	n := d.aead.NonceSize()
	if len(sealed) < n {
		return nil, ErrOther
	}
	return d.aead.Open(nil, sealed[:n], sealed[n:], context)
}

// String, GoString and MarshalJSON keep a key out of what is printed.
func (k *Key) String() string   { return "[secret]" }
func (k *Key) GoString() string { return "[secret]" }

// MarshalJSON implements json.Marshaler.
func (k *Key) MarshalJSON() ([]byte, error) { return []byte(`"[secret]"`), nil }
