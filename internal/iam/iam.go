package iam

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/store"
)

// Options of Open.
type Options struct {
	Store *store.Store
	Now   func() time.Time
}

// Service holds the roles and policies of all accounts. Its methods may be called by many
// goroutines at once; what they return must not be changed.
type Service struct {
	opts Options

	mu       sync.Mutex // guards the following; held over the write of a row
	roles    map[id]*Role
	policies map[id]*Policy
}

// id names a role or a policy. Names differ by more than case.
type id struct{ account, name string }

func idOf(account, name string) id { return id{account, strings.ToLower(name)} }

// Tag is one of a role's or a policy's.
type Tag struct{ Key, Value string }

// Open brings the roles and policies up from the store.
func Open(o Options) (*Service, error) {
	s := &Service{opts: o, roles: map[id]*Role{}, policies: map[id]*Policy{}}
	return s, o.Store.Each([]byte{store.SpaceIAM}, s.load)
}

// The rows: SpaceIAM ‖ 'r' for a role or 'p' for a policy ‖ account ‖ 0 ‖ name in lower case;
// a version byte and JSON. Members are only ever added.
const rowVersion = 1

func rowKey(kind byte, i id) []byte {
	return append([]byte{store.SpaceIAM, kind}, i.account+"\x00"+i.name...)
}

func (s *Service) load(key, value []byte) error {
	if len(key) < 2 || len(value) == 0 || value[0] != rowVersion {
		return fmt.Errorf("iam: a row has an unknown format: it was written by a newer release")
	}
	account, name, _ := strings.Cut(string(key[2:]), "\x00")
	into := any(nil)
	switch key[1] {
	case 'r':
		r := &Role{}
		s.roles[id{account, name}], into = r, r
	case 'p':
		p := &Policy{}
		s.policies[id{account, name}], into = p, p
	default:
		return fmt.Errorf("iam: a row has an unknown kind: it was written by a newer release")
	}
	if err := json.Unmarshal(value[1:], into); err != nil {
		return fmt.Errorf("iam: decode a row: %w", err)
	}
	return nil
}

// put writes a row. s.mu is held.
func (s *Service) put(kind byte, i id, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := s.opts.Store.Admit(); err != nil {
		return err
	}
	b := s.opts.Store.NewBatch()
	defer b.Close()
	b.Set(rowKey(kind, i), append([]byte{rowVersion}, body...))
	return s.opts.Store.Write(b)
}

// drop removes a row. s.mu is held.
func (s *Service) drop(kind byte, i id) error {
	b := s.opts.Store.NewBatch()
	defer b.Close()
	b.Delete(rowKey(kind, i))
	return s.opts.Store.Write(b)
}

func (s *Service) now() time.Time { return s.opts.Now().UTC().Truncate(time.Second) }

// newID makes an id as IAM's are: four letters that tell the kind, and 17 more characters.
func newID(kind string) string { return kind + rand.Text()[:17] }

// Error is a refusal in IAM's words.
type Error struct{ Code, Message string }

func (e *Error) Error() string { return e.Message }

func invalid(format string, args ...any) error {
	return &Error{"ValidationError", fmt.Sprintf(format, args...)}
}

func missing(format string, args ...any) error {
	return &Error{"NoSuchEntity", fmt.Sprintf(format, args...)}
}

func exists(format string, args ...any) error {
	return &Error{"EntityAlreadyExists", fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) error {
	return &Error{"DeleteConflict", fmt.Sprintf(format, args...)}
}

func limit(format string, args ...any) error {
	return &Error{"LimitExceeded", fmt.Sprintf(format, args...)}
}

// IAM's quotas.
const (
	maxDocument   = 131072 // characters of any policy, with its white space
	maxRoleName   = 64
	maxPolicyName = 128
	maxTrust      = 2048  // characters of a trust policy that are not white space
	maxInline     = 10240 // of all inline policies of a role
	maxPolicy     = 6144  // of a policy
	maxVersions   = 5
	maxAttached   = 10
	maxTags       = 50
	maxEntities   = 5000 // roles, or policies, of an account; AWS gives more when asked
)

var (
	nameForm = regexp.MustCompile(`^[\w+=,.@-]+$`)
	pathForm = regexp.MustCompile(`^/([!-~]*/)?$`)
)

func checkName(member, name string, most int) error {
	switch {
	case name == "":
		return invalid("1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have length greater than or equal to 1", member)
	case len(name) > most:
		return invalid("1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have length less than or equal to %d", member, most)
	case !nameForm.MatchString(name):
		return invalid("The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", member)
	}
	return nil
}

func checkPath(path string) error {
	if len(path) > 512 || !pathForm.MatchString(path) {
		return invalid("The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return nil
}

// checkDocument refuses what is no policy: the form is looked at, what it says is not.
func checkDocument(text string) error {
	var d struct {
		Version   string
		Statement json.RawMessage
	}
	malformed := func(why string) error { return &Error{"MalformedPolicyDocument", why} }
	if utf8.RuneCountInString(text) > maxDocument {
		return invalid("1 validation error detected: Value at 'policyDocument' failed to satisfy constraint: Member must have length less than or equal to %d", maxDocument)
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return malformed("This policy contains invalid Json")
	}
	switch {
	case d.Version != "" && d.Version != "2012-10-17" && d.Version != "2008-10-17":
		return malformed("The policy must contain a valid version string")
	case len(d.Statement) == 0 || d.Statement[0] != '{' && d.Statement[0] != '[':
		return malformed("Syntax errors in policy.")
	}
	return nil
}

// size counts what IAM counts of a policy: white space is free.
func size(text string) int { return len(strings.Join(strings.Fields(text), "")) }

// checkTags refuses tags that IAM refuses.
func checkTags(tags []Tag) error {
	seen := map[string]bool{}
	for i, t := range tags {
		switch {
		case t.Key == "" || len(t.Key) > 128:
			return invalid("1 validation error detected: Value at 'tags.%d.member.key' failed to satisfy constraint: Member must have length between 1 and 128, inclusive", i+1)
		case len(t.Value) > 256:
			return invalid("1 validation error detected: Value at 'tags.%d.member.value' failed to satisfy constraint: Member must have length less than or equal to 256", i+1)
		case seen[strings.ToLower(t.Key)]:
			return &Error{"InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive."}
		}
		seen[strings.ToLower(t.Key)] = true
	}
	if len(tags) > maxTags {
		return limit("The number of tags has reached the maximum limit.")
	}
	return nil
}

// tagged is what tags become by others; their order is that in which they came.
func tagged(is, more []Tag) ([]Tag, error) {
	if err := checkTags(more); err != nil {
		return nil, err
	}
	is = slices.Clone(is)
	for _, t := range more {
		if i := slices.IndexFunc(is, func(o Tag) bool { return strings.EqualFold(o.Key, t.Key) }); i >= 0 {
			is[i] = t
		} else {
			is = append(is, t)
		}
	}
	return is, checkTags(is)
}

func untagged(is []Tag, keys []string) []Tag {
	return slices.DeleteFunc(slices.Clone(is), func(t Tag) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, t.Key) })
	})
}

// ofAWS reports whether a policy is one of AWS's own.
func ofAWS(policy string) bool {
	a, ok := arn.Parse(policy)
	return ok && a.Service == "iam" && a.Account == "aws" && strings.HasPrefix(a.Resource, "policy/") && len(a.Resource) > len("policy/")
}
