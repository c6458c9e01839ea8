package function

import (
	"crypto/sha256"
	"encoding/base32"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
)

// urlConfig is the stored form of a function's URL. Fields are only ever added.
type urlConfig struct {
	AuthType string    `json:"authType"`
	Streams  bool      `json:"streams,omitempty"` // InvokeMode RESPONSE_STREAM
	Cors     *Cors     `json:"cors,omitempty"`
	Created  time.Time `json:"created"`
	Modified time.Time `json:"modified"`
}

// Cors is what web pages of other origins may do with a function URL, with AWS's
// member names; it is stored as it is.
type Cors struct {
	AllowCredentials *bool    `json:"AllowCredentials,omitempty"`
	AllowHeaders     []string `json:"AllowHeaders,omitempty"`
	AllowMethods     []string `json:"AllowMethods,omitempty"`
	AllowOrigins     []string `json:"AllowOrigins,omitempty"`
	ExposeHeaders    []string `json:"ExposeHeaders,omitempty"`
	MaxAge           *int     `json:"MaxAge,omitempty"` // seconds
}

// URLRequest is the body of CreateFunctionUrlConfig and UpdateFunctionUrlConfig.
type URLRequest struct {
	AuthType   *string
	Cors       *Cors
	InvokeMode *string
}

// URLDocument is AWS's FunctionUrlConfig.
type URLDocument struct {
	FunctionURL      string `json:"FunctionUrl"`
	FunctionArn      string `json:"FunctionArn"`
	AuthType         string `json:"AuthType"`
	Cors             *Cors  `json:"Cors,omitempty"`
	CreationTime     string `json:"CreationTime"`
	LastModifiedTime string `json:"LastModifiedTime,omitempty"`
	InvokeMode       string `json:"InvokeMode"`
}

// Kinds of AuthType.
const (
	authNone = "NONE"
	authIAM  = "AWS_IAM"
)

// Kinds of InvokeMode.
const (
	modeBuffered = "BUFFERED"
	modeStream   = "RESPONSE_STREAM"
)

// maxCorsAge is AWS's bound of MaxAge.
const maxCorsAge = 86400

func (r *URLRequest) check(v *constraints) {
	if r.AuthType != nil {
		v.oneOf(*r.AuthType, "authType", authNone, authIAM)
	}
	if r.InvokeMode != nil {
		v.oneOf(*r.InvokeMode, "invokeMode", modeBuffered, modeStream)
	}
	if r.Cors != nil {
		v.between(r.Cors.MaxAge, "cors.maxAge", 0, maxCorsAge)
	}
}

// urlOf finds the function of a URL call, whose errors are its own, and the alias that
// it names; $LATEST is none.
func (s *Service) urlOf(scope schema.Scope, name, qualifier string) (f *live, alias string, err error) {
	if isNumber(qualifier) {
		return nil, "", constraint(qualifier, "qualifier", `Member must satisfy regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)`)
	}
	t, _, err := s.resolve(scope, name, qualifier)
	if IsNotFound(err) {
		return nil, "", awserr.NoFunctionForURL()
	}
	if t.qualifier == runner.Latest {
		t.qualifier = ""
	}
	return t.live, t.qualifier, err
}

// url is the URL of an alias; empty: the function's own.
func (d *definition) url(alias string) *urlConfig {
	if alias == "" {
		return d.URL
	}
	return d.URLs[alias]
}

// setURL changes it; nil takes it away.
func (d *definition) setURL(alias string, u *urlConfig) {
	if alias == "" {
		d.URL = u
		return
	}
	d.URLs = maps.Clone(d.URLs)
	switch {
	case u == nil:
		delete(d.URLs, alias)
	case d.URLs == nil:
		d.URLs = map[string]*urlConfig{alias: u}
	default:
		d.URLs[alias] = u
	}
}

