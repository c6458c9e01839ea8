package table

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/partiql"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
)

// PartiQL statements become the requests that say the same, and take their paths.

// StatementResult answers ExecuteStatement. Items is what a SELECT found, or what
// RETURNING shows of a write.
type StatementResult struct {
	Items            []item.Item
	NextToken        string    // empty: absent
	LastEvaluatedKey item.Item // nil: absent
	Capacity         *Capacity
}

// BatchStatementResult answers BatchExecuteStatement, in the order asked.
type BatchStatementResult struct {
	Responses []StatementResponse
	Capacity  []*Capacity
}

// StatementResponse answers one statement of a batch: Error, or Item unless nil.
type StatementResponse struct {
	Table string // empty: not known
	Item  item.Item
	Error *awserr.Error // its Code is the short form, such as "ValidationError"
}

// TransactionResult answers ExecuteTransaction: items in the order of the reads;
// none for writes.
type TransactionResult struct {
	Items    []item.Item
	Capacity []*Capacity
}

// plan is a statement with what its table says of it.
type plan struct {
	text   *request.StatementText
	s      *partiql.Statement
	keys   *schema.Keys
	read   *schema.Keys // of the index, where a SELECT names one
	source *source      // the index, where a SELECT names one
}

func (p *plan) common(c request.ReturnConsumedCapacity) request.Common {
	return request.Common{TableName: p.s.Table, Requested: p.s.Table, ReturnConsumedCapacity: c}
}

// prepare parses a statement and finds its table.
func (db *DB) prepare(ctx context.Context, scope schema.Scope, text *request.StatementText) (*plan, error) {
	if text.Invalid != nil {
		return nil, text.Invalid
	}
	s, e := partiql.Parse(text.Text, text.Parameters)
	if e != nil {
		return nil, e
	}
	return db.locate(ctx, scope, text, s)
}

func (db *DB) locate(ctx context.Context, scope schema.Scope, text *request.StatementText, s *partiql.Statement) (*plan, error) {
	p := &plan{text: text, s: s}
	t, err := db.lookup(ctx, scope, s.Table)
	if err != nil {
		return p, err
	}
	p.keys = &t.desc.Load().def.Keys
	p.read = p.keys
	if s.Index == "" {
		return p, nil
	}
	var e *awserr.Error
	if p.source, e = db.source(t, s.Index); e != nil {
		if p.source == nil {
			e = awserr.StatementIndexNotFound()
		}
		return p, e
	}
	return p, nil
}

// readIndex holds a SELECT against the index that it names, if any.
func (p *plan) readIndex() *awserr.Error {
	src := p.source
	if src == nil {
		return nil
	}
	if len(src.hash) > 1 || len(src.rng) > 1 {
		return awserr.StatementMultiKeys()
	}
	p.read = &schema.Keys{Hash: src.hash[0]}
	if len(src.rng) > 0 {
		p.read.Range = src.rng[0]
	}
	return nil
}

// checkIndex checks what a SELECT asks of the index that it names: a global one has
// only what it projects. A filter sees only that of either kind, and where the
// partition key is given, AWS refuses one that reads more.
func (p *plan) checkIndex(read *partiql.Read) *awserr.Error {
	src := p.source
	switch {
	case src == nil:
		return nil
	case !src.x.Local && p.text.ConsistentRead:
		return awserr.StatementConsistentIndex()
	}
	if list := src.missing(read.Projection.Attributes()); len(list) > 0 && !src.x.Local {
		return awserr.NotProjected(src.x.Name, list)
	}
	if list := src.missing(read.Filter.Attributes()); len(list) > 0 && read.Keyed {
		return awserr.FilterNotProjected(src.x.Name, list)
	}
	return nil
}

// ExecuteStatement does one statement.
func (db *DB) ExecuteStatement(ctx context.Context, scope schema.Scope, r *request.ExecuteStatement) (*StatementResult, error) {
	p, err := db.prepare(ctx, scope, &r.StatementText)
	if err != nil {
		return nil, err
	}
	switch p.s.Verb {
	case partiql.Exists:
		return nil, awserr.ExistsOutside()
	case partiql.Select:
		return db.selectItems(ctx, scope, p, r)
	}
	res, err := db.write(ctx, scope, p, r.ReturnConsumedCapacity)
	if e, ok := errors.AsType[*awserr.Error](err); ok && e.Item != nil {
		hashed := *e
		hashed.Hashed = true
		err = &hashed
	}
	if err != nil {
		return nil, err
	}
	out := &StatementResult{Capacity: res.Capacity, Items: []item.Item{}}
	if res.Attributes != nil {
		out.Items = []item.Item{res.Attributes}
	}
	return out, nil
}

