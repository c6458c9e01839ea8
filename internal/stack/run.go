package stack

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/aws/smithy-go"

	"github.com/millstreamdb/millstream/internal/template"
)

// Run runs operations until ctx ends: first those that the last run of the server has
// left, then each as it comes.
func (s *Service) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	s.mu.Lock()
	var left []string
	for id, st := range s.stacks {
		if st.Busy() {
			left = append(left, id)
		}
	}
	s.mu.Unlock()
	for _, id := range left {
		all.Go(func() { s.operate(ctx, id) })
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case id := <-s.work:
			all.Go(func() { s.operate(ctx, id) })
		}
	}
}

// operate takes a stack from state to state until it has come to rest. A failure to keep
// its row ends it: the store is then poisoned, or closed.
func (s *Service) operate(ctx context.Context, id string) {
	s.mu.Lock()
	other := s.running[id]
	s.running[id] = true
	s.mu.Unlock()
	if other { // who runs it looks again before it ends
		return
	}
	for {
		s.mu.Lock()
		st := s.stacks[id]
		if st == nil || !st.Busy() || ctx.Err() != nil {
			delete(s.running, id)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		var err error
		switch st.Status {
		case creating, updating:
			err = s.deploy(ctx, st, st.Now)
		case updateBack:
			err = s.rollBackUpdate(ctx, st)
		case cleaning, updateBackClean:
			err = s.clean(ctx, st)
		case rollingBack, deleting:
			err = s.removeAll(ctx, st)
		default:
			err = errors.New("the state " + st.Status + " is unknown: the stack was made by a newer release")
		}
		if err != nil && ctx.Err() == nil {
			s.opts.Logger.Error("an operation on a stack could not go on; it is tried again at the next start", "stack", st.Name, "err", err)
			s.mu.Lock()
			delete(s.running, id)
			s.mu.Unlock()
			return
		}
	}
}

// errStopped says that the server ends: the operation goes on at the next start.
var errStopped = errors.New("the server is stopping")

// watch keeps account of a deployment.
func (s *Service) watch(ctx context.Context, id string, planned map[string]template.Resource) template.Watch {
	return template.Watch{
		Begin: func(resource, there, properties string) (before string, err error) {
			if ctx.Err() != nil {
				return "", errStopped
			}
			r, listed := planned[resource]
			if !listed {
				return "", nil
			}
			err = s.change(id, func(st *Stack) error {
				is := st.resource(r.ID)
				// What another has made is not touched: a roll-back would remove it.
				if there != "" && !(is != nil && is.Making) && !st.owns(Resource{ID: r.ID, Type: r.Type, Ref: there, Made: true}) {
					return errors.New("Resource of type '" + r.Type + "' with identifier '" + template.Physical(r.Type, there) + "' already exists.")
				}
				switch {
				case is == nil:
					st.Resources = append(st.Resources, Resource{ID: r.ID, Type: r.Type, Own: r.Own, Ref: r.Ref, Made: true, Fresh: true, Making: true, Status: creating, Time: s.opts.Now().UTC(),
						Retain: r.Retain, RetainExceptOnCreate: r.RetainExceptOnCreate, RetainReplaced: r.RetainReplaced, Properties: properties})
					st.event(s.opts.Now(), r.ID, "", r.Type, creating, "")
				case is.Sum != r.Sum && is.Status != creating:
					is.Status = updating
					st.event(s.opts.Now(), r.ID, is.Ref, r.Type, updating, "")
				}
				if is != nil && there == "" {
					is.Making = true
				}
				if is != nil && is.same(Resource{Type: r.Type, Ref: there, Made: true}) { // an update that fails is rolled back with what it has set
					before = is.Properties
					is.Properties = template.BothProperties(before, properties)
				}
				return nil
			})
			return before, err
		},
		Failed: func(resource, left string) {
			// A row that cannot be kept ends the operation.
			_ = s.change(id, func(st *Stack) error {
				is := st.resource(resource)
				if is == nil || !is.Making {
					return nil
				}
				is.Making = false
				switch {
				case is.Fresh:
					is.Ref = left
				case left != "" && !template.Same(is.Type, is.Ref, left): // a part of what was to replace it
					half := *is
					half.Ref, half.Type, half.Own = left, planned[resource].Type, planned[resource].Own
					st.discard(half)
				}
				return nil
			})
		},
		Done: func(c template.Change) {
			r, listed := planned[c.ID]
			if !listed {
				return
			}
			// A row that cannot be kept ends the operation at the next resource.
			_ = s.change(id, func(st *Stack) error {
				is := st.resource(r.ID)
				if is == nil {
					return nil
				}
				now := Resource{ID: r.ID, Type: r.Type, Ref: c.Ref, Made: true}
				if !is.same(now) && !(is.Fresh && is.Making) {
					was := *is
					if was.RetainReplaced || r.RetainReplaced {
						was.Retain, was.RetainExceptOnCreate = true, false
					}
					was.Making = false
					st.discard(was)
				}
				st.keep(now)
				status := ""
				switch {
				case is.Status == creating:
					status = created
				case is.Status == updating || c.Action != template.Unchanged || strings.HasSuffix(is.Status, "_FAILED"):
					status = updated
				}
				is.Ref, is.Sum, is.Time = c.Ref, r.Sum, s.opts.Now().UTC()
				is.Properties = c.Properties
				is.Type, is.Own, is.Made, is.Making = r.Type, r.Own, true, false
				is.Retain, is.RetainExceptOnCreate, is.RetainReplaced = r.Retain, r.RetainExceptOnCreate, r.RetainReplaced
				if status != "" {
					is.Status, is.Reason = status, ""
					st.event(s.opts.Now(), r.ID, is.Ref, r.Type, status, "")
				}
				return nil
			})
		},
	}
}

// told is a reason as it is kept and shown: AWS's text for variables that are too long ends with all of them, secret ones too.
func told(reason string) string {
	const measured = "String measured: "
	if before, _, has := strings.Cut(reason, measured); has {
		return before + measured + "[not kept]"
	}
	return reason
}

// bring deploys a version. failed says at which resource it ended, and why.
func (s *Service) bring(ctx context.Context, st *Stack, v Version) (failed template.Resource, reason string, err error) {
	defer func() { reason = told(reason) }()
	p, target, imports, err := s.plan(ctx, st, v)
	if err != nil {
		return failed, err.Error(), nil
	}
	planned := map[string]template.Resource{}
	var unmade []template.Resource
	for _, r := range p.Resources() {
		if r.Made {
			planned[r.ID] = r
		} else {
			unmade = append(unmade, r)
		}
	}
	// What makes no difference is there as soon as it is named.
	err = s.change(st.ID, func(st *Stack) error {
		for _, r := range unmade {
			is := st.resource(r.ID)
			status := updated
			if is == nil {
				st.Resources = append(st.Resources, Resource{ID: r.ID, Fresh: true})
				is, status = &st.Resources[len(st.Resources)-1], created
			} else if is.Sum == r.Sum {
				continue
			}
			st.discard(*is)
			*is = Resource{ID: r.ID, Type: r.Type, Own: r.Own, Ref: r.Ref, Status: status, Time: s.opts.Now().UTC(), Sum: r.Sum, Fresh: is.Fresh}
			st.event(s.opts.Now(), r.ID, r.Ref, r.Type, strings.Replace(status, "_COMPLETE", "_IN_PROGRESS", 1), "")
			st.event(s.opts.Now(), r.ID, r.Ref, r.Type, status, "")
		}
		return nil
	})
	if err != nil {
		return failed, "", err
	}
	result, err := p.DeployWatched(ctx, target, s.watch(ctx, st.ID, planned))
	switch {
	case ctx.Err() != nil || errors.Is(err, errStopped):
		return failed, "", ctx.Err()
	case err != nil:
		var at *template.StepError
		if errors.As(err, &at) {
			if failed = planned[at.ID]; failed.ID == "" {
				failed = template.Resource{ID: at.ID, Type: at.Type}
			}
			return failed, at.Reason(), nil
		}
		return failed, err.Error(), nil
	}
	// In the order in which they need each other: they are removed from the end. A plan asks for parameters, which takes mu.
	order := map[string]int{}
	for i, r := range p.Resources() {
		order[r.ID] = i
	}
	values, description := p.Values(), p.Description()
	return failed, "", s.change(st.ID, func(st *Stack) error {
		st.Outputs, st.Imports, st.Values, st.Description = result.Outputs, imports, values, description
		st.SealedValues = nil // of the values before, where they could not be opened
		for _, is := range st.Resources {
			if _, ok := planned[is.ID]; !ok && !slices.ContainsFunc(unmade, func(r template.Resource) bool { return r.ID == is.ID }) {
				st.discard(is)
			}
		}
		st.Resources = slices.DeleteFunc(st.Resources, func(is Resource) bool {
			_, made := planned[is.ID]
			return !made && !slices.ContainsFunc(unmade, func(r template.Resource) bool { return r.ID == is.ID })
		})
		slices.SortStableFunc(st.Resources, func(a, b Resource) int { return order[a.ID] - order[b.ID] })
		return nil
	})
}

func (s *Service) deploy(ctx context.Context, st *Stack, v Version) error {
	failed, reason, err := s.bring(ctx, st, v)
	if err != nil {
		return err
	}
	return s.change(st.ID, func(st *Stack) error {
		now := s.opts.Now()
		create := st.Status == creating
		if reason == "" {
			if create {
				st.to(now, created, "")
				return nil
			}
			st.Updated = now.UTC()
			st.to(now, cleaning, "")
			return nil
		}
		verb, what := "update", updateFailed
		if create {
			verb, what = "create", createFailed
		}
		if is := st.resource(failed.ID); is != nil {
			one := what
			if is.Fresh {
				one = createFailed
			}
			is.Status, is.Reason = one, reason
			st.event(now, is.ID, is.Ref, is.Type, one, reason)
		} else if failed.ID != "" {
			st.event(now, failed.ID, "", failed.Type, createFailed, reason)
		}
		why := "The following resource(s) failed to " + verb + ": [" + failed.ID + "]. "
		if failed.ID == "" {
			why = reason + ". "
		}
		switch {
		case st.KeepFailed:
			st.to(now, what, why)
		case create:
			st.to(now, rollingBack, why+"Rollback requested by user.")
		default:
			st.to(now, updateBack, why)
		}
		return nil
	})
}

func (s *Service) rollBackUpdate(ctx context.Context, st *Stack) error {
	if st.Before == nil {
		return s.change(st.ID, func(st *Stack) error {
			st.to(s.opts.Now(), updateBackFailed, "there is no version to go back to")
			return nil
		})
	}
	_, reason, err := s.bring(ctx, st, *st.Before)
	if err != nil {
		return err
	}
	return s.change(st.ID, func(st *Stack) error {
		now := s.opts.Now()
		if reason != "" {
			st.to(now, updateBackFailed, reason)
			return nil
		}
		st.Now, st.Before = *st.Before, nil
		st.Updated = now.UTC()
		st.to(now, updateBackClean, "")
		return nil
	})
}

// clean removes what the stack has no more.
func (s *Service) clean(ctx context.Context, st *Stack) error {
	target, err := s.opts.Target(st.Scope)
	if err != nil {
		return err
	}
	for _, is := range slices.Backward(st.Gone) {
		keep := is.Retain && !(is.Fresh && is.RetainExceptOnCreate)
		if st.has(is) { // it is the stack's under another name
			continue
		}
		if err := s.removeOne(ctx, st.ID, target, is, keep); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue // told of by its event; the update has succeeded
		}
	}
	return s.change(st.ID, func(st *Stack) error {
		st.Gone, st.Before = nil, nil
		for i := range st.Resources {
			st.Resources[i].Fresh = false
		}
		if st.Status == cleaning {
			st.to(s.opts.Now(), updated, "")
		} else {
			st.to(s.opts.Now(), updateRolledBack, "")
		}
		return nil
	})
}

