package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/api/admin"
	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/backend/remote"
	"github.com/millstreamdb/millstream/internal/bucket"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/gateway"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/server"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/worker"
)

// Defaults of Options, for nodes.
const (
	DefaultTablePrefix     = "millstream-"
	DefaultLease           = 10 * time.Second
	DefaultDrain           = 30 * time.Second
	DefaultCheckpointEvery = time.Second
	DefaultPollIdle        = time.Second
)

// node is what a server has that works over the tables of another (Options.Tables). It runs functions and triggers, and hands
// everything else to that server as it came.
type node struct {
	*remote.Backend // with ResolveStream and Load, which look tags up first
	client          *remote.Client
	polled          *remote.Polled // nil: the tables' server is a Millstream
	signed          *http.Client   // signs as this node, for Millstream's own protocol: at the tables' server
	toPeers         *http.Client   // the same, at other nodes
	there           *url.URL       // the tables' server
	log             *slog.Logger
	forward         *forward
	events          *eventLogs
	calls           *countedCalls
	router          *router
	objects         func(ctx context.Context, account, bucket, key string, most int64) ([]byte, error)
	engineTold      func(streamARN string) // that tags of its table may have changed
	name            string
	foreign         bool   // the tables' server is no Millstream
	url             string // how others reach it; at an address of loopback only those on the same machine do
	machine         string
	ofFunctions     *function.Credentials // what they sign with; nil: nothing that is verified

	mu   sync.Mutex
	tags map[string]map[string]string // of tables, by the ARN of their stream
}

// peerDial is how long a connection to another node may take to be made, with its TLS: nodes stand near each other, and one of which the machine is gone, whose
// address takes no connection, is not to hold up a call.
const peerDial = time.Second

// forPeers is a transport like another, which gives up soon where nobody answers.
func forPeers(like *http.Transport) *http.Transport {
	t := like.Clone()
	t.DialContext = (&net.Dialer{Timeout: peerDial, KeepAlive: 30 * time.Second}).DialContext
	t.TLSHandshakeTimeout = 2 * peerDial
	return t
}

// CheckTables says what is wrong with a URL of tables.
func CheckTables(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return fmt.Errorf("tables %q: want the URL of a Millstream, such as http://127.0.0.1:8000", text)
	}
	return nil
}

// refuseNode refuses what a node does not keep, or cannot do yet. serve says the same of its flags.
func (o *Options) refuseNode() error {
	for name, set := range map[string]bool{
		"Durability": o.Durability != "" && o.Durability != "sync", "LogCap": o.LogCap != 0 && o.LogCap != DefaultLogCap, "RecoveryCap": o.RecoveryCap != 0,
		"ShardRoll": o.ShardRoll != 0, "StatusDelay": o.StatusDelay != 0, "ManualClock": o.ManualClock, "AcceptLoss": o.AcceptLoss, "Replicate": o.Replicate != "",
		"AllowStandby": o.AllowStandby, "ResumeTriggers": o.ResumeTriggers,
		"RootKey": o.RootKey != "", "RootSecret": o.RootSecret != "",
	} {
		if set {
			return fmt.Errorf("%s does not go with Tables: a node keeps no tables, and no access keys", name)
		}
	}
	return nil
}

