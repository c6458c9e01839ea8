package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/api/admin"
	"github.com/millstreamdb/millstream/internal/api/sts"
	"github.com/millstreamdb/millstream/internal/credential"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seal"
	"github.com/millstreamdb/millstream/internal/server"
	"github.com/millstreamdb/millstream/internal/store"
)

// keyFileName is the file of the sealing key in a data folder, unless another is named.
const keyFileName = "secrets.key"

func keyFile(dir, named string) string {
	if named == "" && dir != "" {
		return filepath.Join(dir, keyFileName)
	}
	return named
}

// openCredentials brings the access keys up, and what verifies signatures by them.
func (s *App) openCredentials() error {
	mode := server.AuthOff
	if s.opts.Auth != "" {
		var err error
		if mode, err = server.ParseAuthMode(s.opts.Auth); err != nil {
			return err
		}
	}
	if named := s.opts.KeyFile; named != "" && s.opts.Dir != "" {
		dir, err := filepath.Abs(s.opts.Dir)
		if err != nil {
			return err
		}
		if named, err = filepath.Abs(named); err != nil {
			return err
		}
		if within := strings.HasPrefix(named, dir+string(filepath.Separator)); within && named != filepath.Join(dir, keyFileName) {
			return fmt.Errorf("--key-file %s lies in the data folder, so copies of the folder would hold it: put it elsewhere", s.opts.KeyFile)
		}
	}
	var err error
	if s.seals, err = seal.Open(keyFile(s.opts.Dir, s.opts.KeyFile), mode == server.AuthOff); err != nil {
		return err
	}
	s.credentials, err = credential.Open(credential.Options{
		Store: s.store, Seals: s.seals, Now: time.Now,
		Root: s.opts.RootKey, RootSecret: s.opts.RootSecret, RootAccount: s.opts.Account,
		Alive: func(token string) bool { return s.functions.Alive(token) },
	})
	if err != nil {
		return err
	}
	for _, k := range s.credentials.List() {
		if s.credentials.Unusable(k.ID) {
			s.opts.Logger.Warn("an access key signs nothing: its secret was sealed with another file", "key", k.ID, "file", keyFile(s.opts.Dir, s.opts.KeyFile))
		}
	}
	if s.opts.Tables != "" {
		s.auth = &server.Authenticator{Account: s.opts.Account, Auth: server.Auth{Mode: mode, Keys: s.keysThere(), Now: time.Now, Logger: s.opts.Logger}}
		return nil
	}
	if mode == server.AuthOn && s.credentials.Count() == 0 {
		if s.opts.Dir == "" {
			return errors.New("no access key is there, so with --auth on nobody would be let in: data in memory has none but --root-access-key-id")
		}
		if len(s.credentials.List()) > 0 {
			return fmt.Errorf("no access key can sign, so with --auth on nobody would be let in: each is disabled, or was sealed with another file than %s: bring that file back, or make a new key with millstream credentials create --data %s",
				keyFile(s.opts.Dir, s.opts.KeyFile), s.opts.Dir)
		}
		return fmt.Errorf("no access key is there, so with --auth on nobody would be let in: make one first with millstream credentials create --data %s", s.opts.Dir)
	}
	s.auth = &server.Authenticator{Account: s.opts.Account, Auth: server.Auth{Mode: mode, Keys: s.credentials, Now: time.Now, Logger: s.opts.Logger}}
	return nil
}

// keyFileThere is the file of the key that seals; empty: there is none.
func (s *App) keyFileThere() string {
	if !s.seals.There() {
		return ""
	}
	return whole(s.seals.File())
}