// write does an INSERT, UPDATE or DELETE.
func (db *DB) write(ctx context.Context, scope schema.Scope, p *plan, c request.ReturnConsumedCapacity) (*WriteResult, error) {
	w, e := p.s.Action(p.keys, true)
	if e != nil {
		return nil, e
	}
	common, returnOld := p.common(c), p.text.ReturnOldOnConditionFailure
	switch w.Action {
	case request.TransactPut:
		res, err := db.PutItem(ctx, scope, &request.PutItem{Common: common, Item: w.Item, Condition: p.s.Absent(p.keys), ReturnOldOnConditionFailure: returnOld})
		if isConditionFailure(err) {
			return nil, awserr.DuplicateItem()
		}
		return res, err
	case request.TransactUpdate:
		return db.UpdateItem(ctx, scope, &request.UpdateItem{
			Common: common, Key: w.Key, Update: w.Update, Condition: p.s.Present(p.keys, w.Condition),
			ReturnValues: p.s.Returning, ReturnOldOnConditionFailure: returnOld,
		})
	}
	return db.DeleteItem(ctx, scope, &request.DeleteItem{
		Common: common, Key: w.Key, Condition: w.Condition, ReturnValues: p.s.Returning, ReturnOldOnConditionFailure: returnOld,
	})
}

func isConditionFailure(err error) bool {
	var e *awserr.Error
	return errors.As(err, &e) && e.Code == awserr.ConditionFailed(nil).Code
}

// selectItems reads one page of a SELECT.
func (db *DB) selectItems(ctx context.Context, scope schema.Scope, p *plan, r *request.ExecuteStatement) (*StatementResult, error) {
	if e := p.readIndex(); e != nil {
		return nil, e
	}
	read, e := p.s.Plan(p.read)
	if e != nil {
		return nil, e
	}
	if e := p.checkIndex(read); e != nil {
		return nil, e
	}
	digest := r.Digest()
	at, start, e := openToken(r.NextToken, digest, len(read.Queries))
	if e != nil {
		return nil, e
	}
	res := &StatementResult{}
	limit, size := r.Limit, 0
	for {
		page, err := db.selectPage(ctx, scope, p, read, r, at, start, limit)
		if err != nil {
			return nil, err
		}
		for _, it := range page.Items {
			size += it.Size()
			res.Items = append(res.Items, p.s.Show(it))
		}
		res.Capacity = sumCapacity(res.Capacity, page.Capacity)
		start = page.LastEvaluatedKey
		if start == nil {
			at++
		}
		if at >= len(read.Queries) && start == nil {
			return res, nil
		}
		if limit > 0 {
			limit -= page.ScannedCount
		}
		if start != nil || r.Limit > 0 && limit <= 0 || size >= maxPageBytes {
			res.NextToken, res.LastEvaluatedKey = sealToken(digest, at, start), start
			return res, nil
		}
	}
}

func (db *DB) selectPage(ctx context.Context, scope schema.Scope, p *plan, read *partiql.Read, r *request.ExecuteStatement, at int, start item.Item, limit int) (*QueryResult, error) {
	common := p.common(r.ReturnConsumedCapacity)
	if len(read.Queries) == 0 {
		return db.Scan(ctx, scope, &request.Scan{
			Common: common, IndexName: p.s.Index, Filter: read.Filter, Projection: read.Projection,
			Limit: limit, ConsistentRead: r.ConsistentRead, ExclusiveStartKey: start,
		})
	}
	return db.Query(ctx, scope, &request.Query{
		Common: common, IndexName: p.s.Index, KeyCondition: read.Queries[at], Filter: read.Filter, Projection: read.Projection,
		Limit: limit, ConsistentRead: r.ConsistentRead, ExclusiveStartKey: start, Descending: read.Descending, FilterKeys: true, EntryFilter: true,
	})
}

// sumCapacity adds what one more request used of the same table.
func sumCapacity(sum, more *Capacity) *Capacity {
	if sum == nil || more == nil {
		return more
	}
	sum.Units += more.Units
	sum.Table += more.Table
	for i := range min(len(sum.Global), len(more.Global)) {
		sum.Global[i].Units += more.Global[i].Units
	}
	for i := range min(len(sum.Local), len(more.Local)) {
		sum.Local[i].Units += more.Local[i].Units
	}
	return sum
}

// A NextToken is, in base64: a version, the digest of statement and parameters, the
// number of the query it goes on with, and the key to go on behind, if any. It
// can be forged, which lets its maker begin elsewhere in what he may read anyway.
const nextTokenVersion = 1

