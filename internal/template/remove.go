package template

import "context"

// kept is a resource that an earlier deployment made.
type kept struct {
	ID, Type string
	Name     string // as its Change had it
}

// remover is a step that can take away what an earlier one of its kind made. The step
// itself may be empty.
type remover interface {
	remove(ctx context.Context, d *deployment, is kept) error
}

var _ = []remover{&version{}, &alias{}, &eventConfig{}, &layer{}}