// whole is a path as a program in another folder finds it.
func whole(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// KeyFileThere is the file of the key of a data folder, or the one that is named; empty: there is none.
func KeyFileThere(dir, named string) string {
	name := keyFile(dir, named)
	if _, err := os.Stat(name); err != nil {
		return ""
	}
	return name
}

// atRest seals what is stored; nil: the data are in memory, and nothing is.
func (s *App) atRest() *seal.Keys {
	if s.seals.File() == "" {
		return nil
	}
	return s.seals
}

// openAudit opens the audit file, if there is to be one.
func (s *App) openAudit(metrics *server.Metrics) (err error) {
	path := s.opts.AuditLog
	if path == "" && s.opts.Dir != "" && s.auth.Mode != server.AuthOff {
		path = filepath.Join(s.opts.Dir, "audit", "audit.jsonl")
	}
	if path == "" || path == "off" {
		return nil
	}
	s.audit, err = server.OpenAudit(path, time.Now, func(err error) {
		metrics.AuditLost()
		s.opts.Logger.Error("a call could not be written to the audit file", "error", err)
	})
	s.auth.Audit = s.audit
	return err
}

// sessions makes credentials for those who ask STS; nil where no signature is verified.
func (s *App) sessions() func(*http.Request, string, time.Duration) (sts.Credentials, error) {
	if s.auth.Mode == server.AuthOff {
		return nil
	}
	return func(r *http.Request, account string, lasts time.Duration) (sts.Credentials, error) {
		caller, verified := s.auth.Verified(r)
		if !verified { // let in by --auth warn: what it gets is good for no more than what it has
			return sts.Credentials{AccessKeyID: account, SecretAccessKey: "millstream", SessionToken: "millstream", Expires: time.Now().Add(lasts)}, nil
		}
		c, err := s.credentials.SessionOf(caller, lasts)
		return sts.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expires: c.Expires}, err
	}
}

// credentialsOf are those with which the server calls itself for an account, as an operator or not; any will do where no signature is
// verified.
func (s *App) credentialsOf(account string, operator bool) aws.CredentialsProvider {
	if s.node != nil && operator { // it goes on to the tables' server, which knows no session of this node
		return s.node.client.Credentials
	}
	if s.auth.Mode == server.AuthOff {
		return credentials.NewStaticCredentialsProvider(account, "millstream", "")
	}
	return aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		c, err := s.credentials.Session(account, time.Hour, operator)
		return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, CanExpire: true, Expires: c.Expires}, err
	}))
}

// functionCredentials makes the credentials of one process of a function, which end with it; nil where no signature is verified.
func (s *App) functionCredentials() func(schema.Scope) function.Credentials {
	if s.auth.Mode == server.AuthOff {
		return nil
	}
	return func(scope schema.Scope) function.Credentials {
		c, err := s.credentials.Session(scope.Account, 0, false)
		if err != nil { // the process starts, and its calls are refused
			s.opts.Logger.Error("a function gets no credentials", "error", err)
		}
		return function.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
	}
}

// SocketName is the socket in a data folder by which its owner reaches the server without an access key.
const SocketName = "admin.sock"

// CreateKey makes an access key of a data folder that no server has open; its secret is in the answer and nowhere else.
func CreateKey(dir, file, account, name string, operator bool) (made wire.AccessKey, err error) {
	err = withKeys(dir, file, func(s *credential.Service) error {
		k, secret, err := s.Create(account, name, operator)
		made = admin.ShownKey(s, k)
		made.Secret = secret
		return err
	})
	return made, err
}

// ListKeys, DisableKey and DeleteKey are for the same.
func ListKeys(dir, file string) (all []wire.AccessKey, err error) {
	err = withKeys(dir, file, func(s *credential.Service) error {
		for _, k := range s.List() {
			all = append(all, admin.ShownKey(s, k))
		}
		return nil
	})
	return all, err
}

// DisableKey: see ListKeys.
func DisableKey(dir, file, id string, disabled bool) error {
	return withKeys(dir, file, func(s *credential.Service) error { return s.Disable(id, disabled) })
}

// DeleteKey: see ListKeys.
func DeleteKey(dir, file, id string) error {
	return withKeys(dir, file, func(s *credential.Service) error { return s.Delete(id) })
}

func withKeys(dir, file string, do func(*credential.Service) error) (err error) {
	st, err := store.Open(store.Options{Dir: dir, Durability: store.Sync})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	seals, err := seal.Open(keyFile(dir, file), false)
	if err != nil {
		return err
	}
	s, err := credential.Open(credential.Options{Store: st, Seals: seals, Now: time.Now})
	if err != nil {
		return err
	}
	return do(s)
}