// openNode makes this server a node, before functions are opened.
func (s *App) openNode() error {
	o := &s.opts
	if err := CheckTables(o.Tables); err != nil {
		return err
	}
	there, err := url.Parse(o.Tables)
	if err != nil {
		return err
	}
	if err := s.refuseServersFolder(); err != nil {
		return err
	}
	if o.KeyFile != "" { // before another node seals with a key that this one has not read
		if err := s.seals.Make(); err != nil {
			return err
		}
	}
	keys, err := chainOf(o.Account)
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if transport.TLSClientConfig, err = trusted(os.Getenv("AWS_CA_BUNDLE")); err != nil {
		return err
	}
	transport.MaxIdleConnsPerHost, transport.MaxIdleConns, transport.DisableCompression = 256, 1024, true
	calls := &countedCalls{next: transport, calls: map[string]*server.TablesCalls{}}
	client := &remote.Client{URL: strings.TrimSuffix(o.Tables, "/"), Region: o.Region, Credentials: keys, HTTP: &http.Client{Transport: calls}}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	n := &node{client: client, calls: calls, there: there, log: o.Logger, tags: map[string]map[string]string{}, engineTold: func(streamARN string) { s.engine.TagsChanged(streamARN) }}
	n.signed = &http.Client{Transport: signer{keys, o.Region, transport}}
	n.toPeers = &http.Client{Transport: signer{keys, o.Region, forPeers(transport)}}
	n.url, n.name = o.Advertise, nodeName(cmp.Or(o.LinkEndpoint, o.Endpoint)) // with TLS functions come in by another port
	only := ""
	if boot := worker.MachineBoot(); boot != nil {
		n.machine, _ = boot()
		if u, err := url.Parse(o.Endpoint); n.url == "" && err == nil && net.ParseIP(u.Hostname()).IsLoopback() {
			n.url, only = o.Endpoint, n.machine
		}
	}
	if s.auth.Mode != server.AuthOff {
		if err := n.checkLine(o.InsecureListen); err != nil {
			return err
		}
	}
	if n.foreign, err = n.isForeign(ctx, s.auth.Mode); err != nil {
		return err
	}
	var endpoint remote.Endpoint = client
	if n.foreign {
		n.polled = remote.NewPolled(client, o.PollIdle)
		n.polled.Log = o.Logger
		endpoint = n.polled
	}
	n.Backend = remote.New(remote.Options{
		Endpoint: endpoint, Polled: n.foreign, Prefix: o.TablePrefix, Lease: o.Lease, Drain: o.Drain, URL: n.url, Machine: only, Name: n.name, Version: o.Version,
		Elapsed: sinceBoot(), Log: o.Logger,
		Seen: func() { s.functions.Replace() },
		// Nothing is told before the engine runs: the functions are there by then.
		Told: func(d remote.Document) {
			if row, ok := apiRow(d); ok {
				if err := s.gateway.Told(row); err != nil {
					o.Logger.Error("an API that another node has changed cannot be taken over", "api", row.Key, "error", err)
				}
			}
			row, ok := functionRow(d)
			if !ok {
				return
			}
			if err := s.functions.Told(row); err != nil {
				o.Logger.Error("a function that another node has changed cannot be taken over", "function", row.Key, "error", err)
			}
		},
	})
	n.events = &eventLogs{b: n.Backend, every: o.Lease / 4, log: o.Logger, made: make(chan struct{}), read: map[string]bool{}}
	s.destinations.Own, s.destinations.OwnTopic = nil, nil
	s.destinations.Elsewhere = &aws.Config{Region: o.Region, Credentials: keys, BaseEndpoint: aws.String(client.URL), HTTPClient: client.HTTP}
	n.router = &router{n: n}
	n.objects = s.destinations.Object
	n.forward = &forward{to: there, http: transport, auth: s.auth, log: o.Logger}
	if s.auth.Mode != server.AuthOff {
		if err := n.checkKeys(ctx); err != nil {
			return err
		}
	}
	if err := client.MakeTables(ctx, n.Backend); err != nil {
		return err
	}
	if n.foreign {
		if err := client.Probe(ctx, n.Backend); err != nil {
			return err
		}
	}
	if o.FunctionCredentials == "inherit" {
		c, err := keys.Retrieve(ctx)
		if err != nil {
			return fmt.Errorf("--function-credentials inherit: %w", err)
		}
		if c.CanExpire {
			return errors.New("--function-credentials inherit: this node's credentials end, and a function that runs cannot be given new ones: use an access key that does not")
		}
		n.ofFunctions = &function.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Foreign: true}
	}
	s.node = n
	return nil
}

// refuseServersFolder refuses a folder that has been a server's. Nobody would reach what is there, and functions would be removed, since the nodes' own
// table does not name them. A node's folder has code, logs and the settings of log groups.
func (s *App) refuseServersFolder() error {
	const why = "%s has %s, which nobody would reach while --tables names another server: name another folder (--data)"
	if n := s.tables.Count(); n > 0 {
		return fmt.Errorf(why, s.opts.Dir, fmt.Sprintf("%d tables", n))
	}
	found, err := s.store.Holds(store.SpaceMeta, store.SpaceControl, store.SpaceLogGroup)
	if err != nil {
		return err
	}
	if s.opts.Dir != "" {
		buckets, err := filepath.Glob(filepath.Join(s.opts.Dir, "artifacts", "objects", "*"))
		if err != nil {
			return err
		}
		if len(buckets) > 0 {
			found = append(found, "objects of buckets")
		}
	}
	if len(found) > 0 {
		return fmt.Errorf(why, s.opts.Dir, strings.Join(found, ", "))
	}
	return nil
}

