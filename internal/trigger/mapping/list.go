package mapping

import (
	"cmp"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

// maxPage is the most mappings in one page of List.
const maxPage = 100

// ListRequest is ListEventSourceMappings; empty members do not filter.
type ListRequest struct {
	EventSourceArn string
	FunctionName   string
	Marker         string
	MaxItems       *int
}

// Check is everything about a ListRequest that needs no state.
func (r *ListRequest) Check() error {
	if n := r.MaxItems; n != nil {
		switch {
		case *n < 1:
			return awserr.Constraints([]string{awserr.AtLeast(strconv.Itoa(*n), "maxItems", "1")})
		case *n > 10000:
			return awserr.Constraints([]string{awserr.AtMost(strconv.Itoa(*n), "maxItems", "10000")})
		}
	}
	_, err := parseMarker(r.Marker)
	return err
}

// Page chooses from all mappings, which are in the order of their creation, and returns the marker
// of the next page, empty on the last. The request has been checked.
func (r *ListRequest) Page(scope schema.Scope, all []View) ([]View, string) {
	size := maxPage
	if r.MaxItems != nil {
		size = min(size, *r.MaxItems)
	}
	after, _ := parseMarker(r.Marker)
	function := ""
	if r.FunctionName != "" {
		function = FunctionARN(scope, r.FunctionName)
	}
	views := []View{}
	for _, v := range all {
		if v.Scope != scope || r.EventSourceArn != "" && v.StreamARN != r.EventSourceArn ||
			function != "" && v.FunctionARN != function || r.Marker != "" && ByCreation(v.Definition, after) <= 0 {
			continue
		}
		if len(views) == size {
			return views, marker(views[size-1].Definition)
		}
		views = append(views, v)
	}
	return views, ""
}

// ByCreation compares by the time of creation.
func ByCreation(a, b Definition) int {
	return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.UUID, b.UUID))
}

// A marker is the creation time and UUID of the last mapping of the page before,
// so that it holds when that one is deleted.
func marker(m Definition) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(m.Created.UnixNano(), 10) + "/" + m.UUID))
}

func parseMarker(s string) (Definition, error) {
	if s == "" {
		return Definition{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	at, uuid, ok := strings.Cut(string(raw), "/")
	ns, err2 := strconv.ParseInt(at, 10, 64)
	if err != nil || err2 != nil || !ok {
		return Definition{}, awserr.BadMarker()
	}
	return Definition{Created: time.Unix(0, ns), UUID: uuid}, nil
}
