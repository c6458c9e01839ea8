package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// What is sealed opens with its purpose and context alone, also after a restart, and with none of another file.
func TestSeal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secrets.key")
	open := func() *Keys {
		t.Helper()
		k, err := Open(file, false)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	k := open()
	if k.There() || k.First() != nil {
		t.Error("there is a key before one is needed")
	}
	sealed, err := k.Seal(Environment, []byte("f"), []byte("a secret"))
	if err != nil || bytes.Contains(sealed, []byte("secret")) {
		t.Fatal(sealed, err)
	}
	if again, err := k.Seal(Environment, []byte("f"), []byte("a secret")); err != nil || bytes.Equal(again, sealed) {
		t.Error("the same text is sealed to the same bytes", err)
	}
	k = open()
	if plain, err := k.Open(Environment, []byte("f"), sealed); err != nil || string(plain) != "a secret" {
		t.Errorf("%q, %v", plain, err)
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for what, open := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) { return k.Open(Parameter, []byte("f"), sealed) },
		"another context": func() ([]byte, error) { return k.Open(Environment, []byte("g"), sealed) },
		"a changed text":  func() ([]byte, error) { return k.Open(Environment, []byte("f"), changed) },
		"a short text":    func() ([]byte, error) { return k.Open(Environment, []byte("f"), sealed[:5]) },
		"no keys":         func() ([]byte, error) { return (*Keys)(nil).Open(Environment, []byte("f"), sealed) },
	} {
		if plain, err := open(); !errors.Is(err, ErrOther) {
			t.Errorf("%s: %q, %v", what, plain, err)
		}
	}

	// The first line seals, and each opens.
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	k = open()
	if _, err := k.Open(Environment, []byte("f"), sealed); !errors.Is(err, ErrOther) || !strings.HasSuffix(k.Why(), "is not there") {
		t.Errorf("%v, %s", err, k.Why())
	}
	newer, err := k.Seal(Environment, []byte("f"), []byte("newer"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Open(Environment, []byte("f"), sealed); !errors.Is(err, ErrOther) || !strings.HasSuffix(k.Why(), "has another key") {
		t.Errorf("%v, %s", err, k.Why())
	}
	now, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(append(now, '\n'), old...), 0o600); err != nil {
		t.Fatal(err)
	}
	k = open()
	for want, sealed := range map[string][]byte{"a secret": sealed, "newer": newer} {
		if plain, err := k.Open(Environment, []byte("f"), sealed); err != nil || string(plain) != want {
			t.Errorf("%q, %v", plain, err)
		}
	}
	newest, err := k.Seal(Environment, nil, []byte("newest"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, now, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open().Open(Environment, nil, newest); err != nil {
		t.Error("it was not sealed by the first line", err)
	}
}

// Several that need a key at once get the same.
func TestOneKeyIsMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secrets.key")
	var group sync.WaitGroup
	sealed := make([][]byte, 8)
	for i := range sealed {
		k, err := Open(file, false) // each as a program of its own
		if err != nil {
			t.Fatal(err)
		}
		group.Go(func() { sealed[i], _ = k.Seal(AccessKey, nil, []byte("x")) })
	}
	group.Wait()
	k, err := Open(file, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range sealed {
		if _, err := k.Open(AccessKey, nil, s); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// A key is not printed by accident.
func TestKeyIsNotPrinted(t *testing.T) {
	k := NewKey([]byte("a secret of thirty-two characters"))
	text, err := json.Marshal(map[string]any{"key": k})
	if all := fmt.Sprintf("%v %+v %#v %s %s", k, k, k, k, text); err != nil || strings.Contains(all, "thirty") {
		t.Errorf("%s %v", all, err)
	}
}

// A file of several lines is one key, as earlier releases read it, and when each line is long enough, each is one, too; the first seals.
func TestKeyInSeveralLines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	for _, text := range []string{strings.Repeat("a", 64) + "\n" + strings.Repeat("b", 24) + "\n", strings.Repeat("a", 64) + "\n" + strings.Repeat("b", 64) + "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := NewKey([]byte(strings.TrimSpace(text))).Seal(AccessKey, []byte("id"), []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		k, err := Open(file, false)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Open(AccessKey, []byte("id"), before); err != nil || string(got) != "secret" {
			t.Errorf("what was sealed with the whole text: %q %v", got, err)
		}
		now, err := k.Seal(AccessKey, []byte("id"), []byte("new"))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Open(file, false); err != nil {
			t.Error(err)
		} else if got, err := again.Open(AccessKey, []byte("id"), now); err != nil || string(got) != "new" {
			t.Errorf("what is sealed now: %q %v", got, err)
		}
	}
}
