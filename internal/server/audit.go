package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/door"
)

// Audit is a file of its own with a line of JSON for each call that changes or shows how the server is set up, and for each that
// was refused for its signature. What is done to items, messages and objects, and calls of functions, are not in it; nor is
// anything of a request but the names that Event has. Its methods may be called by many goroutines at once, and on nil.
type Audit struct {
	path string
	now  func() time.Time
	fail func(error) // told of what could not be written

	mu   sync.Mutex // guards the following
	file *os.File
	size int64
	// What may be many has so many lines a second, so that it cannot drive all others out: who is refused, and who looks.
	refusals, looks paced
}

// paced counts lines of one kind.
type paced struct {
	most       int
	second     time.Time // in which those told are counted
	told, more int       // more have been left out since the last line
}

// line reports whether there is a line for what happens now, and how many had none since the last.
func (p *paced) line(now time.Time) (before int, ok bool) {
	if now.Sub(p.second).Abs() >= time.Second {
		p.second, p.told = now, 0
	}
	if p.told++; p.told > p.most {
		p.more++
		return 0, false
	}
	before, p.more = p.more, 0
	return before, true
}

// Event is a line of the audit file. Members are only ever added.
type Event struct {
	Time      time.Time `json:"time"`
	Kind      string    `json:"kind"` // call, or refused
	Mode      string    `json:"mode"` // of --auth
	Account   string    `json:"account,omitempty"`
	Key       string    `json:"key,omitempty"` // the access key's id, as it was claimed
	From      string    `json:"from"`          // an address, or socket
	Service   string    `json:"service"`
	Operation string    `json:"operation,omitempty"`
	Path      string    `json:"path,omitempty"`     // of services that have paths, with the method before it
	Resource  string    `json:"resource,omitempty"` // the name or ARN that the request is about, where it is at its usual place
	Code      string    `json:"code"`               // OK, or the error that was answered
	Millis    int64     `json:"millis"`
	Agent     string    `json:"agent,omitempty"`
	Before    int       `json:"andBefore,omitempty"` // calls of the kind (refused, or that change nothing) that have no line of their own, since the last one that has
}

const (
	auditFileSize = 64 << 20 // bytes, from which on another file is begun
	auditFiles    = 10       // are kept: the file itself, and FILE.1, the youngest, to FILE.9
	maxAuditText  = 256      // of what a caller has sent
	maxRefusals   = 20       // lines a second
	maxLooks      = 5        // the same, of calls that change nothing: a day of them is a fifth of the files
)

// OpenAudit opens or makes the file, for its owner alone. fail is told of each event that could not be written.
func OpenAudit(path string, now func() time.Time, fail func(error)) (*Audit, error) {
	a := &Audit{path: path, now: now, fail: fail, refusals: paced{most: maxRefusals}, looks: paced{most: maxLooks}}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return a, a.open()
}

func (a *Audit) open() error {
	file, err := os.OpenFile(a.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	st, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("audit: %w", err), file.Close())
	}
	a.file, a.size = file, st.Size()
	return nil
}

// Close closes the file.
func (a *Audit) Close() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return nil
	}
	file := a.file
	a.file = nil
	return file.Close()
}

