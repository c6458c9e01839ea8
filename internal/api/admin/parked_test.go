package admin

import (
	"errors"
	"net/http"
	"testing"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger"
)

// What a person can do something about is no internal error.
func TestAsideErrors(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{backend.ErrNoMapping, http.StatusNotFound, "NotFound"},
		{trigger.ErrNotAside, http.StatusNotFound, "NotFound"},
		{trigger.ErrMoved, http.StatusConflict, "Moved"},
	} {
		e, ok := errors.AsType[*wire.Error](asideError("uuid", c.err))
		if !ok || e.Status != c.status || e.Code != c.code {
			t.Errorf("%v: %+v", c.err, e)
		}
	}
}
