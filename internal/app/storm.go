package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/backend/remote"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/server"
	"github.com/millstreamdb/millstream/internal/storm"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// stormNodes is how many nodes there are.
const stormNodes = 3

// A node may take so long to begin, or to make a mapping, and so long, but for four leases if they are less, to end.
const stormMaking, stormEnding = 30 * time.Second, 30 * time.Second

// stormCluster has nodes in this process over tables of its own. They call functions here, and reach the endpoint each by a line of its own, which can be cut.
type stormCluster struct {
	client    *remote.Client // of those that are no nodes
	splitter  *admin.Client  // nil: the endpoint is no Millstream
	own       *remote.OwnTables
	foreign   bool
	lease     time.Duration
	calls     *countedCalls // of the nodes
	began     time.Time
	told      []StormCalls
	storm     *storm.Storm
	items     string
	counts    string // table of counters
	streamARN string
	scope     schema.Scope

	mu    sync.Mutex
	nodes map[int]*stormNode
	last  int
	ended sync.WaitGroup // nodes, and what is late of theirs
}

// runStorm is the storm, over tables that it removes.
func runStorm(ctx context.Context, client *remote.Client, foreign bool, o VerifyOptions, transactions bool) (r *StormReport, err error) {
	c := &stormCluster{own: client.OwnTables(), foreign: foreign, lease: o.Lease, nodes: map[int]*stormNode{}}
	taken := &bill{next: client.HTTP.Transport}
	c.calls = &countedCalls{next: taken, calls: map[string]*server.TablesCalls{}}
	billed := *client
	billed.HTTP = &http.Client{Transport: taken}
	c.client = &billed
	defer func() { err = errors.Join(err, c.own.Remove(ctx)) }()
	defer c.end()
	if o.Begins != nil {
		o.Begins(c.own.Prefix(), stormEstimate(&o))
	}
	if c.items, c.streamARN, err = c.own.Make(ctx, "items", remote.NewTable{Partition: "pk", Stream: "NEW_IMAGE"}); err != nil {
		return nil, err
	}
	so := storm.Options{Length: o.Storm, Lease: o.Lease, Rate: o.Rate, Patience: o.patience, Put: c.put, Progress: o.Progress, Over: c.asked}
	if o.over != nil {
		so.Over = func() { c.asked(); o.over() }
	}
	if transactions {
		if c.counts, _, err = c.own.Make(ctx, "counts", remote.NewTable{Partition: "pk"}); err != nil {
			return nil, err
		}
		so.Counted = c.counted
	}
	c.storm = storm.New(so)
	if err := c.own.MakeNodes(ctx, remote.New(remote.Options{Endpoint: client, Polled: foreign, Prefix: c.own.Prefix()})); err != nil {
		return nil, err
	}
	var is bool
	if c.scope, _, _, is = arn.Stream(c.streamARN); !is {
		return nil, fmt.Errorf("%q is not the name of a stream: no trigger takes it", c.streamARN)
	}
	if !foreign {
		if c.splitter, err = admin.New(admin.Options{Endpoint: client.URL, Account: c.scope.Account, Region: c.scope.Region, Credentials: client.Credentials, HTTP: client.HTTP}); err != nil {
			return nil, err
		}
	}
	c.began = time.Now()
	for range stormNodes {
		if err := c.start(); err != nil {
			return nil, err
		}
	}
	uuids := map[string]string{}
	for _, function := range c.storm.Functions() {
		settings, tags := storm.Settings(function)
		making, cancel := context.WithTimeout(ctx, stormMaking)
		m, err := c.Asked().Create(making, c.scope, mapping.CreateRequest{Settings: settings, Tags: tags, EventSourceArn: &c.streamARN, StartingPosition: new("TRIM_HORIZON")})
		cancel()
		if err != nil {
			return nil, fmt.Errorf("an event source mapping cannot be made: %w", err)
		}
		uuids[function] = m.UUID
	}
	shards, err := client.Describe(ctx, c.streamARN)
	if err != nil {
		return nil, err
	}
	r = &StormReport{}
	splitting, stop := context.WithCancel(ctx)
	defer stop()
	split := make(chan struct{})
	go func() {
		defer close(split)
		r.Splits, r.NotSplit = c.split(splitting, o.Storm)
	}()
	found, err := c.storm.Run(ctx, c, uuids)
	stop()
	<-split
	if err != nil {
		return nil, err
	}
	r.Report, r.Calls, r.Cost = *found, c.told, taken.cost()
	now, err := client.Describe(ctx, c.streamARN)
	for _, s := range now.Shards {
		if !slices.ContainsFunc(shards.Shards, func(was remote.DescribedShard) bool { return was.ID == s.ID }) {
			r.NewShards++
		}
	}
	return r, err
}

