package function

import (
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
)

// namePattern is AWS's pattern of a function's name, for error texts.
const namePattern = `(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?`

const maxName = 64

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
// when it was not given. full is its ARN, which keeps a qualifier that was given in either place.
func (s *Service) resolve(scope schema.Scope, name, qualifier string) (t target, full string, err error) {
	d, ok := arn.ParseFunction(name)
	if !ok {
		return t, "", constraint(name, "functionName", "Member must satisfy regular expression pattern: "+namePattern)
	}
	if d.Region != "" && d.Region != scope.Region {
		return t, "", awserr.FunctionOtherRegion(d.Region, scope.Region)
	}
	switch {
	case d.Qualifier == "":
		d.Qualifier = qualifier
	case qualifier != "" && qualifier != d.Qualifier:
		return t, "", awserr.QualifierMismatch()
	}
	d = d.In(scope)
	full = d.String()
	// Scopes share nothing, so another account's function does not exist here.
	if f := s.lookup(scope, d.Name); f != nil && d.Scope == scope {
		t = f.target(d.Qualifier)
	}
	if t.named == nil {
		return t, "", awserr.FunctionNotFound(full)
	}
	return t, full, nil
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
func (s *Service) Resolve(scope schema.Scope, name string) (full string, err error) {
	_, full, err = s.resolve(scope, name, "")
	return full, err
}

// qualifierOf is resolve for those who need the qualifier only; empty when none was given.
func (s *Service) qualifierOf(scope schema.Scope, name, qualifier string) (string, error) {
	t, _, err := s.resolve(scope, name, qualifier)
	return t.qualifier, err
}
