package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/millstreamdb/millstream/internal/console"
	"github.com/millstreamdb/millstream/internal/credential"
)

// consoleKeyName is the file in a data folder of the key that signs the console's sessions, so that a page goes on after a restart.
const consoleKeyName = "console.key"

// openConsole makes the page for people when Options name its address.
func (s *App) openConsole() error {
	if s.opts.Console == "" {
		return nil
	}
	key, err := consoleKey(s.opts.Dir)
	if err != nil {
		return fmt.Errorf("the console's key: %w", err)
	}
	owner, signer := s.credentialsOf(s.opts.Account, true), v4.NewSigner()
	s.console = console.New(console.Options{
		Endpoint: func() string { return cmp.Or(s.opts.LinkEndpoint, s.Endpoint()) },
		Server:   s.door.Own(), Signed: s.door, Ask: inProcess{s.door.Own()}.Do, Key: key, Now: s.realNow, Logger: s.opts.Logger,
		Keys: consoleKeys{s.credentials},
		Sign: func(r *http.Request, account, service, payloadHash string) error {
			by := owner
			if account != "" {
				by = s.credentialsOf(account, false)
			}
			credentials, err := by.Retrieve(r.Context())
			if err != nil {
				return err
			}
			return signer.SignHTTP(r.Context(), credentials, r, payloadHash, service, s.opts.Region, s.realNow())
		},
	})
	s.workers.Start("console", s.console.Run)
	return nil
}

// consoleKeys are the access keys by which one may sign in to the console.
type consoleKeys struct{ *credential.Service }

func (k consoleKeys) Any() bool { return k.Count() > 0 }

func (k consoleKeys) Caller(id string) (console.Caller, bool) {
	holder, ok := k.Holder(id)
	return console.Caller{Account: holder.Account, Operator: holder.Operator}, ok
}

// ServeConsole answers on ln with the page for people until ctx ends, and closes ln. It is a listener and an origin of its own.
func (s *App) ServeConsole(ctx context.Context, ln net.Listener) error {
	if s.console == nil {
		return errors.Join(errors.New("millstream: Options name no address of a console"), ln.Close())
	}
	return s.door.ServeConsole(ctx, ln, s.console)
}

// ConsoleLink returns a new link by which one person gets into the console, once; empty when there is none.
func (s *App) ConsoleLink() string {
	if s.console == nil {
		return ""
	}
	return s.opts.Console + "/open?token=" + s.console.Token()
}

// consoleKey reads the key of a data folder, or makes it. Data in memory has a new one at each start.
func consoleKey(dir string) ([]byte, error) {
	if dir == "" {
		return newConsoleKey(), nil
	}
	name := filepath.Join(dir, consoleKeyName)
	key, err := os.ReadFile(name)
	if err == nil && len(key) == consoleKeySize {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key = newConsoleKey() // also for one that a crash has cut: its sessions are over
	return key, os.WriteFile(name, key, 0o600)
}

const consoleKeySize = 32

func newConsoleKey() []byte {
	key := make([]byte, consoleKeySize)
	_, _ = rand.Read(key) // it never fails
	return key
}