// stormSplits is how often a shard is split in a storm, at equal times.
const stormSplits = 3

// split splits shards of the stream while the storm goes on, where that can be asked for. why: what is in the way.
func (c *stormCluster) split(ctx context.Context, length time.Duration) (splits int, why string) {
	if c.splitter == nil {
		return 0, "the endpoint has no operation that splits a shard"
	}
	for splits < stormSplits {
		select {
		case <-time.After(length / (stormSplits + 1)):
		case <-ctx.Done():
			return splits, why
		}
		try, cancel := context.WithTimeout(ctx, stormMaking)
		_, err := c.splitter.SplitShards(try, c.items, splits+2)
		cancel()
		if ctx.Err() != nil {
			return splits, why
		}
		if err != nil {
			return splits, err.Error()
		}
		splits++
	}
	return splits, ""
}

// asked notes what the nodes have asked of the endpoint since they began.
func (c *stormCluster) asked() {
	seconds := time.Since(c.began).Seconds()
	c.calls.mu.Lock()
	defer c.calls.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(c.calls.calls)) {
		n := c.calls.calls[name]
		all := n.OK + n.Refused + n.Failed
		c.told = append(c.told, StormCalls{Operation: name, Calls: all, Refused: n.Refused, Failed: n.Failed, PerSecond: float64(all) / seconds})
	}
}

// put writes an item the nth time.
func (c *stormCluster) put(ctx context.Context, key string, n int) error {
	err := c.client.Do(ctx, "PutItem", storm.Item(c.items, key, n), nil)
	if remote.CodeOf(err) == "ConditionalCheckFailedException" { // an earlier try was applied
		return nil
	}
	return err
}

func (c *stormCluster) counted(ctx context.Context, counter string) (int, error) {
	var out struct{ Item map[string]struct{ N string } }
	if err := c.client.Do(ctx, "GetItem", storm.Get(c.counts, counter), &out); err != nil || out.Item == nil {
		return 0, err
	}
	return strconv.Atoi(out.Item["n"].N)
}

// stormNode is a node.
type stormNode struct {
	c      *stormCluster
	id     int
	line   *stormLine
	engine *trigger.Engine
	stop   context.CancelFunc
	dead   atomic.Bool
}

// start starts a node.
func (c *stormCluster) start() error {
	c.mu.Lock()
	c.last++
	n := &stormNode{c: c, id: c.last, line: newStormLine(c.calls, &c.ended)}
	c.mu.Unlock()
	client := *c.client
	client.HTTP = &http.Client{Transport: n.line}
	var endpoint remote.Endpoint = &client
	if c.foreign {
		endpoint = remote.NewPolled(&client, DefaultPollIdle)
	}
	log := slog.New(slog.DiscardHandler)
	b := remote.New(remote.Options{Endpoint: endpoint, Polled: c.foreign, Prefix: c.own.Prefix(), Lease: c.lease, Drain: c.lease / 2, Log: log, Elapsed: sinceBoot()})
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	making, made := context.WithTimeout(ctx, stormMaking)
	defer made()
	err := client.MakeTables(making, b) // they are there: it looks for the bell
	if err == nil {
		n.engine, err = trigger.New(making, trigger.Options{Backend: b, Invoker: n, Log: log, CommitInterval: DefaultCheckpointEvery})
	}
	if err != nil {
		stop()
		return fmt.Errorf("a node does not begin: %w", err)
	}
	c.ended.Go(func() { _ = n.engine.Run(ctx) }) // a node that is cut off may end with an error
	<-n.engine.Ready()
	c.mu.Lock()
	c.nodes[n.id] = n
	c.mu.Unlock()
	return nil
}

// Resolve implements trigger.Invoker.
func (n *stormNode) Resolve(_ context.Context, scope schema.Scope, name string) (string, error) {
	return scope.FunctionARN(name), nil
}

// Invoke implements trigger.Invoker.
func (n *stormNode) Invoke(_ context.Context, functionARN string, event []byte) lane.Result {
	if n.dead.Load() {
		return lane.Result{Outcome: lane.NotDelivered, Error: "the node was killed", Withdrawn: true}
	}
	answer, err := n.c.storm.Call(functionARN[strings.LastIndex(functionARN, ":")+1:], n.id, event, n.c.counts)
	if err != nil {
		return lane.Result{Outcome: lane.FunctionError, Error: err.Error()}
	}
	return lane.Result{Payload: answer}
}

