package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// Functions are what the front door leads to.
type Functions interface {
	// Invoke runs a function. failed says that answer is an error document; err that
	// the function was not reached.
	Invoke(ctx context.Context, scope schema.Scope, c Call) (answer []byte, failed bool, err error)
	// URL returns the function URL of an id, Sole the only one that there is.
	URL(id string) (FunctionURL, bool)
	Sole() (FunctionURL, bool)
}

// Call is one call of a function.
type Call struct {
	Function string
	Event    []byte
	Trace    string // X-Ray's header of the request; may be empty
	// Stream takes the answer of a function that streams it, from one goroutine and not after Invoke
	// has returned; nil: it is gathered. A Write that fails says that nobody reads any more.
	Stream Stream
}

// Stream takes an answer piece by piece.
type Stream interface {
	// Begin is called once, before anything is written.
	Begin(version, contentType string)
	Write(piece []byte) (int, error)
}

// FunctionURL is the part of a function that the front door needs.
type FunctionURL struct {
	ID       string
	Scope    schema.Scope
	Function string
	Signed   bool // AuthType AWS_IAM: requests must carry a signature
	Streams  bool // InvokeMode RESPONSE_STREAM: answers are passed on as they come
	CORS     *CORS
}

// Options of Open.
type Options struct {
	Store     *store.Store
	Shared    Shared // keeps the APIs in the place of Store; nil: they are this machine's
	Functions Functions
	Endpoint  func() string // the front door's URL; empty while it is closed
	Now       func() time.Time
	Logger    *slog.Logger
	// Signed reports whether a request to a function URL that asks for AWS_IAM is signed by a key of the account; nil: a signature of
	// the right form will do.
	Signed func(r *http.Request, account string) bool
	// Patient: answers are waited for as long as they take, for who debugs.
	Patient bool
}

// Service holds the APIs of all scopes and answers for them. Its methods may be
// called by many goroutines at once.
type Service struct {
	opts Options

	// control serialises changes: held over the write of a row and the change in
	// memory. Taken before mu.
	control sync.Mutex
	mu      sync.RWMutex     // guards byID
	byID    map[string]*live // values never change

	versions map[string]uint64 // of rows of the Shared, by key; guarded by control
}

// live is an API ready to answer.
type live struct {
	scope       schema.Scope
	api         API
	routes      []*compiled
	authorizers map[string]*authorizer // by name
}

func newLive(scope schema.Scope, api API) (*live, error) {
	l := &live{scope: scope, api: api, authorizers: map[string]*authorizer{}}
	for i := range l.api.Authorizers {
		a, err := newAuthorizer(&l.api.Authorizers[i], api.Kind)
		if err != nil {
			return nil, err
		}
		l.authorizers[a.Name] = a
	}
	for i := range l.api.Routes {
		c, err := compile(&l.api.Routes[i])
		if err != nil {
			return nil, err
		}
		l.routes = append(l.routes, c)
	}
	return l, nil
}

// Open brings the APIs up from the store.
func Open(o Options) (*Service, error) {
	s := &Service{opts: o, byID: map[string]*live{}, versions: map[string]uint64{}}
	if o.Shared != nil {
		return s, s.openShared()
	}
	return s, o.Store.Each([]byte{store.SpaceGateway}, s.load)
}

// An API's row: SpaceGateway ‖ account ‖ 0 ‖ region ‖ 0 ‖ name, and as value a
// version byte and the API as JSON.
const rowVersion = 1

func rowKey(scope schema.Scope, name string) []byte {
	return append([]byte{store.SpaceGateway}, scope.Account+"\x00"+scope.Region+"\x00"+name...)
}

func (s *Service) load(key, value []byte) error {
	parts := strings.SplitN(string(key[1:]), "\x00", 3)
	if len(value) == 0 || value[0] != rowVersion || len(parts) != 3 {
		return fmt.Errorf("gateway: an API has an unknown format: it was written by a newer release")
	}
	var api API
	if err := json.Unmarshal(value[1:], &api); err != nil {
		return fmt.Errorf("gateway: decode an API: %w", err)
	}
	l, err := newLive(schema.Scope{Account: parts[0], Region: parts[1]}, api)
	if err != nil {
		return fmt.Errorf("gateway: API %s: %w", parts[2], err)
	}
	s.byID[apiID(l.scope, api.Name)] = l
	return nil
}

// Put makes an API, or replaces the one of its name. It is durable on return. The
// error is an *Error when the API is refused.
func (s *Service) Put(scope schema.Scope, api API) (API, error) {
	if err := check(&api); err != nil {
		return API{}, err
	}
	api.ID, api.URL = "", ""
	l, err := newLive(scope, api)
	if err != nil {
		return API{}, err
	}
	body, err := json.Marshal(api)
	if err != nil {
		return API{}, err
	}
	if err := s.opts.Store.Admit(); err != nil {
		return API{}, err
	}
	s.control.Lock()
	defer s.control.Unlock()
	if err := s.write(scope, api.Name, body); err != nil {
		return API{}, err
	}
	s.mu.Lock()
	s.byID[apiID(scope, api.Name)] = l
	s.mu.Unlock()
	return s.shown(l), nil
}

// Delete removes an API.
func (s *Service) Delete(scope schema.Scope, name string) error {
	s.control.Lock()
	defer s.control.Unlock()
	if s.get(apiID(scope, name)) == nil {
		return &Error{Text: "there is no API " + name, NotFound: true}
	}
	if err := s.write(scope, name, nil); err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.byID, apiID(scope, name))
	s.mu.Unlock()
	return nil
}

// write stores an API, or with nil removes it. control is held.
func (s *Service) write(scope schema.Scope, name string, body []byte) error {
	if s.opts.Shared != nil {
		return s.writeShared(scope, name, body)
	}
	b := s.opts.Store.NewBatch()
	defer b.Close()
	if body == nil {
		b.Delete(rowKey(scope, name))
	} else {
		b.Set(rowKey(scope, name), append([]byte{rowVersion}, body...))
	}
	return s.opts.Store.Write(b)
}

// List returns a scope's APIs by name.
func (s *Service) List(scope schema.Scope) []API {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := []API{}
	for _, l := range s.byID {
		if l.scope == scope {
			all = append(all, s.shown(l))
		}
	}
	slices.SortFunc(all, func(a, b API) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (s *Service) shown(l *live) API {
	api := l.api
	api.ID = apiID(l.scope, api.Name)
	api.URL = Address(s.opts.Endpoint(), api.ID)
	return api
}

// Address is where an API or a function URL is reached; empty while the front door
// is closed.
func Address(endpoint, id string) string {
	if endpoint == "" {
		return ""
	}
	return endpoint + "/" + id + "/"
}

func (s *Service) get(id string) *live {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byID[id]
}

// sole returns the only API there is, nil when there are none or several.
func (s *Service) sole() (only *live, several bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.byID) > 1 {
		return nil, true
	}
	for _, l := range s.byID {
		only = l
	}
	return only, false
}
