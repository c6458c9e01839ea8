package server

import (
	"net/http"
	"slices"
	"testing"
)

// A function behind the front door never sees a session of the console, and sees all other cookies.
func TestFunctionsDoNotSeeTheConsolesCookies(t *testing.T) {
	for _, c := range []struct{ sent, seen []string }{
		{nil, nil},
		{[]string{"a=1; b=2"}, []string{"a=1; b=2"}},
		{[]string{"a=1; millstream-console-8002=secret; b=2"}, []string{"a=1; b=2"}},
		{[]string{"millstream-console-8002=secret"}, nil},
		{[]string{"millstream-console-8002=secret;millstream-console-8005=secret; a=1", "b=2"}, []string{"a=1", "b=2"}},
	} {
		r := &http.Request{Header: http.Header{}}
		if c.sent != nil {
			r.Header["Cookie"] = c.sent
		}
		dropConsoleCookies(r)
		if got := r.Header["Cookie"]; !slices.Equal(got, c.seen) {
			t.Errorf("%q became %q, want %q", c.sent, got, c.seen)
		}
	}
}