// removeOne removes a resource, with its events.
func (s *Service) removeOne(ctx context.Context, id string, target *template.Target, is Resource, keep bool) error {
	if keep {
		return s.change(id, func(st *Stack) error {
			st.event(s.opts.Now(), is.ID, is.Ref, is.Type, "DELETE_SKIPPED", "")
			return nil
		})
	}
	if err := s.change(id, func(st *Stack) error { st.event(s.opts.Now(), is.ID, is.Ref, is.Type, deleting, ""); return nil }); err != nil {
		return err
	}
	var failure error
	if is.Made && is.Ref != "" {
		failure = target.Remove(ctx, template.Kept{Type: is.Own, ID: is.Ref})
	}
	var refused smithy.APIError
	if is.Status == createFailed && errors.As(failure, &refused) && refused.ErrorCode() == "ValidationException" {
		failure = nil // what has such a name cannot be there
	}
	err := s.change(id, func(st *Stack) error {
		status, reason := deleted, ""
		if failure != nil {
			status, reason = deleteFailed, failure.Error()
		}
		if r := st.resource(is.ID); r != nil && r.Ref == is.Ref {
			r.Status, r.Reason, r.Time = status, reason, s.opts.Now().UTC()
		}
		if failure == nil {
			st.keep(is)
		}
		st.event(s.opts.Now(), is.ID, is.Ref, is.Type, status, reason)
		return nil
	})
	return errors.Join(failure, err)
}

