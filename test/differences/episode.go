package differences

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// episodeLength is the number of requests of an episode, its first tables and the
// last deletions included.
const episodeLength = 250

// weight is how often the grammar makes a request of a kind.
type weight struct {
	share int
	needs Features
	make  func(g *gen) []*Request
}

func one(make func(g *gen) *Request) func(g *gen) []*Request {
	return func(g *gen) []*Request { return []*Request{make(g)} }
}

var weights = []weight{
	{12, 0, one((*gen).putItem)},
	{18, 0, one((*gen).updateItem)},
	{6, 0, one((*gen).deleteItem)},
	{6, 0, one((*gen).getItem)},
	{10, 0, one((*gen).query)},
	{8, 0, one((*gen).scan)},
	{3, 0, one((*gen).batchGet)},
	{4, 0, one((*gen).batchWrite)},
	{2, 0, one((*gen).describe)},
	{2, 0, one((*gen).updateTable)},
	{1, 0, (*gen).recreate},
	{1, Streams, (*gen).streamWalk},
	{6, Transactions, one((*gen).transactWrite)},
	{2, Transactions, one((*gen).transactGet)},
	{4, Legacy, one((*gen).legacyWrite)},
	{4, Legacy, one((*gen).legacyRead)},
	{6, PartiQL, one((*gen).partiql)},
	{1, TTL, one((*gen).timeToLive)},
	{1, Tags, one((*gen).tag)},
	{3, PartiQL | Indexes, one((*gen).statementOnIndex)},
	{1, Indexes, (*gen).multiKeys},
	{1, Indexes, one((*gen).vectors)},
	{2, Transactions | Indexes, one((*gen).emptyIndexKey)},
}

// requests makes all requests of an episode: the tables, the grammar's, faults of
// the wire, recipes, and the deletion of the tables.
func requests(seed uint64, episode int, features Features) []*Request {
	g := newGen(seed, episode, features)
	var out []*Request
	for range 3 {
		t := g.newShape()
		g.tables = append(g.tables, t)
		out = append(out,
			&Request{Op: "CreateTable", Body: t.create(g)},
			&Request{Op: "DescribeTable", Body: object{"TableName": t.name}})
	}
	total := 0
	for _, w := range weights {
		if w.needs&^features == 0 {
			total += w.share
		}
	}
	recipes := recipesOf(features)
	for len(out) < episodeLength-3 {
		if g.chance(25) {
			recipe := recipes[g.IntN(len(recipes))]
			r := recipe.make(g)
			if r.Aim == "" {
				r.Aim = recipe.row
			}
			out = append(out, r)
			continue
		}
		at := g.IntN(total)
		for _, w := range weights {
			if w.needs&^features != 0 {
				continue
			}
			if at -= w.share; at < 0 {
				made := w.make(g)
				if len(made) == 1 && g.chance(6) {
					made[0] = g.mutate(made[0])
				}
				out = append(out, made...)
				break
			}
		}
	}
	if features.has(Indexes) && g.chance(10) {
		out = append(out, g.indexWalk()...)
	}
	for _, t := range g.tables {
		out = append(out, &Request{Op: "DeleteTable", Body: object{"TableName": t.name}})
	}
	return out
}

// Difference is a request that the endpoints answered differently.
type Difference struct {
	Seed    uint64
	Episode int
	Index   int
	Request *Request
	Mine    *Answer
	Other   *Answer
	// Remade tells that its table was made again, to make the endpoints equal, or that
	// its token was taken by one of them alone.
	Remade bool
	// Indexed tells that its table was made with indexes.
	Indexed bool
	// Streamed tells that its table was given a stream, or lost it, later.
	Streamed bool
	// OtherPayload tells that its token was used before, for another payload.
	OtherPayload bool
	// Classes explain it, empty: nothing does.
	Classes []string
	rest    *Difference // what the classes leave of it, when they do not explain it
}