// join returns once this node is one of those that a change is answered after: what it read when functions were opened may be old by then.
func (s *App) join() {
	late := time.NewTimer(s.opts.Lease)
	defer late.Stop()
	select {
	case <-s.node.events.made: // which joined before
	case <-s.workers.Failed():
	case <-late.C:
		s.opts.Logger.Warn("the tables' server does not take this node in yet; until it does, functions may be called as they were before their last change", "waited", s.opts.Lease)
	}
}

// isForeign reports whether the tables are on another engine than Millstream: it does not answer Millstream's own protocol. One that does not answer
// at all now is asked again for a few seconds.
func (n *node) isForeign(ctx context.Context, mode server.AuthMode) (bool, error) {
	for tries := 5; ; tries-- {
		resp, answer, err := n.askVersion(ctx)
		if err != nil {
			return false, fmt.Errorf("the tables' server is not reached (--tables): %w", err)
		}
		var v wire.Version
		millstream := json.Unmarshal(answer, &v) == nil && v.Protocol > 0
		switch status := resp.StatusCode; {
		case status == http.StatusOK && millstream:
			return false, nil
		case (status == http.StatusForbidden || status == http.StatusUnauthorized) && resp.Header.Get("X-Amzn-Errortype") != "":
			if mode == server.AuthOff {
				n.log.Warn("the tables' server verifies signatures, and this node does not: whoever reaches it may change and call functions (--auth on)")
			}
			return false, nil
		case status == http.StatusOK, status == http.StatusNotFound, status == http.StatusBadRequest, status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented:
			if mode != server.AuthOff {
				return false, fmt.Errorf("%s is no Millstream, which alone tells nodes what access keys sign with: leave --auth out", n.client.URL)
			}
			n.log.Warn("the tables are not on a Millstream: their streams are polled, and what else does not work there is in docs/scale-out.md (millstream verify finds out what the engine can do)", "tables", n.client.URL)
			return true, nil
		case status < 500 && status != http.StatusTooManyRequests || tries == 1:
			return false, fmt.Errorf("%s answers %s to GET %sversion, as neither a Millstream nor another engine does (--tables): %.200s", n.client.URL, resp.Status, admin.Prefix, answer)
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func (n *node) askVersion(ctx context.Context) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.client.URL+admin.Prefix+"version", nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := n.client.HTTP.Do(r)
	if err != nil {
		return nil, nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return resp, answer, errors.Join(err, resp.Body.Close())
}

// chainOf are the credentials with which a node calls the tables' server: AWS's usual ones, or where there are none those that a server takes
// that verifies no signatures.
func chainOf(account string) (aws.CredentialsProvider, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		if os.Getenv(name) != "" {
			c, err := config.LoadDefaultConfig(ctx)
			if err != nil {
				return nil, fmt.Errorf("credentials for the tables' server: %w", err)
			}
			return c.Credentials, nil
		}
	}
	return credentials.NewStaticCredentialsProvider(account, "millstream", ""), nil
}

// trusted has a client trust the authorities of a file, as AWS's SDKs do; empty: the system's.
func trusted(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: %w", err)
	}
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	if !c.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: %s has no certificate", file)
	}
	return c, nil
}

// nodeName is how people know a node: its machine and its port.
func nodeName(endpoint string) string {
	host, err := os.Hostname()
	if u, urlErr := url.Parse(endpoint); err == nil && urlErr == nil && u.Port() != "" {
		return net.JoinHostPort(host, u.Port())
	}
	return host
}

// sinceBoot is the time since this machine was started, with what it slept.
func sinceBoot() func() time.Duration {
	boot := worker.MachineBoot()
	if boot == nil {
		return nil
	}
	return func() time.Duration {
		_, d := boot()
		return d
	}
}

const functionPrefix = "f#"

func functionRow(d remote.Document) (function.SharedRow, bool) {
	key, ok := strings.CutPrefix(d.Key, functionPrefix)
	return function.SharedRow{Key: key, Body: d.Body, Version: d.Version, Gone: d.Gone}, ok
}

const apiPrefix = "a#"

func apiRow(d remote.Document) (gateway.SharedRow, bool) {
	key, ok := strings.CutPrefix(d.Key, apiPrefix)
	return gateway.SharedRow{Key: key, Body: d.Body, Version: d.Version, Gone: d.Gone}, ok
}

