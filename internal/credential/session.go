package credential

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
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
	Expires  int64  `json:"e,omitempty"` // in seconds; 0: while the process is there that it was given to
}

// TokenPrefix begins the tokens of sessions.
const TokenPrefix = "millstream-"

var tokenContext = []byte("session")

// Session makes credentials of an account that last for a time, or with 0 until Options.Alive says that their process is gone.
// Those of an operator may use Millstream's own protocol.
func (s *Service) Session(account string, lasts time.Duration, operator bool) (Session, error) {
	if s.sealer.Load() == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.sealer.Load() == nil {
			if err := s.readSealer(); err != nil {
				return Session{}, err
			}
		}
	}
	made := Session{AccessKeyID: newID("ASIA")}
	c := claims{ID: made.AccessKeyID, Account: account, Operator: operator}
	if lasts > 0 {
		made.Expires = s.opts.Now().Add(lasts).UTC().Truncate(time.Second)
		c.Expires = made.Expires.Unix()
	}
	text, err := json.Marshal(c)
	if err != nil {
		return Session{}, err
	}
	sealer := s.sealer.Load()
	made.SecretAccessKey = sealer.secretOf(made.AccessKeyID)
	made.SessionToken = TokenPrefix + base64.RawURLEncoding.EncodeToString(sealer.seal(tokenContext, text))
	return made, nil
}

// maxToken is the longest token that is looked at; those made here have some 150 bytes.
const maxToken = 1024

// session returns the secret of a session; empty when the reason says that there is none.
func (s *Service) session(accessKey, token string) (secret string, _ Caller, _ Reason) {
	sealer := s.sealer.Load()
	text, is := strings.CutPrefix(token, TokenPrefix)
	if sealer == nil || !is || len(token) > maxToken {
		return "", Caller{}, Unknown
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return "", Caller{}, Unknown
	}
	plain, err := sealer.open(tokenContext, sealed)
	var c claims
	if err != nil || json.Unmarshal(plain, &c) != nil || c.ID != accessKey {
		return "", Caller{}, Unknown
	}
	switch {
	case c.Expires == 0 && (s.opts.Alive == nil || !s.opts.Alive(token)),
		c.Expires != 0 && s.opts.Now().Unix() >= c.Expires:
		return "", Caller{}, ExpiredOne
	}
	return sealer.secretOf(accessKey), Caller{Account: c.Account, Operator: c.Operator}, Known
}
