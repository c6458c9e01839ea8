// Package dev is the development loop: it shows what a server does as one tree for each request (Tree), and tells
// when files have changed (Watcher). It is a client of the server.
package dev

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/admin"
)

// A tree is printed when nothing has been added for quiet after its root has ended; what comes later is printed on
// its own.
const quiet = 250 * time.Millisecond

// patience is the longest that a tree waits for more of it.
const patience = 5 * time.Second

// lookAgain is how often the triggers are asked while one has a failing batch and nothing else happens: records may be
// given up without a call, when they are too old.
const lookAgain = time.Second

// remember is for how long writes are remembered, to find what a trigger was called for.
const remember = 10 * time.Minute

// Tree puts events together and prints them. Its methods may be called at once.
type Tree struct {
	out io.Writer
	// Source names the files in a line of a function's as their source does; nil: as they are.
	Source func(function, line string) string
	// Color has what failed printed in red.
	Color bool
	// ShowFiltered has the records told of that filters refuse.
	ShowFiltered bool
	// Triggers lists the server's triggers; nil: nothing is known of them.
	Triggers func() []admin.Trigger

	mu     sync.Mutex
	roots  []*node          // not printed
	byID   map[string]*node // requests and calls
	writes []*node          // newest last
	orphan map[string][]*node
	timer  *time.Timer
	set    bool // the timer is
	trials trials
}

// node is an event in its tree.
type node struct {
	admin.Activity
	kids    []*node
	parent  *node
	root    bool
	made    time.Time
	touched time.Time
	printed bool
	trial   *trial // of a trigger's call
}

// NewTree returns a tree that prints to out.
func NewTree(out io.Writer) *Tree {
	return &Tree{out: out, byID: map[string]*node{}, orphan: map[string][]*node{}, trials: trials{failing: map[batchName]*failing{}, told: map[lossName]uint64{}}}
}

// Add has an event shown.
func (t *Tree) Add(a admin.Activity) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.Kind == "judged" {
		if n := t.byID[a.ID]; n != nil && n.trial != nil && a.Verdict != nil {
			n.trial.judge(a.Verdict)
		}
		return
	}
	if a.Kind == "missed" {
		fmt.Fprintf(t.out, "... %d events came faster than they could be shown, and are left out\n", a.Records)
		return
	}
	now := time.Now()
	n := &node{Activity: a, made: now, touched: now}
	n.trial = t.trials.add(&n.Activity)
	if a.ID != "" {
		t.byID[a.ID] = n
		// What a call did ends before the call does.
		for _, kid := range t.orphan[a.ID] {
			n.adopt(kid)
		}
		delete(t.orphan, a.ID)
	}
	if a.Kind == "write" {
		t.writes = append(t.writes, n)
		for len(t.writes) > 0 && now.Sub(t.writes[0].Began) > remember {
			t.writes = t.writes[1:]
		}
	}
	switch parent := t.parentOf(n); {
	case parent != nil:
		parent.adopt(n)
		for p := parent; p != nil; p = p.parent {
			p.touched = now
		}
	case a.By != "" && t.byID[a.By] == nil:
		t.orphan[a.By] = append(t.orphan[a.By], n) // what made it has not ended
	default:
		n.root = true
		t.roots = append(t.roots, n)
	}
	t.schedule()
}

func (n *node) adopt(kid *node) {
	kid.parent = n
	n.kids = append(n.kids, kid)
}

// top is the root of a node's tree.
func (n *node) top() *node {
	for n.parent != nil {
		n = n.parent
	}
	return n
}

// parentOf finds what an event belongs under, if that is not printed yet.
func (t *Tree) parentOf(n *node) *node {
	parent := t.byID[n.By]
	if n.By == "" && len(n.Changes) > 0 {
		parent = t.writeOf(n.Changes[0], n.Began)
	}
	if parent == nil || parent.top().printed {
		return nil
	}
	return parent
}

