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
