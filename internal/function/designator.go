package function

import (
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
)

// namePattern is AWS's pattern of a function's name, for error texts.
const namePattern = `(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?`

const (
	maxName       = 64
	maxDesignator = 256
)

// designator is what a caller names a function by, taken apart. Parts that were
// not given are empty.
type designator struct {
	region, account string
	name            string
	qualifier       string
}

// parseDesignator takes a name, a partial ARN or a full ARN apart, each with or
// without a qualifier.
func parseDesignator(s string) (d designator, ok bool) {
	if s == "" || len(s) > maxDesignator {
		return d, false
	}
	p := strings.Split(s, ":")
	if p[0] == "arn" {
		if len(p) < 3 || !strings.HasPrefix(p[1], "aws") || p[2] != "lambda" {
			return d, false
		}
		p = p[3:]
	}
	if len(p) > 1 && isRegion(p[0]) {
		d.region, p = p[0], p[1:]
	}
	if len(p) > 1 && isAccount(p[0]) {
		d.account, p = p[0], p[1:]
	}
	if len(p) > 1 && p[0] == "function" {
		p = p[1:]
	}
	switch len(p) {
	case 1:
	case 2:
		d.qualifier = p[1]
		if d.qualifier != runner.Latest && !isName(d.qualifier, 128) {
			return d, false
		}
	default:
		return d, false
	}
	d.name = p[0]
	return d, isName(d.name, maxName)
}

func isName(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

func isAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// isRegion accepts the form of region names: two letters, words, a digit.
func isRegion(s string) bool {
	p := strings.Split(s, "-")
	if len(p) < 3 || len(p[0]) != 2 {
		return false
	}
	last := p[len(p)-1]
	return len(last) == 1 && last[0] >= '0' && last[0] <= '9' && isName(strings.Join(p, ""), 64)
}

// target is what a caller named.
type target struct {
	*live
	qualifier string   // as given; empty: none
	named     *edition // the version that it names; of an alias its main one
	other     *edition // of an alias with weights, that which gets a share of the calls
	share     float64
}

// pick chooses the version for one call.
func (t target) pick() *edition {
	if t.other != nil && rand.Float64() < t.share {
		return t.other
	}
	return t.named
}

// resolve finds what a caller named. qualifier is the Qualifier parameter, empty
// when it was not given. arn keeps a qualifier that was given in either place.
func (s *Service) resolve(scope schema.Scope, name, qualifier string) (t target, arn string, err error) {
	d, ok := parseDesignator(name)
	if !ok {
		return t, "", constraint(name, "functionName", "Member must satisfy regular expression pattern: "+namePattern)
	}
	if d.region != "" && d.region != scope.Region {
		return t, "", awserr.FunctionOtherRegion(d.region, scope.Region)
	}
	switch {
	case d.qualifier == "":
		d.qualifier = qualifier
	case qualifier != "" && qualifier != d.qualifier:
		return t, "", awserr.QualifierMismatch()
	}
	owner := scope
	if d.account != "" {
		owner.Account = d.account
	}
	arn = owner.FunctionARN(d.name)
	if d.qualifier != "" {
		arn += ":" + d.qualifier
	}
	// Scopes share nothing, so another account's function does not exist here.
	if f := s.lookup(scope, d.name); f != nil && owner == scope {
		t = f.target(d.qualifier)
	}
	if t.named == nil {
		return t, "", awserr.FunctionNotFound(arn)
	}
	return t, arn, nil
}

// target finds the version or versions of a qualifier; named is nil when there is none.
func (f *live) target(qualifier string) target {
	t := target{live: f, qualifier: qualifier}
	switch {
	case qualifier == "" || qualifier == runner.Latest:
		t.named = &f.edition
	case isNumber(qualifier):
		t.named = f.versionOf(qualifier)
	default:
		a, there := f.def.Load().Aliases[qualifier]
		if !there {
			break
		}
		t.named = f.versionOf(a.Version)
		for version, share := range a.Weights {
			t.other, t.share = f.versionOf(version), share
		}
	}
	return t
}

// versionOf returns the version of a text, nil when it is not there.
func (f *live) versionOf(version string) *edition {
	if version == runner.Latest {
		return &f.edition
	}
	n, err := strconv.Atoi(version)
	if err != nil {
		return nil
	}
	return f.version(n)
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// Resolve turns what a caller wrote as FunctionName (a name, a partial or a full
// ARN, with or without qualifier) into the function's ARN, which keeps a
// qualifier that was given. The error is an *awserr.Error; IsNotFound tells
// whether it says that there is no such function.
func (s *Service) Resolve(scope schema.Scope, name string) (arn string, err error) {
	_, arn, err = s.resolve(scope, name, "")
	return arn, err
}

// qualifierOf is resolve for those who need the qualifier only; empty when none was given.
func (s *Service) qualifierOf(scope schema.Scope, name, qualifier string) (string, error) {
	t, _, err := s.resolve(scope, name, qualifier)
	return t.qualifier, err
}