// sharedAPIs implements gateway.Shared.
type sharedAPIs struct{ n *node }

func (a sharedAPIs) All(ctx context.Context) (all []gateway.SharedRow, err error) {
	docs, err := a.n.Documents(ctx)
	for _, d := range docs {
		if row, ok := apiRow(d); ok {
			all = append(all, row)
		}
	}
	return all, err
}

func (a sharedAPIs) Put(ctx context.Context, r gateway.SharedRow) (uint64, error) {
	v, err := a.n.PutDocument(ctx, remote.Document{Key: apiPrefix + r.Key, Body: r.Body, Version: r.Version})
	if errors.Is(err, backend.ErrStale) {
		err = gateway.ErrStale
	}
	return v, err
}

// sharedFunctions implements function.Shared.
type sharedFunctions struct{ n *node }

func (f sharedFunctions) All(ctx context.Context) (all []function.SharedRow, err error) {
	docs, err := f.n.Documents(ctx)
	for _, d := range docs {
		if row, ok := functionRow(d); ok {
			all = append(all, row)
		}
	}
	return all, err
}

func (f sharedFunctions) Put(ctx context.Context, r function.SharedRow) (uint64, error) {
	v, err := f.n.PutDocument(ctx, remote.Document{Key: functionPrefix + r.Key, Body: r.Body, Version: r.Version})
	if errors.Is(err, backend.ErrStale) {
		err = function.ErrStale
	}
	return v, err
}

func (f sharedFunctions) PutCode(ctx context.Context, hash string, zip []byte) error {
	return f.n.PutBlob(ctx, hash, zip)
}
func (f sharedFunctions) Code(ctx context.Context, hash string) ([]byte, error) {
	return f.n.Blob(ctx, hash)
}

// change has functions kept where all nodes have them.
func (n *node) change(o *function.Options) {
	o.Shared, o.SharedEvents, o.Placing, o.DataEndpoint = sharedFunctions{n}, n.events, n.router, func() string { return n.client.URL }
	if n.ofFunctions != nil {
		o.Credentials = func(schema.Scope) function.Credentials { return *n.ofFunctions }
	}
	o.Object = func(account, name, key string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return n.objects(ctx, account, name, key, bucket.MaxObject)
	}
}

// Settings of tables are tags there. They are looked up before a mapping is made or taken over, and now and then while its stream is worked here.
const tagsEvery = 30 * time.Second

// ResolveStream implements backend.Log.
func (n *node) ResolveStream(ctx context.Context, streamARN string) (backend.Stream, error) {
	stream, err := n.Backend.ResolveStream(ctx, streamARN)
	if err == nil {
		err = n.lookUpTags(ctx, streamARN)
	}
	if n.foreign { // there are engines with a region of their own, whatever they are asked in
		stream.Scope.Region = n.client.Region
	}
	return stream, err
}

// Load implements backend.Shared.
func (n *node) Load(ctx context.Context, c backend.Claim, uuid string) (map[string]lane.Checkpoint, error) {
	if err := n.lookUpTags(ctx, c.Stream()); err != nil {
		return nil, err
	}
	return n.Backend.Load(ctx, c, uuid)
}

func (n *node) lookUpTags(ctx context.Context, streamARN string) error {
	scope, table, _, ok := arn.Stream(streamARN)
	if !ok {
		return nil
	}
	tags, err := n.client.Tags(ctx, scope.ARN("dynamodb", "table/"+table))
	if err != nil {
		return fmt.Errorf("the tags of the table %s: %w", table, err)
	}
	n.mu.Lock()
	n.tags[streamARN] = tags
	n.mu.Unlock()
	n.engineTold(streamARN)
	return nil
}

// keepTags looks tags up again while streams are worked here.
func (n *node) keepTags(ctx context.Context) error {
	tick := time.NewTicker(tagsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, stream := range n.Held() {
			if err := n.lookUpTags(ctx, stream); err != nil && ctx.Err() == nil {
				n.log.Warn("the settings of a table are not looked up anew", "stream", stream, "error", err)
			}
		}
	}
}

// sweepEvery is how often one of the nodes looks for packages of code that no function names. A node does so between one and two of sweepSoon after its start: none
// may live for an hour.
const (
	sweepEvery = time.Hour
	sweepSoon  = 2 * time.Minute
)

// onRounds does something soon and then again and again until ctx ends.
func onRounds(ctx context.Context, soon, every time.Duration, do func()) {
	next := time.NewTimer(soon + rand.N(soon))
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		do()
		next.Reset(every)
	}
}

