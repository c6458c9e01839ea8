package admin

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/credential"
)

// ShownKey is a key as it is shown.
func ShownKey(s *credential.Service, k credential.Key) wire.AccessKey {
	return wire.AccessKey{Unusable: s.Unusable(k.ID), ID: k.ID, Account: k.Account, Name: k.Name, Operator: k.Operator, Disabled: k.Disabled, Created: k.Created, Used: k.Used}
}

// credentials lists the access keys of all accounts in the order in which they were made.
func (h *handler) credentials(*http.Request) (any, error) {
	out := []wire.AccessKey{}
	for _, k := range h.Credentials.List() {
		out = append(out, ShownKey(h.Credentials, k))
	}
	return out, nil
}

// maxSigned is how long ago may have been signed what is still good: addresses that are signed beforehand last for a week.
const maxSigned = 8 * 24 * time.Hour

// signingKey tells a node what the access key id=, with the token of X-Millstream-Token, signs with on date= in region= for service=. used= has the node's word
// that the key was used.
func (h *handler) signingKey(r *http.Request) (any, error) {
	q := r.URL.Query()
	day, err := time.Parse("20060102", q.Get("date"))
	if err != nil || time.Since(day) > maxSigned || time.Until(day) > 24*time.Hour {
		return nil, wire.BadRequest("date: want a day as 20060102 that signatures may be of now")
	}
	id, token, date, region, service := q.Get("id"), r.Header.Get(wire.TokenHeader), q.Get("date"), q.Get("region"), q.Get("service")
	key, caller, reason := h.Credentials.Find(id, token, date, region, service)
	out := wire.SigningKey{Account: caller.Account, Operator: caller.Operator, Over: reason == credential.ExpiredOne, TokenBeside: reason == credential.TokenBeside}
	if key != nil {
		out.Key, out.Chosen = key[:], !h.Credentials.Unguessable(id, token, date, region, service)
		if q.Get("used") != "" {
			h.Credentials.Used(caller)
		}
	}
	return out, nil
}

// createKey makes a key of account= with name=; operator=true lets it use this protocol.
func (h *handler) createKey(r *http.Request) (any, error) {
	q := r.URL.Query()
	k, secret, err := h.Credentials.Create(cmp.Or(q.Get("account"), h.About.Account), q.Get("name"), q.Get("operator") == "true")
	if errors.Is(err, credential.ErrAccount) || errors.Is(err, credential.ErrName) {
		return nil, wire.BadRequest(err.Error())
	}
	shown := ShownKey(h.Credentials, k)
	shown.Secret = secret
	return shown, err
}

// changeKey disables the key id=, or with disabled=false enables it.
func (h *handler) changeKey(r *http.Request) (any, error) {
	q := r.URL.Query()
	return h.keyOf(q.Get("id"), h.Credentials.Disable(q.Get("id"), q.Get("disabled") != "false"))
}

// deleteKey removes the key id= for good.
func (h *handler) deleteKey(r *http.Request) (any, error) {
	id := r.URL.Query().Get("id")
	return h.keyOf(id, h.Credentials.Delete(id))
}

func (h *handler) keyOf(id string, err error) (any, error) {
	if errors.Is(err, credential.ErrNoKey) {
		return nil, wire.NotFound("there is no access key " + id)
	}
	if errors.Is(err, credential.ErrRoot) {
		return nil, wire.BadRequest(err.Error())
	}
	return struct{}{}, err
}
