package credential

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/seal"
)

// Session is what AWS's clients sign with for a while.
type Session struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time // zero: with its process
}

// claims are what a token says, sealed.
type claims struct {
	ID       string `json:"i"`
	Account  string `json:"a"`
	Operator bool   `json:"o,omitempty"`
	// Parent is the access key whose session it is, and Process the token of the process in whose place it is: with either it ends.
	Parent  string `json:"p,omitempty"`
	Process string `json:"t,omitempty"`
	Expires int64  `json:"e,omitempty"` // in seconds; 0: while the process is there that it was given to
}

// TokenPrefix begins the tokens of sessions.
const TokenPrefix = "millstream-"

var tokenContext = []byte("session")

// Session makes credentials of an account that last for a time, or with 0 until Options.Alive says that their process is gone.
// Those of an operator may use Millstream's own protocol. Sessions that were made before the file of the sealing key is there end with
// the server.
func (s *Service) Session(account string, lasts time.Duration, operator bool) (Session, error) {
	return s.make(claims{Account: account, Operator: operator}, lasts)
}

// maxChained is how long the session of a session lasts at most, as on AWS.
const maxChained = time.Hour

// SessionOf makes credentials of a caller's account that last for a time, and no longer than what the caller has signed with.
func (s *Service) SessionOf(caller Caller, lasts time.Duration) (Session, error) {
	c := claims{Account: caller.Account}
	switch of := caller.session; {
	case caller.key != nil:
		c.Parent = caller.key.ID
	case of != nil:
		lasts = min(lasts, maxChained)
		c.Parent, c.Process = of.Parent, of.Process
		if of.Expires == 0 {
			c.Process = caller.token
		} else if left := time.Unix(of.Expires, 0).Sub(s.opts.Now()); left < lasts {
			lasts = max(left, time.Second)
		}
	default:
		return Session{}, errors.New("credential: nobody has signed")
	}
	return s.make(c, lasts)
}

func (s *Service) make(c claims, lasts time.Duration) (Session, error) {
	made := Session{AccessKeyID: newID("ASIA")}
	c.ID = made.AccessKeyID
	if lasts > 0 {
		made.Expires = s.opts.Now().Add(lasts).UTC().Truncate(time.Second)
		c.Expires = made.Expires.Unix()
	}
	text, err := json.Marshal(c)
	if err != nil {
		return Session{}, err
	}
	by := s.opts.Seals.First()
	if by == nil {
		by = s.passing
	}
	sealed, err := by.Seal(seal.AccessKey, tokenContext, text)
	if err != nil {
		return Session{}, err
	}
	made.SecretAccessKey, err = secretOf(by, made.AccessKeyID)
	made.SessionToken = TokenPrefix + base64.RawURLEncoding.EncodeToString(sealed)
	return made, err
}

// maxToken is the longest token that is looked at; those made here have some 150 bytes.
const maxToken = 1024

// session returns the secret of a session; empty when the reason says that there is none.
func (s *Service) session(accessKey, token string) (secret string, _ Caller, _ Reason) {
	text, is := strings.CutPrefix(token, TokenPrefix)
	if !is || len(token) > maxToken {
		return "", Caller{}, Unknown
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return "", Caller{}, Unknown
	}
	by, plain := s.passing, []byte(nil)
	if kept := s.opts.Seals.First(); kept != nil {
		by = kept
	}
	if plain, err = by.Open(seal.AccessKey, tokenContext, sealed); err != nil && by != s.passing {
		by = s.passing
		plain, err = by.Open(seal.AccessKey, tokenContext, sealed)
	}
	c := &claims{}
	if err != nil || json.Unmarshal(plain, c) != nil || c.ID != accessKey {
		return "", Caller{}, Unknown
	}
	caller := Caller{Account: c.Account, Operator: c.Operator, session: c, token: token}
	if c.Parent != "" {
		if k := (*s.keys.Load())[c.Parent]; k == nil || k.Disabled || k.secret == "" {
			return "", Caller{}, Unknown
		}
	}
	process := c.Process
	if c.Expires == 0 {
		process = token
	}
	if process != "" && (s.opts.Alive == nil || !s.opts.Alive(process)) || c.Expires != 0 && s.opts.Now().Unix() >= c.Expires {
		return "", caller, ExpiredOne
	}
	if secret, err = secretOf(by, accessKey); err != nil {
		return "", Caller{}, Unknown
	}
	return secret, caller, Known
}