// sweepCode removes packages of code that nobody has named for a day.
func (n *node) sweepCode(ctx context.Context) error {
	onRounds(ctx, sweepSoon, sweepEvery, func() {
		if !n.Chosen("packages of code") {
			return
		}
		try, cancel := context.WithTimeout(ctx, sweepEvery/2)
		removed, err := n.SweepBlobs(try, time.Now(), packagesOf)
		cancel()
		if err != nil && ctx.Err() == nil {
			n.log.Warn("packages of code that no function names are kept on", "error", err)
		} else if removed > 0 {
			n.log.Info("removed packages of code that no function has named for a day", "packages", removed)
		}
	})
	return nil
}

// packagesOf are the packages that a document names.
func packagesOf(d remote.Document) ([]string, error) {
	if row, ok := functionRow(d); ok {
		return row.Packages()
	}
	if _, ok := apiRow(d); ok {
		return nil, nil
	}
	return nil, fmt.Errorf("what %s names is not known to this release", d.Key)
}

func (n *node) tagsOf(streamARN string) map[string]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tags[streamARN]
}

// Services that are the tables' server's. The others run functions, or deploy some, and would run them there: they are refused by name.
var (
	forwardedServices = []string{"sqs", "s3", "iam", "ssm", "ecr"}
	refusedServices   = map[string]string{
		"cloudformation": "CloudFormation's stacks are not supported", "events": "EventBridge's schedules are not supported",
		"scheduler": "EventBridge's schedules are not supported", "sns": "SNS is not supported",
	}
)

// services are those of a node, of which it keeps logs itself.
func (n *node) services(own map[string]http.Handler) map[string]http.Handler {
	all := map[string]http.Handler{"logs": own["logs"]}
	for _, name := range forwardedServices {
		all[name] = n.forward.signed(own[name])
	}
	for name, what := range refusedServices {
		all[name] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			server.Refuse(w, r, name, &awserr.Error{Code: "UnsupportedOperationException", Message: what + " by a node (serve --tables)."})
		})
	}
	return all
}

// Parts of Millstream's own protocol, by what follows its prefix.
var (
	ownParts       = []string{"version", "status", "triggers", "parked", "settle", "logs", "invoke", "code", "runtimes", "activity", "console", "nodes", "apis"}
	forwardedParts = []string{"tail", "shards", "queues", "deployments", "tables"}
)

// adminDoor answers for Millstream's own protocol.
func (n *node) adminDoor(own, call http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		part, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, admin.Prefix), "/")
		if part == callPart {
			call.ServeHTTP(w, r)
			return
		}
		if asked := r.URL.Query().Get(askedNode); part == "settle" && asked != "" && asked != n.ID() {
			admin.Refuse(w, "This is the node "+n.ID()+", and not "+asked+".")
			return
		}
		for _, p := range ownParts {
			if part == p {
				if part == "triggers" || part == "apis" { // a trigger's change is done by the node that works it
					n.agreeing(own).ServeHTTP(w, r)
				} else {
					own.ServeHTTP(w, r)
				}
				return
			}
		}
		for _, p := range forwardedParts {
			if part == p {
				n.forward.ServeHTTP(w, r)
				return
			}
		}
		admin.Refuse(w, "A node does not answer "+r.Method+" "+r.URL.Path+": ask the server of the tables, "+n.client.URL+".")
	})
}

// agreeing has changes of functions and mappings answered once each node has them.
func (n *node) agreeing(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Fresh(r.Context())
		if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "invocations") && !strings.HasSuffix(strings.Trim(r.URL.Path, "/"), "invoke-async") {
			w = &agreed{ResponseWriter: w, agree: func() { n.Agree(r.Context()) }}
		}
		h.ServeHTTP(w, r)
	})
}

// agreed waits before the first byte of an answer.
type agreed struct {
	http.ResponseWriter
	agree func()
	begun bool
}

func (a *agreed) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *agreed) WriteHeader(status int) {
	if !a.begun && status < 300 {
		a.agree()
	}
	a.begun = true
	a.ResponseWriter.WriteHeader(status)
}

func (a *agreed) Write(b []byte) (int, error) {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(b)
}

