package wire

import "time"

// AccessKey is one of the server's access keys; its secret is told when it is made, once.
type AccessKey struct {
	ID       string    `json:"id"`
	Account  string    `json:"account"`
	Name     string    `json:"name,omitempty"`
	Operator bool      `json:"operator,omitempty"` // may use Millstream's own protocol
	Disabled bool      `json:"disabled,omitempty"`
	Created  time.Time `json:"created"`
	Used     time.Time `json:"used,omitzero"`      // to the hour; zero: never
	Unusable bool      `json:"unusable,omitempty"` // its secret was sealed with another key file
	Secret   string    `json:"secret,omitempty"`
}

// SigningKey is what a server tells a node of an access key: nothing but what signs for one day, region and service.
type SigningKey struct {
	Account     string `json:"account,omitempty"`
	Operator    bool   `json:"operator,omitempty"`
	Key         []byte `json:"key,omitempty"`         // none: nobody may sign with it
	Over        bool   `json:"over,omitempty"`        // the session has ended
	Chosen      bool   `json:"chosen,omitempty"`      // its secret may be what a person could think of
	TokenBeside bool   `json:"tokenBeside,omitempty"` // a token came with a key that needs none
}

// TokenHeader has the token of the session that a question for a SigningKey is about.
const TokenHeader = "X-Millstream-Token"