// writeOf finds the newest write before a moment that made a change, or sent a message.
func (t *Tree) writeOf(c admin.CalledFor, before time.Time) *node {
	for _, w := range slices.Backward(t.writes) {
		if c.Message != "" {
			if slices.Contains(w.Sent, c.Message) {
				return w
			}
			continue
		}
		if w.Status == 200 && !w.Began.After(before) && touches(w.Body, c) {
			return w
		}
	}
	return nil
}

type attributes = map[string]json.RawMessage

// touches reports whether a write's request names the item of a change.
func touches(body json.RawMessage, c admin.CalledFor) bool {
	var keys attributes
	if json.Unmarshal(c.Keys, &keys) != nil {
		return false
	}
	for _, i := range itemsOf(body) {
		if i.table == c.Table && matches(i.attributes, keys) {
			return true
		}
	}
	return false
}

func matches(it, keys attributes) bool {
	for name, v := range keys {
		var a, b bytes.Buffer
		if json.Compact(&a, it[name]) != nil || json.Compact(&b, v) != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
			return false
		}
	}
	return len(keys) > 0
}

// written is an item, or its key, that a request names.
type written struct {
	table      string
	attributes attributes
}

// itemsOf lists what a write's request names.
func itemsOf(body json.RawMessage) (items []written) {
	type one struct {
		TableName string
		Item, Key attributes
	}
	var request struct {
		one
		RequestItems map[string][]struct {
			PutRequest    struct{ Item attributes }
			DeleteRequest struct{ Key attributes }
		}
		TransactItems []struct{ Put, Update, Delete one }
	}
	if json.Unmarshal(body, &request) != nil {
		return nil
	}
	add := func(table string, it attributes) {
		if len(it) > 0 {
			items = append(items, written{table, it})
		}
	}
	both := func(o one) {
		add(o.TableName, o.Item)
		add(o.TableName, o.Key)
	}
	both(request.one)
	for _, table := range slices.Sorted(maps.Keys(request.RequestItems)) {
		for _, r := range request.RequestItems[table] {
			add(table, r.PutRequest.Item)
			add(table, r.DeleteRequest.Key)
		}
	}
	for _, i := range request.TransactItems {
		both(i.Put)
		both(i.Update)
		both(i.Delete)
	}
	return items
}

// schedule has what is due printed. The caller holds mu.
func (t *Tree) schedule() {
	if len(t.roots) == 0 && !t.trials.open() && !t.ShowFiltered || t.set {
		return // what comes without end must not put off what is due
	}
	t.set = true
	wait := quiet
	if len(t.roots) == 0 {
		wait = lookAgain
	}
	if t.timer == nil {
		t.timer = time.AfterFunc(wait, t.due)
		return
	}
	t.timer.Reset(wait)
}

func (t *Tree) due() {
	t.mu.Lock()
	failing := t.trials.open() || t.ShowFiltered
	t.mu.Unlock()
	if failing {
		t.Look()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set = false
	now := time.Now()
	t.roots = slices.DeleteFunc(t.roots, func(n *node) bool {
		if now.Sub(n.touched) < quiet && now.Sub(n.made) < patience {
			return false
		}
		t.print(n)
		return true
	})
	for _, line := range t.trials.takeLosses() {
		fmt.Fprintf(t.out, "%s  %s\n", now.Local().Format("15:04:05.000"), line)
	}
	for id, n := range t.byID {
		if n.top().printed && now.Sub(n.touched) > remember {
			delete(t.byID, id)
		}
	}
	for id, kids := range t.orphan {
		if now.Sub(kids[0].made) > remember {
			delete(t.orphan, id)
		}
	}
	t.schedule()
}

// Look asks for the state of the triggers: when they may have changed, and while calls of theirs fail.
func (t *Tree) Look() {
	if t.Triggers == nil {
		return
	}
	all := t.Triggers() // without the lock: it is a call of the server
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trials.know(all, t.ShowFiltered)
}

// Flush prints what has not been printed.
func (t *Tree) Flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.roots {
		t.print(n)
	}
	t.roots = nil
}

