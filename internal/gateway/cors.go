package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// isPreflight reports whether a browser asks what it may send.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// allowedOrigin returns what Access-Control-Allow-Origin says to an origin, empty when
// it may not come.
func allowedOrigin(c *CORS, origin string) string {
	for _, o := range c.AllowOrigins {
		switch {
		case o == "*" && !c.AllowCredentials:
			return "*"
		case o == "*" || o == origin:
			return origin
		case (o == "https://*" || o == "http://*") && strings.HasPrefix(origin, o[:len(o)-1]):
			return origin
		}
	}
	return ""
}

// applyCORS puts the headers of an HTTP API or a function URL into an answer, in place
// of any that the function has set.
func applyCORS(c *CORS, h http.Header, r *http.Request) {
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			h.Del(name)
		}
	}
	allowed := allowedOrigin(c, r.Header.Get("Origin"))
	if allowed == "" {
		return
	}
	h.Set("Access-Control-Allow-Origin", allowed)
	if allowed != "*" {
		h.Add("Vary", "Origin")
	}
	if c.AllowCredentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if !isPreflight(r) {
		list(h, "Access-Control-Expose-Headers", c.ExposeHeaders)
		return
	}
	list(h, "Access-Control-Allow-Methods", c.AllowMethods)
	list(h, "Access-Control-Allow-Headers", c.AllowHeaders)
	if c.MaxAge != nil {
		h.Set("Access-Control-Max-Age", strconv.Itoa(*c.MaxAge))
	}
}

// applyFixedCORS puts the headers into the answer that SAM gives a REST API's OPTIONS:
// they are the same for every origin, and allow what the path has.
func applyFixedCORS(c *CORS, h http.Header, methods []string) {
	allow := c.AllowMethods
	if allow == nil {
		allow = append(slices.Clone(methods), http.MethodOptions)
		if slices.Contains(methods, anyMethod) {
			allow = []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
		}
		slices.Sort(allow)
		allow = slices.Compact(allow)
	}
	list(h, "Access-Control-Allow-Origin", c.AllowOrigins)
	list(h, "Access-Control-Allow-Methods", allow)
	list(h, "Access-Control-Allow-Headers", c.AllowHeaders)
	if c.MaxAge != nil {
		h.Set("Access-Control-Max-Age", strconv.Itoa(*c.MaxAge))
	}
	if c.AllowCredentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

func list(h http.Header, name string, values []string) {
	if len(values) > 0 {
		h.Set(name, strings.Join(values, ","))
	}
}
