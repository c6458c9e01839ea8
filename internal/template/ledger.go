package template

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/admin"
)

// A server keeps, for each stack, the list of what its deployments have made. What is on that
// list, and the template no longer names, may be removed: nothing else ever is. What was
// there before a deployment came to it is changed to what the template says, as ever, and is
// on the list as used: the server then leaves it out of the lists of other stacks, so that none of them
// removes it.

// Leaving is something that the template no longer names, or that another one replaces.
type Leaving struct {
	ID, Type, Ref string
	By            string // what replaces it; empty: nothing
	Stays         bool   // it stays: nobody asked to prune, or its policies say so
}

// ledger is a stack's list while it is deployed.
type ledger struct {
	of    *Target
	stack string
	list  []admin.Deployed
	dirty bool

	version string // of the list that the server has
}

// openLedger reads the list of a stack.
func (t *Target) openLedger(ctx context.Context, stack string) (*ledger, error) {
	is, err := t.Front.Deployed(ctx, stack)
	if err != nil {
		return nil, fmt.Errorf("template: ask the server what the stack %s has made: %w", stack, err)
	}
	return &ledger{of: t, stack: stack, list: is.Resources, version: is.Version}, nil
}

// save keeps the list if it has changed.
func (l *ledger) save(ctx context.Context) error {
	if !l.dirty {
		return nil
	}
	version, err := l.of.Front.PutDeployed(ctx, l.stack, admin.Deployment{Resources: l.list, Version: l.version})
	if err != nil {
		return fmt.Errorf("template: keep what the stack %s has made: %w", l.stack, err)
	}
	l.dirty, l.version = false, version
	return nil
}

// find is what the stack has made of one of the template's resources, and still has.
func (l *ledger) find(id string) *admin.Deployed {
	i := slices.IndexFunc(l.list, func(d admin.Deployed) bool { return d.ID == id && !d.Gone })
	if i < 0 {
		return nil
	}
	return &l.list[i]
}

// same reports whether an entry is what Ref gives for a type.
func same(d admin.Deployed, typ, ref string) bool { return SameResource(d.Type, d.Ref, typ, ref) }

// plain is CloudFormation's type for one of SAM's.
func plain(typ string) string {
	if p := plainTypes[typ]; p != "" {
		return p
	}
	return typ
}

// begun notes that nothing was there of a resource's name: what is there from now on was made
// by the stack.
func (l *ledger) begun(r Resource) {
	is := l.find(r.ID)
	if is != nil && !same(*is, r.Own, r.Ref) {
		l.replaced(is, r)
		is = nil
	}
	if is == nil {
		l.list = append(l.list, admin.Deployed{ID: r.ID, Type: r.Own, Ref: r.Ref, Retain: r.Retain, RetainReplaced: r.RetainReplaced})
		is, l.dirty = &l.list[len(l.list)-1], true
	}
	if !is.Making || is.Used {
		is.Making, is.Used, l.dirty = true, false, true
	}
}

// again notes what a deployment is about to name of what is there, and returns what earlier ones have named of it.
func (l *ledger) again(r Resource, there, properties string) (before string) {
	is := l.find(r.ID)
	if is == nil || !same(*is, r.Own, there) {
		return ""
	}
	before = is.Properties
	if both := BothProperties(before, properties); both != before {
		is.Properties, l.dirty = both, true
	}
	return before
}

// failed notes that a resource could not be made; left: there is a part of it.
func (l *ledger) failed(id string, left bool) {
	if is := l.find(id); is != nil && is.Making && !left {
		l.drop(is)
	}
}

// replaced notes that another resource takes an entry's place. One that is to stay is not the
// list's any more.
func (l *ledger) replaced(is *admin.Deployed, by Resource) {
	if is.Used || !is.Making && (is.RetainReplaced || by.RetainReplaced) {
		l.drop(is)
		return
	}
	is.Retain, is.Making, is.Gone, l.dirty = false, false, true, true
}

func (l *ledger) drop(is *admin.Deployed) {
	at := slices.IndexFunc(l.list, func(d admin.Deployed) bool { return d == *is })
	l.list, l.dirty = slices.Delete(l.list, at, at+1), true
}

// done notes what became of a resource.
func (l *ledger) done(r Resource, c Change) {
	is := l.find(r.ID)
	if is != nil && !same(*is, r.Own, c.Ref) {
		l.replaced(is, r)
		is = nil
	}
	if is == nil { // it may be on the list under another name, or as one that was gone
		if i := slices.IndexFunc(l.list, func(d admin.Deployed) bool { return same(d, r.Own, c.Ref) }); i >= 0 {
			is = &l.list[i]
		}
	}
	if is == nil {
		l.list = append(l.list, admin.Deployed{Used: true}) // it was there before
		is = &l.list[len(l.list)-1]
	}
	now := admin.Deployed{ID: r.ID, Type: r.Own, Ref: c.Ref, Used: is.Used && c.Action != Created, Retain: r.Retain, RetainReplaced: r.RetainReplaced, Properties: c.Properties}
	if *is != now {
		*is, l.dirty = now, true
	}
}