func (t *Tree) print(n *node) {
	n.printed = true
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", n.Began.Local().Format("15:04:05.000"), t.painted(n))
	t.printBelow(&b, n, "")
	_, _ = io.WriteString(t.out, b.String()) // a terminal that has gone must not stop the server
}

// painted is a node's title, in red when it failed.
func (t *Tree) painted(n *node) string {
	failed := n.Error != "" || n.trial != nil && n.trial.failed > 0 || n.Status >= 400
	if !t.Color || !failed {
		return n.title()
	}
	return "\x1b[31m" + n.title() + "\x1b[0m"
}

// printBelow prints what is below a node: its log, its error, and what it caused in the order of time.
func (t *Tree) printBelow(b *strings.Builder, n *node, indent string) {
	slices.SortStableFunc(n.kids, func(x, y *node) int { return x.Began.Compare(y.Began) })
	bar := "   "
	if len(n.kids) > 0 {
		bar = "│  "
	}
	details := n.details(t.Source)
	if n.trial != nil && n.trial.again {
		details = nil // the same as before
	}
	for _, line := range details {
		fmt.Fprintf(b, "%s%s%s\n", indent, bar, line)
	}
	for i, kid := range n.kids {
		branch, below := "├─ ", "│  "
		if i == len(n.kids)-1 {
			branch, below = "└─ ", "   "
		}
		fmt.Fprintf(b, "%s%s%s\n", indent, branch, t.painted(kid))
		t.printBelow(b, kid, indent+below)
	}
}

// title says in a line what happened.
func (n *node) title() string {
	took := fmt.Sprintf("%.0f ms", n.Millis)
	if n.Millis < 10 {
		took = fmt.Sprintf("%.1f ms", n.Millis)
	}
	switch n.Kind {
	case "request":
		return fmt.Sprintf("%s -> %d  %s", n.Name, n.Status, took)
	case "write":
		what := n.Name
		if items := itemsOf(n.Body); len(items) == 1 {
			what += " " + items[0].table + " " + brief(items[0].attributes)
		} else if len(items) > 1 {
			what += fmt.Sprintf(" %s and %d more", items[0].table, len(items)-1)
		} else if to := queueOf(n.Body); to != "" {
			what += " " + to
		}
		if n.Status != 200 {
			return fmt.Sprintf("%s  REFUSED (%d)", what, n.Status)
		}
		return what + "  " + took
	}
	what := n.Name
	if c := n.Changes; len(c) > 0 && c[0].Queue != "" {
		what += fmt.Sprintf(" <- %s of %s", messages(max(n.Records, len(c))), c[0].Queue)
	} else if len(c) == 1 {
		what += " <- " + c[0].Event + " " + c[0].Table + " " + compact(c[0].Keys)
	} else if len(c) > 1 {
		what += fmt.Sprintf(" <- %d changes of %s", max(n.Records, len(c)), c[0].Table)
	}
	switch {
	case n.trial != nil && n.trial.failed > 0:
		return what + "  " + n.trial.text(took)
	case n.Error != "":
		return what + "  FAILED after " + took
	case len(n.Failed) > 0 && len(n.Changes) > 0 && n.Changes[0].Queue != "":
		return fmt.Sprintf("%s  named %d as FAILED  %s", what, len(n.Failed), took)
	}
	return what + "  ok  " + took
}

func messages(n int) string {
	if n == 1 {
		return "a message"
	}
	return fmt.Sprintf("%d messages", n)
}

// queueOf is the name of the queue to which a request sends; empty when it does not.
func queueOf(body json.RawMessage) string {
	var request struct{ QueueUrl string }
	if json.Unmarshal(body, &request) != nil {
		return ""
	}
	return request.QueueUrl[strings.LastIndexByte(request.QueueUrl, '/')+1:]
}

const maxBrief = 80

func brief(it attributes) string {
	text, err := json.Marshal(it)
	if err != nil {
		return ""
	}
	return compact(text)
}

func compact(text json.RawMessage) string {
	if s := []rune(string(text)); len(s) > maxBrief {
		return string(s[:maxBrief]) + "..."
	}
	return string(text)
}