// CreateURL gives a function a URL. It is durable on return.
func (s *Service) CreateURL(scope schema.Scope, name, qualifier string, r URLRequest) (URLDocument, error) {
	v := &constraints{}
	if r.AuthType == nil {
		v.texts = append(v.texts, "Value null at 'authType' failed to satisfy constraint: Member must not be null")
	}
	r.check(v)
	if err := v.err(); err != nil {
		return URLDocument{}, err
	}
	return s.changeURL(scope, name, qualifier, func(d *definition, alias string) error {
		if d.url(alias) != nil {
			return awserr.FunctionURLExists(urlARN(d, alias))
		}
		now := s.opts.Now()
		d.setURL(alias, &urlConfig{AuthType: *r.AuthType, Streams: r.InvokeMode != nil && *r.InvokeMode == modeStream, Cors: r.Cors, Created: now, Modified: now})
		return nil
	})
}

// UpdateURL changes what is given of a function's URL. A Cors without members
// removes the settings.
func (s *Service) UpdateURL(scope schema.Scope, name, qualifier string, r URLRequest) (URLDocument, error) {
	v := &constraints{}
	r.check(v)
	if err := v.err(); err != nil {
		return URLDocument{}, err
	}
	return s.changeURL(scope, name, qualifier, func(d *definition, alias string) error {
		now := d.url(alias)
		if now == nil {
			return awserr.NoFunctionURL()
		}
		u := *now
		set(&u.AuthType, r.AuthType)
		if r.Cors != nil {
			if u.Cors = r.Cors; r.Cors.empty() {
				u.Cors = nil
			}
		}
		if r.InvokeMode != nil {
			u.Streams = *r.InvokeMode == modeStream
		}
		u.Modified = s.opts.Now()
		d.setURL(alias, &u)
		return nil
	})
}

func (c *Cors) empty() bool {
	return c.AllowCredentials == nil && c.AllowHeaders == nil && c.AllowMethods == nil && c.AllowOrigins == nil && c.ExposeHeaders == nil && c.MaxAge == nil
}

func (s *Service) changeURL(scope schema.Scope, name, qualifier string, change func(d *definition, alias string) error) (URLDocument, error) {
	_, alias, err := s.urlOf(scope, name, qualifier)
	if err != nil {
		return URLDocument{}, err
	}
	d, err := s.updateOf(scope, name, alias, func(d *definition) error { return change(d, alias) })
	if err != nil {
		return URLDocument{}, err
	}
	return s.urlDocument(d, alias), nil
}

// DeleteURL takes a function's URL away.
func (s *Service) DeleteURL(scope schema.Scope, name, qualifier string) error {
	_, alias, err := s.urlOf(scope, name, qualifier)
	if err != nil {
		return err
	}
	_, err = s.updateOf(scope, name, alias, func(d *definition) error {
		if d.url(alias) == nil {
			return awserr.NoFunctionURL()
		}
		d.setURL(alias, nil)
		return nil
	})
	return err
}

// GetURL returns a function's URL.
func (s *Service) GetURL(scope schema.Scope, name, qualifier string) (URLDocument, error) {
	f, alias, err := s.urlOf(scope, name, qualifier)
	if err != nil {
		return URLDocument{}, err
	}
	d := f.def.Load()
	if d.url(alias) == nil {
		return URLDocument{}, awserr.NoFunctionURL()
	}
	return s.urlDocument(d, alias), nil
}

// URLPage is ListFunctionUrlConfigs' answer.
type URLPage struct {
	FunctionURLConfigs []URLDocument `json:"FunctionUrlConfigs"`
	NextMarker         string        `json:",omitempty"`
}