func sealToken(digest [32]byte, at int, start item.Item) string {
	b := append([]byte{nextTokenVersion}, digest[:]...)
	b = binary.AppendUvarint(b, uint64(at))
	return base64.RawURLEncoding.EncodeToString(append(b, start...))
}

func openToken(token string, digest [32]byte, queries int) (at int, start item.Item, e *awserr.Error) {
	if token == "" {
		return 0, nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < 1+len(digest) || b[0] != nextTokenVersion {
		return 0, nil, awserr.InvalidNextToken()
	}
	if string(b[1:1+len(digest)]) != string(digest[:]) {
		return 0, nil, awserr.ForeignNextToken()
	}
	n, length := binary.Uvarint(b[1+len(digest):])
	if length <= 0 || n >= uint64(max(queries, 1)) {
		return 0, nil, awserr.InvalidNextToken()
	}
	if rest := b[1+len(digest)+length:]; len(rest) > 0 {
		start = item.Item(rest)
		if start.Validate() != nil {
			return 0, nil, awserr.InvalidNextToken()
		}
	}
	return int(n), start, nil
}

// BatchExecuteStatement does statements one by one. What is wrong with one is its
// own answer.
func (db *DB) BatchExecuteStatement(ctx context.Context, scope schema.Scope, r *request.BatchExecuteStatement) (*BatchStatementResult, error) {
	res := &BatchStatementResult{Responses: make([]StatementResponse, len(r.Statements))}
	plans := make([]*plan, len(r.Statements))
	reads, writes, twice := false, false, false
	named := make(map[string]bool)
	for i := range r.Statements {
		p, err := db.prepare(ctx, scope, &r.Statements[i])
		if p != nil {
			res.Responses[i].Table = p.s.Table
			reads = reads || p.s.Verb == partiql.Select
			writes = writes || p.s.Verb != partiql.Select
		}
		if err == nil {
			err = p.checkBatched(named)
		}
		if errors.Is(err, errTwice) {
			twice, err = true, nil
		}
		if err := res.Responses[i].fail(err); err != nil {
			return nil, err
		}
		plans[i] = p
	}
	if reads && writes {
		return nil, awserr.MixedBatch()
	}
	if twice {
		return nil, awserr.DuplicateKeys()
	}
	used := map[string]*Capacity{}
	for i, p := range plans {
		if res.Responses[i].Error != nil {
			continue
		}
		it, c, err := db.executeBatched(ctx, scope, p, r.ReturnConsumedCapacity)
		if err := res.Responses[i].fail(err); err != nil {
			return nil, err
		}
		res.Responses[i].Item = it
		if c == nil {
			continue
		}
		if sum := used[c.TableName]; sum != nil {
			sumCapacity(sum, c)
			continue
		}
		used[c.TableName] = c
		res.Capacity = append(res.Capacity, c)
	}
	return res, nil
}

// errTwice tells that a batch names one item twice.
var errTwice = errors.New("one item twice")

// checkBatched checks what a batch asks of each statement.
func (p *plan) checkBatched(named map[string]bool) error {
	var key item.Item
	switch p.s.Verb {
	case partiql.Exists:
		return awserr.ExistsOutside()
	case partiql.Select:
		var e *awserr.Error
		if key, e = p.only("BatchExecuteStatement"); e == nil {
			e = partiql.CheckKey(p.keys, key)
		}
		if e != nil {
			return e
		}
	default:
		w, e := p.s.Action(p.keys, true)
		if e != nil {
			return e
		}
		key = w.Attributes()
		for i := range p.keys.Len() {
			if key.Get(p.keys.At(i).Name) == nil {
				return nil // refused when it is done
			}
		}
		key = p.keys.Extract(key)
	}
	name := p.s.Table + "\x00" + string(key)
	if named[name] {
		return errTwice
	}
	named[name] = true
	return nil
}

// only returns the key by which a SELECT reads one item, and nothing else.
func (p *plan) only(api string) (item.Item, *awserr.Error) {
	if p.source != nil {
		if e := p.readIndex(); e != nil {
			return nil, e
		}
		return nil, awserr.SelectOfOne(api)
	}
	key, ok, e := p.s.Single(p.keys)
	if e == nil && !ok {
		e = awserr.SelectOfOne(api)
	}
	return key, e
}

func (db *DB) executeBatched(ctx context.Context, scope schema.Scope, p *plan, c request.ReturnConsumedCapacity) (item.Item, *Capacity, error) {
	if p.s.Verb != partiql.Select {
		res, err := db.write(ctx, scope, p, c)
		if err != nil {
			return nil, nil, err
		}
		return res.Attributes, res.Capacity, nil
	}
	key, e := p.only("BatchExecuteStatement")
	if e != nil {
		return nil, nil, e
	}
	res, err := db.GetItem(ctx, scope, &request.GetItem{Common: p.common(c), Key: key, ConsistentRead: p.text.ConsistentRead})
	if err != nil {
		return nil, nil, err
	}
	return p.s.Show(res.Item), res.Capacity, nil
}

// shortCodes are the codes of errors within a batch.
var shortCodes = map[string]string{
	"ValidationException": "ValidationError", "ConditionalCheckFailedException": "ConditionalCheckFailed",
	"ResourceNotFoundException": "ResourceNotFound", "DuplicateItemException": "DuplicateItem",
	"TransactionConflictException": "TransactionConflict", "ThrottlingException": "ThrottlingError",
	"ProvisionedThroughputExceededException": "ProvisionedThroughputExceeded", "RequestLimitExceeded": "RequestLimitExceeded",
	"ItemCollectionSizeLimitExceededException": "ItemCollectionSizeLimitExceeded", "AccessDeniedException": "AccessDenied",
}

// fail takes over an error of AWS's; it returns any other, and those that stand for
// the whole server.
func (r *StatementResponse) fail(err error) error {
	var e *awserr.Error
	if err == nil || !errors.As(err, &e) {
		return err
	}
	code, known := shortCodes[e.Code]
	if !known {
		return err
	}
	r.Error = &awserr.Error{Code: code, Message: e.Message, Item: e.Item}
	return nil
}

// ExecuteTransaction does all of its statements, or none.
func (db *DB) ExecuteTransaction(ctx context.Context, scope schema.Scope, r *request.ExecuteTransaction) (*TransactionResult, error) {
	parsed := make([]*partiql.Statement, len(r.Statements))
	reads := 0
	for i := range r.Statements {
		if e := r.Statements[i].Invalid; e != nil {
			return nil, e
		}
		s, e := partiql.Parse(r.Statements[i].Text, r.Statements[i].Parameters)
		if e == nil && s.Returning != request.ReturnNone {
			e = awserr.NoReturning()
		}
		if e != nil {
			return nil, awserr.InStatement(i, e)
		}
		parsed[i] = s
		if s.Verb == partiql.Select {
			reads++
		}
	}
	if reads > 0 && reads < len(parsed) {
		return nil, awserr.MixedTransaction()
	}
	plans := make([]*plan, len(parsed))
	for i, s := range parsed {
		if s.Index != "" {
			return nil, awserr.InStatement(i, awserr.IndexInTransaction())
		}
		p, err := db.locate(ctx, scope, &r.Statements[i], s)
		if err != nil {
			return nil, err
		}
		plans[i] = p
	}
	if reads > 0 {
		return db.transactReads(ctx, scope, plans, r)
	}
	q := &request.TransactWriteItems{ReturnConsumedCapacity: r.ReturnConsumedCapacity, Token: r.Token, Writes: make([]request.TransactWrite, len(plans)), EveryReason: true}
	for i, p := range plans {
		w, e := p.s.Action(p.keys, false)
		if e != nil {
			return nil, awserr.InStatement(i, e)
		}
		w.Common, w.ReturnOldOnConditionFailure = p.common(r.ReturnConsumedCapacity), p.text.ReturnOldOnConditionFailure
		q.Writes[i] = w
	}
	res, err := db.TransactWriteItems(ctx, scope, q)
	if err != nil {
		return nil, err
	}
	return &TransactionResult{Capacity: res.Capacity}, nil
}

func (db *DB) transactReads(ctx context.Context, scope schema.Scope, plans []*plan, r *request.ExecuteTransaction) (*TransactionResult, error) {
	q := &request.TransactGetItems{ReturnConsumedCapacity: r.ReturnConsumedCapacity, Gets: make([]request.TransactGet, len(plans))}
	for i, p := range plans {
		key, e := p.only("ExecuteTransaction")
		if e != nil {
			return nil, awserr.InStatement(i, e)
		}
		q.Gets[i] = request.TransactGet{Common: p.common(r.ReturnConsumedCapacity), Key: key}
	}
	res, err := db.TransactGetItems(ctx, scope, q)
	if err != nil {
		return nil, err
	}
	for i, p := range plans {
		res.Items[i] = p.s.Show(res.Items[i])
	}
	return &TransactionResult{Items: res.Items, Capacity: res.Capacity}, nil
}