// details are a call's log lines, without those of the platform, and where its error points to.
func (n *node) details(sourceOf func(function, line string) string) (lines []string) {
	source := func(line string) string {
		if sourceOf == nil {
			return line
		}
		return sourceOf(n.Name, line)
	}
	for line := range strings.Lines(n.Log) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || platform(line) || n.Error != "" && reported(line) || frame.MatchString(line) && ofRuntime.MatchString(line) {
			continue
		}
		lines = append(lines, "| "+source(prefix.ReplaceAllString(line, "$1")))
	}
	if n.trial != nil && n.trial.note != "" {
		lines = append(lines, "! "+n.trial.note)
	}
	if n.Error == "" {
		return lines
	}
	for line := range strings.Lines(n.Error) {
		if line = strings.TrimRight(line, "\r\n"); n.Kind != "call" {
			lines = append(lines, "! "+line)
		} else if !ofRuntime.MatchString(line) {
			lines = append(lines, "! "+source(line))
		}
	}
	if n.Kind != "call" {
		return lines
	}
	for _, place := range places(n.Answer) {
		lines = append(lines, "!   at "+source(place))
	}
	return lines
}

// prefix is what the runtimes put before a line: the time and the request, which the tree says itself. Node.js has the level behind
// them, Python before.
var prefix = regexp.MustCompile(`^(\[[A-Z]+\]\t)?\d{4}-\d\d-\d\dT[\d:.]+Z\t(?:[0-9a-f-]{36}|undefined)\t`)

// frame matches a line of a stack that a function in Node.js has printed.
var frame = regexp.MustCompile(`^\s+at `)

// reported reports whether a line is the runtime's own report of the error that ended the call: it is shown as such.
// Node.js: time, request, ERROR, "Invoke Error" or the like, document.
func reported(line string) bool {
	fields := strings.SplitN(line, "\t", 5)
	if len(fields) != 5 || fields[2] != "ERROR" || !strings.HasPrefix(fields[4], `{"errorType":`) {
		return false
	}
	switch strings.TrimSpace(fields[3]) {
	case "Invoke Error", "Init Error", "Uncaught Exception", "Unhandled Promise Rejection":
		return true
	}
	return false
}

func platform(line string) bool {
	for _, p := range []string{"START RequestId:", "END RequestId:", "REPORT RequestId:", "INIT_START ", "INIT_REPORT "} {
		if strings.HasPrefix(line, p) {
			return true
		}
	}
	return false
}

// maxPlaces is how much of a stack is shown.
const maxPlaces = 5

// ofRuntime matches a place in the code that runs functions, which is nobody's who reads.
var ofRuntime = regexp.MustCompile(`node:|/runtime/(?:node/\w+\.mjs|python\.py)\b`)

// places are the lines of the stack in an error document, of Node.js (trace, stackTrace) and Python (stackTrace), from the
// innermost on: those of the user's code first, then those of packages.
func places(document json.RawMessage) (out []string) {
	var d struct {
		Trace      []string          `json:"trace"`
		StackTrace []json.RawMessage `json:"stackTrace"`
	}
	if json.Unmarshal(document, &d) != nil {
		return nil
	}
	for _, line := range d.Trace {
		if at, ok := strings.CutPrefix(strings.TrimSpace(line), "at "); ok {
			out = append(out, at)
		}
	}
	for _, raw := range slices.Backward(d.StackTrace) {
		var line string
		if json.Unmarshal(raw, &line) == nil {
			line, _, _ = strings.Cut(strings.TrimSpace(line), "\n")
			out = append(out, line)
		}
	}
	out = slices.DeleteFunc(out, ofRuntime.MatchString)
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(ofPackage(a), ofPackage(b)) })
	return out[:min(len(out), maxPlaces)]
}

// ofPackage is 1 for a place in an installed package, 0 for one in the user's code.
func ofPackage(place string) int {
	if strings.Contains(place, "/node_modules/") || strings.Contains(place, "/site-packages/") {
		return 1
	}
	return 0
}