// write adds an event. It is in the file when a caller is answered, but not on the disk for certain.
func (a *Audit) write(e Event) {
	if a == nil {
		return
	}
	e.Time = a.now().UTC()
	for _, text := range []*string{&e.Account, &e.Key, &e.Operation, &e.Path, &e.Resource, &e.Code, &e.Agent} {
		if len(*text) > maxAuditText {
			*text = strings.ToValidUTF8((*text)[:maxAuditText], "") + "..."
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if kind := a.pace(&e); kind != nil {
		var ok bool
		if e.Before, ok = kind.line(e.Time); !ok {
			return
		}
	}
	line, err := json.Marshal(e)
	if err != nil { // no member can fail
		a.fail(err)
		return
	}
	line = append(line, '\n')
	if a.size+int64(len(line)) > auditFileSize {
		err = a.rotate()
	}
	if a.file == nil && err == nil {
		err = a.open()
	}
	if err == nil {
		var n int
		n, err = a.file.Write(line)
		a.size += int64(n)
	}
	if err != nil {
		a.fail(err)
	}
}

// pace is that of an event's kind; nil: each has a line.
func (a *Audit) pace(e *Event) *paced {
	switch {
	case e.Kind == refusedCall:
		return &a.refusals
	case looks(e):
		return &a.looks
	}
	return nil
}

// looks reports whether a call changes nothing, by the name of its operation or the method before its path.
func looks(e *Event) bool {
	if e.Path != "" {
		return strings.HasPrefix(e.Path, "GET ") || strings.HasPrefix(e.Path, "HEAD ")
	}
	if e.Operation == "GetSessionToken" { // it hands out credentials
		return false
	}
	for _, verb := range [...]string{"Describe", "List", "Get", "Validate"} {
		if strings.HasPrefix(e.Operation, verb) {
			return true
		}
	}
	return false
}

// rotate renames the files, and lets go of the oldest. mu is held.
func (a *Audit) rotate() error {
	if a.file != nil {
		_ = a.file.Close() // all that was written was answered
		a.file = nil
	}
	name := func(i int) string { return a.path + "." + strconv.Itoa(i) }
	for i := auditFiles - 1; i > 0; i-- {
		from := a.path
		if i > 1 {
			from = name(i - 1)
		}
		if err := os.Rename(from, name(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// onData are the operations on what is in tables, which are not audited: they are counted.
var onData = map[string]bool{}

func init() {
	for _, op := range strings.Fields(`BatchExecuteStatement BatchGetItem BatchWriteItem DeleteItem ExecuteStatement ExecuteTransaction GetItem PutItem
		Query Scan SearchVectors TransactGetItems TransactWriteItems UpdateItem DescribeStream GetRecords GetShardIterator ListStreams`) {
		onData[op] = true
	}
	for _, op := range strings.Fields(`SendMessage SendMessageBatch ReceiveMessage DeleteMessage DeleteMessageBatch ChangeMessageVisibility
		ChangeMessageVisibilityBatch Publish PublishBatch GetLogEvents FilterLogEvents GetCallerIdentity Invoke InvokeAsync InvokeWithResponseStream`) {
		onData[op] = true
	}
}

// audited makes the event of a request before it is served, while its body is there; ok is false for one that is not audited.
func (s *Server) audited(kind route, r *http.Request, op *operation, trusted bool) (e Event, ok bool) {
	if s.config.Audit == nil {
		return e, false
	}
	e = Event{Kind: "call", Service: op.api, Operation: op.name, Agent: r.UserAgent(), From: origin(addressOf(r))}
	switch kind {
	case routeAdmin:
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			return e, false
		}
		e.Path = r.Method + " " + r.URL.Path
	case routeLambda:
		e.Path = r.Method + " " + r.URL.Path
	case routeService:
		e.Operation = named(r)
		switch op.api {
		case "s3":
			bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
			if key != "" || r.Method == http.MethodGet || r.Method == http.MethodHead {
				return e, false
			}
			e.Operation, e.Resource = r.Method, bucket
		case "scheduler":
			e.Path = r.Method + " " + r.URL.Path
		}
	case routeDynamoDB:
		if op == s.metrics.sts {
			e.Operation = named(r)
		}
	}
	if onData[e.Operation] {
		return e, false
	}
	if body, is := r.Body.(*readAgain); is && e.Resource == "" {
		e.Resource = resourceOf(body.all)
	}
	if trusted {
		e.From = "socket"
	}
	return e, true
}

// audit writes the event of a request that was served.
func (s *Server) audit(e Event, r *http.Request, code string, took time.Duration) {
	e.Mode, e.Code, e.Millis = s.config.Auth.Mode.String(), code, took.Milliseconds()
	if c, refused := readClaim(r); refused == nil {
		e.Key = keyName(c.accessKey)
		if e.Account = s.config.Auth.scope(&c).Account; s.verifies() && code == "OK" {
			if caller, verified := s.config.Auth.Verified(r); verified {
				e.Account = caller.Account
			}
		}
	}
	s.config.Audit.write(e)
}

// named is the operation that a request of a service names, in its target, its form or its address.
func named(r *http.Request) string {
	if _, op, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return op
	}
	if body, is := r.Body.(*readAgain); is && len(body.all) <= SmallBody {
		if form, err := url.ParseQuery(string(body.all)); err == nil && form.Has("Action") {
			return form.Get("Action")
		}
	}
	return r.URL.Query().Get("Action")
}

// resourceNames are the members that say what a request is about.
type resourceNames struct {
	TableName, TableArn, SourceTableName, TargetTableName, BackupArn, ResourceArn, ResourceARN     string
	FunctionName, QueueName, QueueUrl, TopicArn, StackName, RoleName, PolicyName, Name, Rule, UUID string
}

// resourceOf finds what a small request in JSON or a form is about; empty: it is not said at the usual places.
func resourceOf(body []byte) string {
	if len(body) > SmallBody {
		return ""
	}
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		var n resourceNames
		_ = json.Unmarshal(body, &n) // who reads it refuses it
		for _, name := range []string{
			n.TableName, n.TableArn, n.TargetTableName, n.SourceTableName, n.BackupArn, n.ResourceArn, n.ResourceARN, n.FunctionName, n.QueueName, n.QueueUrl, n.TopicArn,
			n.StackName, n.RoleName, n.PolicyName, n.Name, n.Rule, n.UUID,
		} {
			if name != "" {
				return name
			}
		}
		return ""
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ""
	}
	for _, name := range []string{"TopicArn", "Name", "StackName", "RoleName", "PolicyName", "RoleArn", "QueueName", "QueueUrl"} {
		if v := form.Get(name); v != "" {
			return v
		}
	}
	return ""
}

// addressOf is the address that a request came from; the zero one when it came by none, as by a socket of the data folder.
func addressOf(r *http.Request) netip.Addr {
	if p := door.PeerOf(r.Context()); p != nil {
		return p.Addr()
	}
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	return from.Addr()
}

func origin(from netip.Addr) string {
	if !from.IsValid() {
		return "socket"
	}
	return from.String()
}

// auditQuick is audited for a request of the door's kind.
func (s *Server) auditQuick(r *door.Request, op *operation, code string, took time.Duration) {
	if s.config.Audit == nil || onData[op.name] {
		return
	}
	e := Event{
		Kind: "call", Mode: s.config.Auth.Mode.String(), From: origin(r.Peer.Addr()), Service: op.api, Operation: op.name, Resource: resourceOf(r.Body), Code: code, Millis: took.Milliseconds(),
	}
	r.Headers(func(name, value []byte) bool {
		if strings.EqualFold(string(name), "user-agent") {
			e.Agent = string(value)
		}
		return true
	})
	if c, refused := headerClaim(string(r.Authorization), string(r.Date)); refused == nil {
		e.Key, e.Account = keyName(c.accessKey), s.config.Auth.scope(&c).Account
		if s.verifies() && code == "OK" {
			p := plainPool.Get().(*plain)
			defer p.put()
			p.claim = c
			if caller, refused := s.config.Auth.verifyPlain(r, p); refused == nil {
				e.Account = caller.Account
			}
		}
	}
	s.config.Audit.write(e)
}

const refusedCall = "refused"

// auditRefusal tells of a request that was refused for its signature, or would be.
func (a *Authenticator) auditRefusal(c *claim, e *awserr.Error) {
	a.Audit.write(Event{Kind: refusedCall, Mode: a.Mode.String(), Key: keyName(c.accessKey), From: origin(c.from), Service: short(c.service), Code: e.Code})
}
