package console

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// cookieName begins the name of the cookie of a session; the port follows, since cookies are not told apart by it. The front door (package
// server) takes such cookies off what it hands to functions.
const cookieName = "millstream-console-"

// sessionLife is how long a session lasts after the page was last opened.
const sessionLife = 7 * 24 * time.Hour

// tokens are those that have not been used, each good once.
type tokens struct {
	mu    sync.Mutex // guards the following
	ready []string   // the newest last
}

// maxTokens bounds those that wait: links that nobody followed.
const maxTokens = 16

// Token makes a token for a link /open?token=TOKEN.
func (c *Console) Token() string {
	token := rand.Text()
	c.tokens.mu.Lock()
	defer c.tokens.mu.Unlock()
	if len(c.tokens.ready) == maxTokens {
		c.tokens.ready = c.tokens.ready[1:]
	}
	c.tokens.ready = append(c.tokens.ready, token)
	return token
}

// use reports whether a token is good, and has it be good no more.
func (t *tokens) use(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, ready := range t.ready {
		if hmac.Equal([]byte(ready), []byte(token)) {
			t.ready = append(t.ready[:i], t.ready[i+1:]...)
			return true
		}
	}
	return false
}

// open begins a session for who comes with a token.
func (c *Console) open(w http.ResponseWriter, r *http.Request) {
	by, ok := c.who(r)
	switch {
	case c.tokens.use(r.URL.Query().Get("token")): // also in the place of a session that there is
		by = who{}
	case !ok:
		c.closed(w, "This link has been used, or is of an earlier start of the server.")
		return
	}
	c.begin(w, r, by.key)
	http.Redirect(w, r, "/", http.StatusSeeOther) // the token does not stay in the address
}

// begin gives a browser a session of an access key, or of the server's owner when key is empty.
func (c *Console) begin(w http.ResponseWriter, r *http.Request, key string) {
	until := strconv.FormatInt(c.Now().Add(sessionLife).Unix(), 10)
	http.SetCookie(w, &http.Cookie{
		Name: cookieOf(r), Value: until + "." + key + "." + c.mac(until, key), Path: "/", MaxAge: int(sessionLife / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
}

func cookieOf(r *http.Request) string {
	_, port, _ := net.SplitHostPort(r.Host) // none: the scheme's own
	return cookieName + port
}

// mac is what nobody can write without the key.
func (c *Console) mac(until, key string) string {
	h := hmac.New(sha256.New, c.Key)
	h.Write([]byte("console session until " + until + " of " + key))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// who finds who has sent a request; ok is false without a session, or when its access key may not sign any more.
func (c *Console) who(r *http.Request) (_ who, ok bool) {
	cookie, err := r.Cookie(cookieOf(r))
	if err != nil {
		return who{}, false
	}
	parts := strings.Split(cookie.Value, ".")
	if len(parts) != 3 || !hmac.Equal([]byte(parts[2]), []byte(c.mac(parts[0], parts[1]))) {
		return who{}, false
	}
	if seconds, err := strconv.ParseInt(parts[0], 10, 64); err != nil || c.Now().Unix() >= seconds {
		return who{}, false
	}
	return c.still(who{key: parts[1]})
}

// still is who has a session by now; ok is false when its access key may not sign any more.
func (c *Console) still(by who) (_ who, ok bool) {
	if by.key == "" {
		return who{}, true
	}
	caller, ok := c.Keys.Caller(by.key)
	return who{by.key, caller}, ok
}

// within is a handler for those who have a session. What is not merely looked at must come from the page itself: the server has refused
// other origins before this, and a browser names the origin of everything but links and images.
func (c *Console) within(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		looks := r.Method == http.MethodGet || r.Method == http.MethodHead
		by, ok := c.who(r)
		switch {
		case !ok && r.URL.Path == "/" && looks:
			c.closed(w, "Nobody is signed in here.")
		case !ok:
			http.Error(w, "The session is over. Open the console by a new link: millstream console", http.StatusUnauthorized)
		case r.URL.Path != "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate":
			http.Error(w, "Only the console's own page asks here: an address is not to be followed to it.", http.StatusForbidden)
		case !looks && r.Header.Get("Origin") == "":
			http.Error(w, "Only the console's own page may change something here.", http.StatusForbidden)
		default:
			if looks && r.URL.Path == "/" {
				c.begin(w, r, by.key) // it lasts on from here
			}
			next.ServeHTTP(w, by.as(r))
		}
	})
}

// closed tells who has no session how to get one; why is a text of ours. (A template of html/template would have the linker keep every
// method of the program.)
func (c *Console) closed(w http.ResponseWriter, why string) {
	form := ""
	if c.Keys.Any() {
		form = signInForm
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = io.WriteString(w, `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Millstream</title><link rel="stylesheet" href="/assets/style.css"><main class="closed"><h1>Millstream</h1><p>`+why+`</p>
<p>The server's owner gets a link by <code>millstream console</code>.</p>`+form+`</main></html>
`) // the reader has gone
}

const signInForm = `
<h2>Sign in with an access key</h2><form id="sign-in"><p><label>Access key ID <input name="id" autocomplete="username" required></label></p>
<p><label>Secret access key <input name="secret" type="password" autocomplete="current-password" required></label></p><p><button class="pri">Sign in</button> <span role="alert" class="badt"></span></p></form>
<script type="module" src="/assets/signin.js"></script>`
