package trigger

import (
	"context"
	"strings"

	"github.com/millstreamdb/millstream/internal/expr"
)

// SetWhen gives a mapping a condition on changes (see expr.Transition) beside its filters, or with an empty text
// none. Records that wait, or are tried again, and that it does not want any more have ended; those that have
// ended do not come again. The error is for people; ErrNoMapping for an unknown mapping.
func (e *Engine) SetWhen(ctx context.Context, uuid, when string) error {
	if when = strings.TrimSpace(when); when != "" {
		if _, err := Condition(when); err != nil {
			return err
		}
	}
	m, err := e.lock(uuid)
	if err != nil {
		return err
	}
	defer m.op.Unlock()
	def := m.definition()
	def.When = when
	def.Generation++
	def.Modified = e.opts.Now().UTC().Round(0)
	if err := e.store(ctx, &def); err != nil {
		return err
	}
	m.redefine(def)
	return nil
}

// Condition reads a condition on changes, as SetWhen takes it. The error is a BadCondition.
func Condition(text string) (*expr.Transition, error) {
	t, err := expr.ParseTransition(text)
	if err != nil {
		return nil, &BadCondition{err.Error()}
	}
	if old, new := t.Reads(); !old && !new {
		return nil, &BadCondition{"it looks at neither OLD nor NEW"}
	}
	return t, nil
}

// BadCondition says what is wrong with a condition.
type BadCondition struct{ Why string }

func (b *BadCondition) Error() string { return b.Why }