// settle waits until the triggers of all nodes have passed the heads that there are now.
func (s *App) settleNodes(ctx context.Context) error {
	for {
		before, err := s.node.Owners(ctx)
		if err != nil {
			return err
		}
		peers, err := s.node.peers(ctx)
		if err != nil {
			return err
		}
		var all sync.WaitGroup
		errs := make([]error, len(peers)+1)
		all.Go(func() { errs[len(peers)] = s.engine.SettleHere(ctx) })
		for i, p := range peers {
			all.Go(func() { errs[i] = s.node.settleThere(ctx, p) })
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			if slices.ContainsFunc(peers, func(p admin.Peer) bool { return len(p.Streams) > 0 && p.URL == "" }) || errs[len(peers)] != nil {
				return err
			}
			// Who works a stream has died, perhaps: others do soon.
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-ctx.Done():
				return err
			}
		}
		statuses, err := s.engine.Statuses(ctx)
		if err != nil {
			return err
		}
		after, err := s.node.Owners(ctx)
		if err != nil {
			return err
		}
		// What has changed hands meanwhile, or is in nobody's, is looked at again.
		moved := slices.ContainsFunc(statuses, func(st trigger.MappingStatus) bool {
			owner := after[st.StreamARN]
			return st.Enabled && !st.Paused && (owner == "" || owner != before[st.StreamARN])
		})
		if !moved {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// askedNode names the process that is meant: behind the same URL there may be another by now, which works nothing.
const askedNode = "node"

// settleThere is it for the streams of another node.
func (n *node) settleThere(ctx context.Context, p admin.Peer) error {
	if len(p.Streams) == 0 {
		return nil
	}
	var timeout time.Duration = time.Minute
	if until, ok := ctx.Deadline(); ok {
		timeout = max(time.Until(until), time.Millisecond)
	}
	q := url.Values{"timeout": {timeout.String()}, askedNode: {p.ID}}
	resp, err := admin.Ask(ctx, n.toPeers, p, http.MethodPost, "settle", q)
	if err != nil {
		return fmt.Errorf("the node %s works streams, and is not asked: %w", p.Name, err)
	}
	defer resp.Body.Close()
	var answer wire.Settled
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if !answer.Settled {
		return context.DeadlineExceeded
	}
	return nil
}

// nodes lists all nodes for Millstream's own protocol.
func (s *App) nodes(ctx context.Context) ([]wire.Node, bool, error) {
	if s.node == nil {
		return nil, false, nil
	}
	found, err := s.node.Nodes(ctx)
	all := make([]wire.Node, len(found))
	for i, n := range found {
		all[i] = wire.Node{ID: n.ID, Name: n.Name, URL: n.URL, Version: n.Version, Began: n.Began, State: "over", Here: n.Here, Streams: n.Streams}
		if n.Lives {
			all[i].State = "alive"
			if n.Drained && len(n.Streams) > 0 {
				all[i].State = "draining"
			} else if n.Drained {
				all[i].State = "drained"
			}
		}
		if n.Streams == nil {
			all[i].Streams = []string{}
		}
	}
	return all, true, err
}

// drain has a node, by its id or name, give up what it works, or with off take part again.
func (s *App) drain(ctx context.Context, name string, off bool) error {
	if s.node == nil {
		return errors.New("this server keeps its tables itself, and knows no nodes: ask one of those that run with serve --tables")
	}
	found, err := s.node.Nodes(ctx)
	if err != nil {
		return err
	}
	able := 0
	var which []remote.NodeInfo
	for _, n := range found {
		if n.Lives && (n.ID == name || n.Name == name) {
			which = append(which, n)
		} else if n.Lives && !n.Drained {
			able++
		}
	}
	switch {
	case len(which) == 0:
		return fmt.Errorf("no node that lives has the id or name %s: `millstream nodes ls` lists them", name)
	case len(which) > 1:
		return fmt.Errorf("%d nodes that live have the name %s: say the id of one", len(which), name)
	case able == 0 && !off:
		return fmt.Errorf("no other node would take over what %s works", name)
	}
	return s.node.Drain(ctx, which[0].ID, !off)
}

// peers are the other nodes that live.
func (n *node) peers(ctx context.Context) (all []admin.Peer, err error) {
	found, err := n.Nodes(ctx)
	for _, o := range found {
		if !o.Lives || o.Here {
			continue
		}
		p := admin.Peer{ID: o.ID, Name: o.Name, Streams: o.Streams}
		if o.Machine == "" || o.Machine == n.machine {
			p.URL = o.URL
		}
		all = append(all, p)
	}
	return all, err
}