func (d *Difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "episode %d request %d", d.Episode, d.Index)
	if d.Request.Aim != "" {
		fmt.Fprintf(&b, " (%s)", d.Request.Aim)
	}
	fmt.Fprintf(&b, "\n  %s %s", d.Request.Op, encode(d.Request.Body))
	if d.Request.Mangle != nil {
		fmt.Fprintf(&b, "\n  mangled: %+v", *d.Request.Mangle)
	}
	fmt.Fprintf(&b, "\n  millstream: %s\n  other:      %s\n", d.Mine, d.Other)
	return b.String()
}

// player runs episodes against both endpoints.
type player struct {
	mine, other *endpoint
	report      *Report
	made        map[string]*Request // the CreateTable of each table that there may be
	remade      map[string]bool
	streamed    map[string]bool   // tables that were given a stream later
	tokens      map[string]bool   // of transactions that only one endpoint carried out
	payloads    map[string]string // of transactions that Millstream carried out, by their tokens
}

func newPlayer(mineURL, otherURL string, account int, client *http.Client, report *Report) *player {
	return &player{mine: newEndpoint(mineURL, account, client), other: newEndpoint(otherURL, account, client), report: report}
}

// play sends requests and returns the differences, explained and not. Where the
// endpoints have come to hold different data, it makes them equal again.
func (p *player) play(ctx context.Context, requests []*Request) ([]*Difference, error) {
	p.mine.forget()
	p.other.forget()
	p.made, p.remade, p.streamed, p.tokens = map[string]*Request{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	p.payloads = map[string]string{}
	var out []*Difference
	for i, r := range requests {
		d, err := p.compare(ctx, r)
		if err == nil && r.Op == "CreateTable" && r.Mangle == nil {
			if name, ok := r.Body["TableName"].(string); ok && p.made[name] == nil {
				p.made[name] = r
			}
		}
		if err == nil {
			if r.Op == "UpdateTable" && r.Body["StreamSpecification"] != nil {
				p.streamed[r.table()] = true
			}
			if d != nil && (d.diverges() || r.Op == "BatchExecuteStatement" && d.Mine.failed()) {
				err = p.heal(ctx, r) // dynoxide carries statements out that it refuses
			} else {
				for _, update := range updatesOf(r) {
					if err == nil && (r.Mangle != nil || removesOnly(update)) {
						err = p.healItem(ctx, update, update["Key"])
					}
				}
			}
		}
		if err != nil {
			return out, fmt.Errorf("request %d: %w", i, err)
		}
		if d != nil {
			d.Index = i
			out = append(out, d)
		}
	}
	return out, p.clean(ctx)
}

// compare sends one request to both endpoints at once.
func (p *player) compare(ctx context.Context, r *Request) (*Difference, error) {
	if r.alone() {
		answer, err := p.mine.do(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("millstream: %w", err)
		}
		p.report.count(r, answer)
		return nil, nil
	}
	type result struct {
		answer *Answer
		err    error
	}
	theirs := make(chan result, 1)
	go func() {
		answer, err := p.other.do(ctx, r)
		theirs <- result{answer, err}
	}()
	mine, err := p.mine.do(ctx, r)
	other := <-theirs
	if err != nil {
		return nil, fmt.Errorf("millstream: %w: %s", err, encode(r.Body))
	}
	if other.err != nil {
		return nil, fmt.Errorf("dynoxide: %w: %s", other.err, encode(r.Body))
	}
	if mine == nil || other.answer == nil {
		return nil, nil // one has not answered what the request refers to
	}
	p.report.count(r, mine)
	if r.Streams && p.remade[r.table()] {
		return nil, nil // each server has its own streams of the table before it
	}
	token, _ := r.Body["ClientRequestToken"].(string)
	payload := p.payloads[token]
	if token != "" && payload == "" && !mine.failed() {
		p.payloads[token] = r.String()
	}
	if mine.equal(other.answer) {
		return nil, nil
	}
	d := &Difference{Request: r, Mine: mine, Other: other.answer, Remade: p.remade[r.table()] || p.tokens[token],
		OtherPayload: payload != "" && payload != r.String()}
	d.Streamed = p.streamed[r.table()]
	d.Indexed = p.indexed(r.table())
	tables, _ := r.Body["RequestItems"].(object)
	for name := range tables {
		d.Indexed = d.Indexed || p.indexed(name)
	}
	d.Classes = explain(d)
	return d, nil
}

// indexed reports whether a table was made with indexes.
func (p *player) indexed(table string) bool {
	made := p.made[table]
	return made != nil && (made.Body["GlobalSecondaryIndexes"] != nil || made.Body["LocalSecondaryIndexes"] != nil)
}

// reads are operations that change nothing.
var reads = []string{"GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems", "DescribeTable", "ListTables", "DescribeLimits",
	"DescribeTimeToLive", "ListTagsOfResource", "ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"}

// diverges reports whether the endpoints may hold different data after it.
func (d *Difference) diverges() bool {
	if slices.Contains(reads, d.Request.Op) {
		return false
	}
	return d.Mine.failed() != d.Other.failed() || !d.Mine.failed() && len(d.Classes) == 0 && !strings.HasSuffix(d.Request.Op, "Table")
}

// heal makes the endpoints hold the same data after a request that only one of them
// carried out.
func (p *player) heal(ctx context.Context, r *Request) error {
	name := r.table()
	if token, ok := r.Body["ClientRequestToken"].(string); ok {
		p.tokens[token] = true
	}
	switch r.Op {
	case "PutItem":
		if it, ok := r.Body["Item"].(object); ok && p.made[name] != nil {
			k := object{}
			for _, e := range p.made[name].Body["KeySchema"].(list) {
				attribute := e.(object)["AttributeName"].(string)
				k[attribute] = it[attribute]
			}
			return p.healItem(ctx, r.Body, k)
		}
	case "UpdateItem", "DeleteItem":
		return p.healItem(ctx, r.Body, r.Body["Key"])
	case "CreateTable":
		delete(p.made, name)
		return p.drop(ctx, name)
	case "UpdateTable", "DeleteTable":
		return p.remake(ctx, name)
	}
	for _, name := range slices.Sorted(maps.Keys(p.made)) {
		if err := p.remake(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// healItem gives an item to dynoxide as Millstream has it. Where a stream
// would tell of that, the table is made again instead.
func (p *player) healItem(ctx context.Context, of object, key any) error {
	get := &Request{Op: "GetItem", Body: object{"TableName": of["TableName"], "Key": key, "ConsistentRead": true}}
	name := get.table()
	mine, err := p.mine.do(ctx, get)
	if err != nil || mine == nil {
		return err
	}
	other, err := p.other.do(ctx, get)
	if err != nil || other == nil {
		return err
	}
	if mine.failed() || other.failed() {
		return p.remake(ctx, name)
	}
	other.Body = plainNumbers(other.Body)
	if mine.equal(other) {
		return nil
	}
	if made := p.made[name]; made == nil || made.Body["StreamSpecification"] != nil || p.streamed[name] {
		return p.remake(ctx, name)
	}
	put := &Request{Op: "DeleteItem", Body: object{"TableName": of["TableName"], "Key": key}}
	if it, there := mine.Body.(object)["Item"]; there {
		put = &Request{Op: "PutItem", Body: object{"TableName": of["TableName"], "Item": it}}
	}
	_, err = p.other.do(ctx, put)
	return err
}

// remake drops a table and makes it again, empty, on both.
func (p *player) remake(ctx context.Context, name string) error {
	made := p.made[name]
	if made == nil {
		return nil
	}
	p.remade[name] = true
	if err := p.drop(ctx, name); err != nil {
		return err
	}
	for _, e := range []*endpoint{p.mine, p.other} {
		if _, err := e.do(ctx, made); err != nil {
			return err
		}
	}
	return nil
}

// drop deletes a table on both, protected or not.
func (p *player) drop(ctx context.Context, name string) error {
	for _, e := range []*endpoint{p.mine, p.other} {
		for _, r := range []*Request{
			{Op: "UpdateTable", Body: object{"TableName": name, "DeletionProtectionEnabled": false}},
			{Op: "DeleteTable", Body: object{"TableName": name}},
		} {
			if _, _, err := e.post(ctx, r, encode(r.Body)); err != nil {
				return err
			}
		}
	}
	return nil
}

// clean deletes what tables there are, so that an account can be used again.
func (p *player) clean(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(p.made)) {
		if err := p.drop(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