// removeAll removes a stack's resources, the last one first: to delete it, or to roll its
// creation back.
func (s *Service) removeAll(ctx context.Context, st *Stack) error {
	target, err := s.opts.Target(st.Scope)
	if err != nil {
		return err
	}
	var failed []string
	for _, is := range slices.Backward(slices.Concat(st.Gone, st.Resources)) {
		if is.Status == deleted || st.has(is) && !slices.Contains(st.Resources, is) {
			continue
		}
		keep := is.Retain
		if st.Status == rollingBack {
			keep = is.Retain && !is.RetainExceptOnCreate
		}
		// What failed because it belongs to somebody else was never in the list.
		if err := s.removeOne(ctx, st.ID, target, is, keep); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			failed = append(failed, is.ID)
		}
	}
	return s.change(st.ID, func(st *Stack) error {
		now := s.opts.Now()
		why := "The following resource(s) failed to delete: [" + strings.Join(failed, ", ") + "]. "
		switch {
		case len(failed) > 0 && st.Status == rollingBack:
			st.to(now, rollbackFailed, why)
		case len(failed) > 0:
			st.to(now, deleteFailed, why)
		case st.Status == rollingBack && !st.DeleteFailed:
			st.Outputs, st.Imports = nil, nil
			st.to(now, rolledBack, "")
		default:
			st.Outputs, st.Imports, st.Deleted = nil, nil, now.UTC()
			st.to(now, deleted, "")
		}
		return nil
	})
}