// IDs implements storm.Nodes.
func (c *stormCluster) IDs() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.nodes))
}

func (c *stormCluster) node(id int) *stormNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[id]
}

// Kill implements storm.Nodes: it calls nobody any more, and nothing of it reaches the endpoint, but for what may be on its way.
func (c *stormCluster) Kill(id int) error {
	n := c.node(id)
	n.dead.Store(true)
	n.line.set(lineCut)
	n.stop()
	c.mu.Lock()
	delete(c.nodes, id)
	c.mu.Unlock()
	return c.start()
}

// Pause implements storm.Nodes: it goes on, and does not reach the endpoint.
func (c *stormCluster) Pause(id int) error {
	c.node(id).line.set(lineHeld)
	return nil
}

// Resume implements storm.Nodes.
func (c *stormCluster) Resume(id int) error {
	c.node(id).line.set(lineOpen)
	return nil
}

// Asked implements storm.Nodes.
func (c *stormCluster) Asked() *trigger.Engine {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[slices.Max(slices.Collect(maps.Keys(c.nodes)))].engine
}

// end ends all nodes, and waits until nothing of them reaches the endpoint. One that does not end, since the endpoint does not answer it, is cut off. What such a
// one has on its way is not waited for long: it finds no tables.
func (c *stormCluster) end() {
	c.mu.Lock()
	for _, n := range c.nodes {
		n.line.set(lineOpen)
		n.stop()
	}
	c.mu.Unlock()
	ended := make(chan struct{})
	go func() { c.ended.Wait(); close(ended) }()
	for range 2 {
		select {
		case <-ended:
			return
		case <-time.After(min(4*c.lease, stormEnding)):
		}
		c.mu.Lock()
		for _, n := range c.nodes {
			n.line.set(lineCut)
		}
		c.mu.Unlock()
	}
}

// States of a line.
const (
	lineOpen = iota
	lineHeld // requests are sent late, or not at all, and answers come late
	lineCut  // for good
)

// stormLine is a node's way to the endpoint.
type stormLine struct {
	next http.RoundTripper
	late *sync.WaitGroup // requests that nobody waits for

	mu    sync.Mutex
	state int
	moved chan struct{} // closed at the next change
}

func newStormLine(next http.RoundTripper, late *sync.WaitGroup) *stormLine {
	return &stormLine{next: next, late: late, moved: make(chan struct{})}
}

func (l *stormLine) set(state int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = state
	close(l.moved)
	l.moved = make(chan struct{})
}

var errLineCut = errors.New("the node is cut off")

// wait returns when the line is open, cut or ctx over.
func (l *stormLine) wait(ctx context.Context) error {
	for {
		l.mu.Lock()
		state, moved := l.state, l.moved
		l.mu.Unlock()
		switch state {
		case lineOpen:
			return nil
		case lineCut:
			return errLineCut
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *stormLine) held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state == lineHeld
}

// RoundTrip implements http.RoundTripper. While the line is held, a request waits; or it is sent, and its answer waits; or, if it is a write, it is sent when the
// line is open again, though its sender has long given up.
func (l *stormLine) RoundTrip(r *http.Request) (*http.Response, error) {
	how := 0
	if l.held() {
		how = rand.IntN(3)
	}
	if how == 1 && stormWrites[r.Header.Get("X-Amz-Target")] {
		return nil, l.sendLate(r)
	}
	if how < 2 {
		if err := l.wait(r.Context()); err != nil {
			_ = r.Body.Close()
			return nil, err
		}
	}
	resp, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if err := l.wait(r.Context()); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

var stormWrites = map[string]bool{
	"DynamoDB_20120810.PutItem": true, "DynamoDB_20120810.UpdateItem": true, "DynamoDB_20120810.DeleteItem": true, "DynamoDB_20120810.TransactWriteItems": true,
}

// sendLate has a request be sent when the line is open. It returns when its sender gives up.
func (l *stormLine) sendLate(r *http.Request) error {
	body, err := r.GetBody()
	_ = r.Body.Close()
	if err != nil {
		return err
	}
	sending, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), time.Minute)
	late := r.Clone(sending)
	late.Body = body
	l.late.Go(func() {
		defer cancel()
		if l.wait(sending) != nil {
			_ = body.Close()
			return
		}
		if resp, err := l.next.RoundTrip(late); err == nil {
			_ = resp.Body.Close()
		}
	})
	<-r.Context().Done()
	return r.Context().Err()
}