// ListURLs returns a page of a function's URLs: its own, and those of aliases by their names.
func (s *Service) ListURLs(scope schema.Scope, name, marker string, maxItems int) (URLPage, error) {
	f, _, err := s.urlOf(scope, name, "")
	if err != nil {
		return URLPage{}, err
	}
	d := f.def.Load()
	names := slices.Collect(maps.Keys(d.URLs))
	if d.URL != nil {
		names = append(names, runner.Latest) // which sorts before every alias
	}
	slices.Sort(names)
	names, next, err := pageOf(names, marker, maxItems, defaultPage)
	if err != nil {
		return URLPage{}, err
	}
	page := URLPage{FunctionURLConfigs: []URLDocument{}, NextMarker: next}
	for _, alias := range names {
		if alias == runner.Latest {
			alias = ""
		}
		page.FunctionURLConfigs = append(page.FunctionURLConfigs, s.urlDocument(d, alias))
	}
	return page, nil
}

// urlTime is how AWS writes the times of a function's URL.
const urlTime = "2006-01-02T15:04:05.000000Z"

func (s *Service) urlDocument(d *definition, alias string) URLDocument {
	u := d.url(alias)
	doc := URLDocument{
		FunctionArn: urlARN(d, alias), AuthType: u.AuthType, Cors: u.Cors, InvokeMode: modeBuffered,
		CreationTime: u.Created.UTC().Format(urlTime), LastModifiedTime: u.Modified.UTC().Format(urlTime),
	}
	if u.Streams {
		doc.InvokeMode = modeStream
	}
	if s.opts.FrontDoor != nil {
		doc.FunctionURL = s.opts.FrontDoor(urlID(d.Scope, d.Name, alias))
	}
	return doc
}

func urlARN(d *definition, alias string) string {
	if alias == "" {
		return d.arn()
	}
	return d.arn() + ":" + alias
}

// urlID is what the URL of a function or an alias is called: 32 characters, the same at
// all times.
func urlID(scope schema.Scope, name, alias string) string {
	text := "url\x00" + scope.Account + "\x00" + scope.Region + "\x00" + name
	if alias != "" {
		text += "\x00" + alias
	}
	sum := sha256.Sum256([]byte(text))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:32]
}

// URL is a function's URL as the front door needs it.
type URL struct {
	ID       string
	Scope    schema.Scope
	Function string // with the alias behind it, if it is one's
	Signed   bool   // requests must carry a signature
	Streams  bool   // answers are passed on as they come
	Cors     *Cors
}

// urlRef is whose URL one is.
type urlRef struct {
	f     *live
	alias string
}

// FindURL returns the URL of an id.
func (s *Service) FindURL(id string) (URL, bool) {
	s.mu.RLock()
	ref, there := s.urls[id]
	s.mu.RUnlock()
	if !there {
		return URL{}, false
	}
	d := ref.f.def.Load()
	u := d.url(ref.alias)
	if u == nil {
		return URL{}, false
	}
	name := d.Name
	if ref.alias != "" {
		name += ":" + ref.alias
	}
	return URL{ID: id, Scope: d.Scope, Function: name, Signed: u.AuthType == authIAM, Streams: u.Streams, Cors: u.Cors}, true
}

// SoleURL returns the only URL of all functions; ok is false when there are none or
// several.
func (s *Service) SoleURL() (_ URL, ok bool) {
	s.mu.RLock()
	only := ""
	for id := range s.urls {
		only = id
	}
	n := len(s.urls)
	s.mu.RUnlock()
	if n != 1 {
		return URL{}, false
	}
	return s.FindURL(only)
}

// indexURLs keeps urls right for a definition that takes the place of old, which may be
// nil. mu is held.
func (s *Service) indexURLs(f *live, old, d *definition) {
	if old != nil {
		for alias := range old.URLs {
			delete(s.urls, urlID(d.Scope, d.Name, alias))
		}
		delete(s.urls, urlID(d.Scope, d.Name, ""))
	}
	if d.URL != nil {
		s.urls[urlID(d.Scope, d.Name, "")] = urlRef{f, ""}
	}
	for alias := range d.URLs {
		s.urls[urlID(d.Scope, d.Name, alias)] = urlRef{f, alias}
	}
}
