package function

import (
	"maps"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

// runtimeUpdate says when a version is to get AWS's updates of its runtime. It is kept and given
// back: runtimes are those of this machine, and whoever looks after that updates them.
type runtimeUpdate struct {
	On  string `json:"on"`
	ARN string `json:"arn,omitempty"` // of the runtime's version; with Manual only
}

// RuntimeManagement is the body of PutRuntimeManagementConfig, and AWS's answer about it.
type RuntimeManagement struct {
	UpdateRuntimeOn   string
	FunctionArn       string
	RuntimeVersionArn *string
}

var updatesOn = []string{"Auto", "Manual", "FunctionUpdate"}

// PutRuntimeManagement says when a version, or $LATEST, is to get updates of its runtime.
func (s *Service) PutRuntimeManagement(scope schema.Scope, name, qualifier string, r RuntimeManagement) (RuntimeManagement, error) {
	if r.UpdateRuntimeOn == "" {
		return RuntimeManagement{}, awserr.Validation("1 validation error detected: Value null at 'updateRuntimeOn' failed to satisfy constraint: Member must not be null")
	}
	if !slices.Contains(updatesOn, r.UpdateRuntimeOn) {
		return RuntimeManagement{}, constraint(r.UpdateRuntimeOn, "updateRuntimeOn", "Member must satisfy enum value set: ["+strings.Join(updatesOn, ", ")+"]")
	}
	u := runtimeUpdate{On: r.UpdateRuntimeOn}
	set(&u.ARN, r.RuntimeVersionArn)
	switch {
	case u.On == "Manual" && u.ARN == "":
		return RuntimeManagement{}, awserr.LambdaInvalidParameter("RuntimeVersionArn is required when UpdateRuntimeOn is Manual.")
	case u.On != "Manual" && u.ARN != "":
		return RuntimeManagement{}, awserr.LambdaInvalidParameter("RuntimeVersionArn is only taken when UpdateRuntimeOn is Manual.")
	}
	t, arn, err := s.versionOnly(scope, name, qualifier)
	if err != nil {
		return RuntimeManagement{}, err
	}
	q := orLatest(t.qualifier)
	d, err := s.updateOf(scope, name, q, func(d *definition) error {
		d.setRuntimeUpdate(q, &u)
		return nil
	})
	if err != nil {
		return RuntimeManagement{}, err
	}
	return d.runtimeManagement(q, arn), nil
}

// RuntimeManagement returns when a version, or $LATEST, is to get updates of its runtime.
func (s *Service) RuntimeManagement(scope schema.Scope, name, qualifier string) (RuntimeManagement, error) {
	t, arn, err := s.versionOnly(scope, name, qualifier)
	if err != nil {
		return RuntimeManagement{}, err
	}
	return t.live.def.Load().runtimeManagement(orLatest(t.qualifier), arn), nil
}

// versionOnly is resolve for what aliases do not have.
func (s *Service) versionOnly(scope schema.Scope, name, qualifier string) (target, string, error) {
	t, arn, err := s.resolve(scope, name, qualifier)
	if err == nil {
		if _, alias := t.live.def.Load().Aliases[t.qualifier]; alias {
			err = awserr.LambdaInvalidParameter("The provided function name " + arn + " is invalid. Aliases are not allowed.")
		}
	}
	return t, arn, err
}

func (d *definition) runtimeManagement(qualifier, arn string) RuntimeManagement {
	r := RuntimeManagement{UpdateRuntimeOn: "Auto", FunctionArn: arn}
	if u, is := d.RuntimeUpdates[qualifier]; is {
		if r.UpdateRuntimeOn = u.On; u.ARN != "" {
			r.RuntimeVersionArn = &u.ARN
		}
	}
	return r
}

// setRuntimeUpdate sets what there is for a version; nil: as for who said nothing.
func (d *definition) setRuntimeUpdate(qualifier string, u *runtimeUpdate) {
	d.RuntimeUpdates = maps.Clone(d.RuntimeUpdates)
	if delete(d.RuntimeUpdates, qualifier); u == nil || u.On == "Auto" {
		return
	}
	if d.RuntimeUpdates == nil {
		d.RuntimeUpdates = map[string]runtimeUpdate{}
	}
	d.RuntimeUpdates[qualifier] = *u
}
