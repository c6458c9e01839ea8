package app

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/server"
)

// forward hands requests on to another server, as they came: with their host, of which the client's signature is. ReverseProxy of net/http/httputil
// takes away X-Forwarded headers and odd parts of a query, which may be signed.
type forward struct {
	to   *url.URL
	http http.RoundTripper
	auth *server.Authenticator
	log  *slog.Logger
}

// hop are the headers of one connection, which end with it.
var hop = []string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

func withoutHop(h http.Header) http.Header {
	h = h.Clone()
	for _, names := range h["Connection"] {
		for name := range strings.SplitSeq(names, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hop {
		h.Del(name)
	}
	return h
}

// signed hands on what is signed right, where this node verifies: of its address the tables' server sees nothing else then. own is a handler of the same
// service, which refuses the rest in its words.
func (f *forward) signed(own http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.auth.Mode == server.AuthOn {
			if _, refused := f.auth.Authenticate(r); refused != nil {
				own.ServeHTTP(w, server.Refused(r, refused))
				return
			}
		}
		f.ServeHTTP(w, r)
	})
}

func (f *forward) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI, out.Close = f.to.Scheme, f.to.Host, "", false
	out.Header = withoutHop(r.Header)
	if out.Header["User-Agent"] == nil {
		out.Header.Set("User-Agent", "") // else there would be one of Go's
	}
	if out.Body = nil; r.ContentLength != 0 && r.Body != nil {
		out.Body = struct{ io.ReadCloser }{r.Body} // one that was read for its signature can be read again, and no more
	}
	resp, err := f.http.RoundTrip(out)
	if err != nil {
		if r.Context().Err() != nil {
			return
		}
		if e := (*awserr.Error)(nil); errors.As(err, &e) { // a body is not what its header says
			server.Refuse(w, r, "s3", e)
			return
		}
		f.log.Warn("the tables' server does not answer", "url", f.to.String(), "error", err)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#ServiceUnavailable","message":"The server of the tables (--tables) does not answer this node."}`)
		return
	}
	defer resp.Body.Close()
	for name, values := range withoutHop(resp.Header) {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	control, buffer := http.NewResponseController(w), make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return
			}
			if resp.ContentLength < 0 { // it may be one that goes on and on
				_ = control.Flush()
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // the client must not take what it has for all
		}
	}
}