// leave marks what a plan does not name, and forgets what was only used.
func (l *ledger) leave(planned map[string]Resource) {
	n := len(l.list)
	l.list = slices.DeleteFunc(l.list, func(d admin.Deployed) bool {
		_, named := planned[d.ID]
		return d.Used && !named
	})
	l.dirty = l.dirty || len(l.list) != n
	for i := range l.list {
		if d := &l.list[i]; !d.Gone {
			if _, named := planned[d.ID]; !named {
				d.Gone, l.dirty = true, true
			}
		}
	}
}

// leaving is what a plan no longer names, or replaces, as far as it can be known before it is
// deployed.
func (l *ledger) leaving(all []Resource, prune bool) (out []Leaving) {
	planned := map[string]Resource{}
	for _, r := range all {
		planned[r.ID] = r
	}
	for _, d := range l.list {
		if d.Used {
			continue
		}
		r, named := planned[d.ID]
		one := Leaving{ID: d.ID, Type: d.Type, Ref: d.Ref, Stays: !prune || d.Retain}
		switch {
		case d.Gone || !named || !r.Made:
			if slices.ContainsFunc(all, func(r Resource) bool { return r.Named && same(d, r.Own, r.Ref) }) {
				continue // it has another name in the template
			}
			if named && !r.Named && plain(r.Own) == plain(d.Type) {
				continue // it may be back: only its deployment tells
			}
		case plain(r.Own) != plain(d.Type):
			one.By, one.Stays = r.Own, !prune || d.RetainReplaced || r.RetainReplaced
		case r.Named && !same(d, r.Own, r.Ref):
			one.By, one.Stays = r.Ref, !prune || d.RetainReplaced || r.RetainReplaced
		default:
			continue
		}
		out = append(out, one)
	}
	return out
}

// prune removes what is marked, the last one first, and is told of by progress. It reads the list anew, since another stack may
// have come to need something meanwhile.
func (l *ledger) prune(ctx context.Context, progress func(Change)) error {
	again, err := l.of.openLedger(ctx, l.stack)
	if err != nil {
		return err
	}
	l.list, l.version = again.list, again.version
	for i := len(l.list) - 1; i >= 0; i-- {
		d := l.list[i]
		if !d.Gone {
			continue
		}
		c := Change{ID: d.ID, Type: d.Type, Name: d.Ref, Ref: d.Ref, Action: Removed}
		if d.Retain {
			c.Action, c.Detail = Retained, "by its DeletionPolicy"
		} else if err := l.of.Remove(ctx, Kept{Type: d.Type, ID: d.Ref}); err != nil {
			return fmt.Errorf("remove %s (%s, %s): %w", d.ID, d.Type, d.Ref, err)
		}
		l.list = slices.Delete(l.list, i, i+1)
		l.dirty = true
		if err := l.save(ctx); err != nil {
			return err
		}
		progress(c)
	}
	return nil
}

// finishing is how long a resource may take that was begun when somebody ended the deployment.
const finishing = 5 * time.Second

// errEnded says that somebody has ended a deployment, as Ctrl-C does.
var errEnded = errors.New("the deployment was ended")

// DeployKept is Deploy with an account of what the stack makes. before is told of what
// the template no longer names and what is replaced, before anything is touched. With prune
// what is not named any more is removed at the end, unless its policies keep it. The
// target must have a Front. When ctx ends, the resource that is under way is still finished, so that the list says what there is.
func (p *Plan) DeployKept(ctx context.Context, t *Target, prune bool, before func([]Leaving), progress func(Change)) (*Result, error) {
	l, err := t.openLedger(ctx, p.opts.Stack)
	if err != nil {
		return nil, err
	}
	all := p.Resources()
	if leaving := l.leaving(all, prune); len(leaving) > 0 {
		before(leaving)
	}
	planned := map[string]Resource{}
	for _, r := range all {
		if r.Made {
			planned[r.ID] = r
		}
	}
	whole, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(finishing, cancel) })()
	var kept error // of the list
	result, err := p.DeployWatched(whole, t, Watch{
		Begin: func(id, there, properties string) (before string, err error) {
			if ctx.Err() != nil {
				return "", fmt.Errorf("%w before this one. What is deployed stays; deploy again to go on", errEnded)
			}
			r, ok := planned[id]
			if ok && r.Named && there == "" {
				l.begun(r)
			}
			if ok {
				before = l.again(r, there, properties)
				kept = errors.Join(kept, l.save(whole))
			}
			return before, kept
		},
		Failed: func(id, left string) {
			l.failed(id, left != "")
			kept = errors.Join(kept, l.save(whole))
		},
		Done: func(c Change) {
			if r, ok := planned[c.ID]; ok {
				l.done(r, c)
				kept = errors.Join(kept, l.save(whole))
			}
			progress(c)
		},
	})
	if err != nil || kept != nil {
		return result, errors.Join(err, kept)
	}
	l.leave(planned)
	if err := l.save(whole); err != nil || !prune {
		return result, err
	}
	return result, l.prune(ctx, func(c Change) {
		if c.Action == Removed { // a mapping that is not there any more does not go on
			result.Notes = slices.DeleteFunc(result.Notes, func(n string) bool { return strings.Contains(n, " "+c.Ref+" ") })
		}
		result.Changes = append(result.Changes, c)
		progress(c)
	})
}
