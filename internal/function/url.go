package function

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

// urlConfig is the stored form of a function's URL. Fields are only ever added.
type urlConfig struct {
	AuthType string    `json:"authType"`
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

// maxCorsAge is AWS's bound of MaxAge.
const maxCorsAge = 86400

func (r *URLRequest) check(v *constraints) {
	if r.AuthType != nil {
		v.oneOf(*r.AuthType, "authType", authNone, authIAM)
	}
	if r.InvokeMode != nil {
		v.oneOf(*r.InvokeMode, "invokeMode", "BUFFERED", "RESPONSE_STREAM")
	}
	if r.Cors != nil {
		v.between(r.Cors.MaxAge, "cors.maxAge", 0, maxCorsAge)
	}
}

// checkMode refuses what would silently be done otherwise.
func (r *URLRequest) checkMode() error {
	if r.InvokeMode != nil && *r.InvokeMode != "BUFFERED" {
		return awserr.LambdaInvalidParameter("InvokeMode RESPONSE_STREAM is not supported: answers are sent when they are whole.")
	}
	return nil
}

// urlOf finds the function of a URL call, whose errors are its own.
func (s *Service) urlOf(scope schema.Scope, name, qualifier string) (*live, error) {
	if qualifier != "" {
		return nil, awserr.NoFunctionURL() // there are no aliases
	}
	f, _, err := s.resolve(scope, name, "")
	if IsNotFound(err) {
		return nil, awserr.NoFunctionForURL()
	}
	return f, err
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
	if err := r.checkMode(); err != nil {
		return URLDocument{}, err
	}
	return s.changeURL(scope, name, qualifier, func(d *definition) error {
		if d.URL != nil {
			return awserr.FunctionURLExists(d.arn())
		}
		now := s.opts.Now()
		d.URL = &urlConfig{AuthType: *r.AuthType, Cors: r.Cors, Created: now, Modified: now}
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
	if err := r.checkMode(); err != nil {
		return URLDocument{}, err
	}
	return s.changeURL(scope, name, qualifier, func(d *definition) error {
		if d.URL == nil {
			return awserr.NoFunctionURL()
		}
		u := *d.URL
		set(&u.AuthType, r.AuthType)
		if r.Cors != nil {
			if u.Cors = r.Cors; r.Cors.empty() {
				u.Cors = nil
			}
		}
		u.Modified = s.opts.Now()
		d.URL = &u
		return nil
	})
}

func (c *Cors) empty() bool {
	return c.AllowCredentials == nil && c.AllowHeaders == nil && c.AllowMethods == nil && c.AllowOrigins == nil && c.ExposeHeaders == nil && c.MaxAge == nil
}

func (s *Service) changeURL(scope schema.Scope, name, qualifier string, change func(d *definition) error) (URLDocument, error) {
	if _, err := s.urlOf(scope, name, qualifier); err != nil {
		return URLDocument{}, err
	}
	d, err := s.update(scope, name, change)
	if err != nil {
		return URLDocument{}, err
	}
	return s.urlDocument(d), nil
}

// DeleteURL takes a function's URL away.
func (s *Service) DeleteURL(scope schema.Scope, name, qualifier string) error {
	if _, err := s.urlOf(scope, name, qualifier); err != nil {
		return err
	}
	_, err := s.update(scope, name, func(d *definition) error {
		if d.URL == nil {
			return awserr.NoFunctionURL()
		}
		d.URL = nil
		return nil
	})
	return err
}

// GetURL returns a function's URL.
func (s *Service) GetURL(scope schema.Scope, name, qualifier string) (URLDocument, error) {
	f, err := s.urlOf(scope, name, qualifier)
	if err != nil {
		return URLDocument{}, err
	}
	d := f.def.Load()
	if d.URL == nil {
		return URLDocument{}, awserr.NoFunctionURL()
	}
	return s.urlDocument(d), nil
}

// ListURLs returns a function's URLs: one or none, since there are no aliases.
func (s *Service) ListURLs(scope schema.Scope, name string) ([]URLDocument, error) {
	f, err := s.urlOf(scope, name, "")
	if err != nil {
		return nil, err
	}
	if d := f.def.Load(); d.URL != nil {
		return []URLDocument{s.urlDocument(d)}, nil
	}
	return []URLDocument{}, nil
}

// urlTime is how AWS writes the times of a function's URL.
const urlTime = "2006-01-02T15:04:05.000000Z"

func (s *Service) urlDocument(d *definition) URLDocument {
	doc := URLDocument{
		FunctionArn: d.arn(), AuthType: d.URL.AuthType, Cors: d.URL.Cors, InvokeMode: "BUFFERED",
		CreationTime: d.URL.Created.UTC().Format(urlTime), LastModifiedTime: d.URL.Modified.UTC().Format(urlTime),
	}
	if s.opts.FrontDoor != nil {
		doc.FunctionURL = s.opts.FrontDoor(urlID(d.Scope, d.Name))
	}
	return doc
}

// urlID is what a function's URL is called: 32 characters, the same for the same
// function at all times.
func urlID(scope schema.Scope, name string) string {
	sum := sha256.Sum256([]byte("url\x00" + scope.Account + "\x00" + scope.Region + "\x00" + name))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:32]
}

// URL is a function's URL as the front door needs it.
type URL struct {
	ID       string
	Scope    schema.Scope
	Function string
	Signed   bool // requests must carry a signature
	Cors     *Cors
}

// FindURL returns the URL of an id.
func (s *Service) FindURL(id string) (URL, bool) {
	s.mu.RLock()
	f := s.urls[id]
	s.mu.RUnlock()
	if f == nil {
		return URL{}, false
	}
	d := f.def.Load()
	if d.URL == nil {
		return URL{}, false
	}
	return URL{ID: id, Scope: d.Scope, Function: d.Name, Signed: d.URL.AuthType == authIAM, Cors: d.URL.Cors}, true
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

// indexURL keeps urls right for a definition that is put in place. mu is held.
func (s *Service) indexURL(f *live, d *definition) {
	if d.URL != nil {
		s.urls[urlID(d.Scope, d.Name)] = f
	} else {
		delete(s.urls, urlID(d.Scope, d.Name))
	}
}
