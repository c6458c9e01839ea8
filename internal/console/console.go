package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// Options are what a Console is made of. All are needed.
type Options struct {
	// Server answers Millstream's own protocol as for who owns the data, and Signed AWS's protocols as for anybody.
	Server, Signed http.Handler
	// Ask has it answer a request of the console's own.
	Ask func(*http.Request) (*http.Response, error)
	// Sign signs a request of AWS's protocols for a service, as an account, or as the server's owner when that is empty; payloadHash is the
	// body's SHA-256 in hex.
	Sign func(r *http.Request, account, service, payloadHash string) error
	// Keys are those by which one may sign in.
	Keys Keys
	// Endpoint is where clients reach the AWS protocols.
	Endpoint func() string
	// Key signs sessions: who has it has the console. A key that is kept lets a page go on over a restart.
	Key    []byte
	Now    func() time.Time
	Logger *slog.Logger
}

// Console is the handler of the page. It is safe for use by many goroutines at once.
type Console struct {
	Options
	mux      http.ServeMux
	tokens   tokens
	failures failures
	history  history
}

//go:embed assets
var embedded embed.FS

// New returns a console. Run must run for its page to live.
func New(o Options) *Console {
	c := &Console{Options: o}
	c.history.init()
	assets, err := fs.Sub(embedded, "assets")
	if err != nil {
		panic(err) // the folder is embedded
	}
	files := http.FileServerFS(embedded)
	c.mux.Handle("GET /assets/", files)
	c.mux.HandleFunc("GET /open", c.open)
	c.mux.HandleFunc("POST /sign-in", c.signIn)
	c.mux.Handle("GET /{$}", c.within(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, assets, "index.html") })))
	c.mux.Handle("GET /live", c.within(http.HandlerFunc(c.live)))
	c.mux.Handle("GET /history", c.within(http.HandlerFunc(c.past)))
	c.mux.Handle("GET /metrics", c.within(http.HandlerFunc(c.own)))
	c.mux.Handle(ownPath, c.within(http.HandlerFunc(c.own)))
	c.mux.Handle("/aws/{service}/{path...}", c.within(http.HandlerFunc(c.aws)))
	return c
}

// policy is what the page may do: load its own scripts and styles, ask this server, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if strings.HasPrefix(r.URL.Path, "/assets/") {
		h.Set("Cache-Control", "no-cache") // a newer program has newer files
	} else {
		h.Set("Cache-Control", "no-store")
	}
	c.mux.ServeHTTP(w, r)
}

// ownPath is where Millstream's own protocol lives.
const ownPath = "/_millstream/v1/"

// own hands a question of Millstream's own protocol on, or one for the metrics.
func (c *Console) own(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	in := r.Clone(ctx)
	by := whoIs(r)
	if by.key != "" {
		go c.endWithKey(ctx, cancel, by) // an answer may go on for ever
	}
	if !by.all() && (r.URL.Path == "/metrics" || !c.narrowed(in, by.Account)) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error":{"code":"AccessDenied","message":"This spans accounts, and your access key is of one: it is for the server's owner, and for operators' keys."}}`)
		return
	}
	in.Header = http.Header{"X-Millstream": {"1"}}
	if kind := r.Header.Get("Content-Type"); kind != "" {
		in.Header.Set("Content-Type", kind)
	}
	in.Host = "localhost"
	c.Server.ServeHTTP(w, in)
}

// maxBody bounds a request that the console signs: the largest that Lambda takes for an event.
const maxBody = 6<<20 + 1<<10

// endWithKey ends what somebody with an access key has asked once the key may not sign any more.
func (c *Console) endWithKey(ctx context.Context, cancel context.CancelFunc, by who) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if now, ok := c.still(by); !ok || now != by {
				cancel()
			}
		}
	}
}

// awsPath is what paths of AWS's protocols look like: "/", or those of Lambda, which begin with a date. Nothing else is handed on as signed.
var awsPath = regexp.MustCompile(`^/(\d{4}-\d\d-\d\d/[^.]*)?$`)

// aws signs a question of AWS's protocols and hands it on: /aws/SERVICE/REST becomes /REST.
func (c *Console) aws(w http.ResponseWriter, r *http.Request) {
	if !awsPath.MatchString("/" + r.PathValue("path")) {
		http.Error(w, "That is no path of AWS's protocols.", http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	in, err := http.NewRequestWithContext(r.Context(), r.Method, "http://localhost"+strings.TrimPrefix(r.URL.EscapedPath(), "/aws/"+r.PathValue("service")), bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	in.URL.RawQuery = r.URL.RawQuery
	in.RequestURI, in.RemoteAddr = in.URL.RequestURI(), r.RemoteAddr
	for name, values := range r.Header {
		if name == "Content-Type" || name == "Accept" || strings.HasPrefix(name, "X-Amz-") {
			in.Header[name] = values
		}
	}
	sum := sha256.Sum256(body)
	if err := c.Sign(in, whoIs(r).Account, r.PathValue("service"), hex.EncodeToString(sum[:])); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	c.Signed.ServeHTTP(w, in)
}
