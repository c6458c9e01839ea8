package expr

import "github.com/millstreamdb/millstream/internal/item"

// Literal returns the value of the request that the update sets a top-level attribute
// to; nil when it does not set it, or to something computed.
func (u *Update) Literal(attribute string) item.Value {
	if u == nil {
		return nil
	}
	for i := range u.actions {
		a := &u.actions[i]
		if p := u.paths.paths[i]; a.clause == clauseSet && len(p) == 1 && p[0].name == attribute && a.set.sign == tokEOF && a.set.left.fn == fnNone {
			return a.set.left.value
		}
	}
	return nil
}
