package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// The writes of a function's answer and the position behind its records are one transaction of the database, on the condition that the position has
// the version that this claim has given it. So they are made once at most, whoever tries and however often: the second try finds another version. A try whose
// answer does not come is made again, the same; one that was applied is known by the nonce of the position.
//
// A held record has no position of its own: its row is replaced by a stone in the transaction, and some position of the mapping is
// written as it was, so that it fails once another claim has the mapping.

// maxItems is how many items a transaction has.
const maxItems = 100

// Written is a row of a transaction, on the condition that the one in its place has the version V.
type Written struct {
	Table string
	Row   Row
	V     uint64
}

// Cancelled is a transaction that was not made, by its items: those of the function, then the rows.
type Cancelled struct{ Reasons []Reason }

// Reason is why an item was not written; Code is None where nothing was in the way.
type Reason struct {
	Code, Message string
	Now           *Row // of a row whose condition does not hold, if there is one
}

func (c *Cancelled) Error() string {
	codes := make([]string, len(c.Reasons))
	for i, r := range c.Reasons {
		codes[i] = r.Code
	}
	return "Transaction cancelled, please refer cancellation reasons for specific reasons [" + strings.Join(codes, ", ") + "]"
}

// Unwritable is a transaction that the database does not take, for what it says. Messages: it is about one of these.
type Unwritable struct {
	Why      string
	Messages bool
	code     string
}

// refused is that for who reads of the function's errors.
func (u *Unwritable) refused() error {
	if u.Messages {
		return &backend.Refused{Why: "sendMessages: " + u.Why}
	}
	return &backend.Refused{Why: "transactItems: " + u.Why}
}

// Sender is an Endpoint with queues of its own.
type Sender interface {
	// TransactSending is Transact together with messages, a list in the form of SendMessage requests.
	TransactSending(ctx context.Context, items []json.RawMessage, messages json.RawMessage, rows []Written) error
}

// sends is the endpoint as a Sender, if it is one.
func (b *Backend) sends() (Sender, bool) {
	s, is := b.o.Endpoint.(Sender)
	return s, is && !b.o.Polled
}

func (u *Unwritable) Error() string { return u.Why }

const (
	noReason        = "None"
	conditionFailed = "ConditionalCheckFailed"
	conflicted      = "TransactionConflict"
)

// TransactUnder implements backend.Shared. A queue of the server and of the stream's account is told of records that are given up by a message of the transaction.
func (b *Backend) TransactUnder(_ context.Context, cl backend.Claim, uuid string, t backend.Transaction) error {
	c, ok := cl.(*claim)
	if !ok {
		return backend.ErrLost
	}
	if t.Notice == nil {
		return b.transactUnder(c, uuid, t)
	}
	queue, ok := arn.Parse(t.Notice.Queue)
	if stream, _ := arn.Parse(c.stream); !ok || queue.Scope() != stream.Scope() {
		return backend.ErrNoNotice
	}
	var err error
	if t.Messages, err = json.Marshal([]map[string]string{{"QueueUrl": "/" + queue.Account + "/" + queue.Resource, "MessageBody": string(t.Notice.Document)}}); err != nil {
		return err
	}
	err = b.transactUnder(c, uuid, t)
	if refused, is := errors.AsType[*backend.Refused](err); is { // there is no such queue, or an earlier release, or too many records of those that were set aside
		b.o.Log.Debug("a queue is not told in one transaction", "mapping", uuid, "queue", t.Notice.Queue, "why", refused.Why)
		return backend.ErrNoNotice
	}
	return err
}

func (b *Backend) transactUnder(c *claim, uuid string, t backend.Transaction) error {
	if _, sends := b.sends(); t.Messages != nil && !sends {
		return &backend.Refused{Why: "sendMessages: the engine that has the tables (serve --tables) has no queues in one transaction with them: send them yourself"}
	}
	var items []json.RawMessage
	if t.Items != nil {
		if err := json.Unmarshal(t.Items, &items); err != nil {
			return &backend.Refused{Why: "transactItems: " + err.Error()}
		}
	}
	own, err := b.own(items)
	if err != nil {
		return &backend.Refused{Why: "transactItems: " + err.Error()}
	}
	if own != "" {
		return &backend.Refused{Why: "transactItems: the table " + own + " is the nodes' own"}
	}
	rows, aside, err := t.Build()
	if err != nil {
		return err
	}
	var before, with []lane.AsideChange
	for _, a := range aside {
		if a.With {
			with = append(with, a.Changes...)
		} else {
			before = append(before, a.Changes...)
		}
	}
	up := c.number(before)
	if err := c.changeAside(uuid, before, up); err != nil {
		return err
	}
	if n := max(len(rows), 1) + len(with); len(items)+n > maxItems { // before windows are put
		return &backend.Refused{Why: fmt.Sprintf("transactItems: %d are too many: with the position and what was set aside there is room for %d", len(items), maxItems-n)}
	}
	w, err := c.written(uuid, rows, up, with)
	if err != nil {
		return err
	}
	if err := c.transact(items, t.Messages, w); err != nil {
		return err
	}
	t.Applied()
	for i := range w.gone {
		c.removePieces(uuid, &w.gone[i])
	}
	return nil
}

// own is a table of the nodes' own that a function would write, with the node's key; empty: it would not. It reads names as the server does: exactly, and of
// two that are the same the last one counts. What it cannot read is an error, so that nothing passes that the server may read.
func (b *Backend) own(items []json.RawMessage) (string, error) {
	for n, i := range items {
		var item map[string]json.RawMessage
		if json.Unmarshal(i, &item) != nil {
			return "", fmt.Errorf("item %d is not an object", n+1)
		}
		for member, text := range item {
			var op map[string]json.RawMessage
			if json.Unmarshal(text, &op) != nil {
				return "", fmt.Errorf("item %d: %s is not an object", n+1, member)
			}
			table := ""
			if text, is := op["TableName"]; is && json.Unmarshal(text, &table) != nil {
				return "", fmt.Errorf("item %d: TableName of %s is not a text", n+1, member)
			}
			if name := table[strings.LastIndexByte(table, '/')+1:]; name == b.control || name == b.progress || name == b.bell {
				return name, nil
			}
		}
	}
	return "", nil
}

// writing is what a transaction stores beside a function's items.
type writing struct {
	uuid      string
	rows      []Written
	positions map[int]checkpoint // of rows, by their place
	gone      []Row              // rows set aside that stones replace
}

func (c *claim) written(uuid string, rows []backend.Row, up map[string]uint64, ended []lane.AsideChange) (w writing, err error) {
	b := c.b
	w = writing{uuid: uuid, positions: map[int]checkpoint{}}
	add := func(r Row, v uint64) {
		r.V, r.W = v+1, nonce()
		w.rows = append(w.rows, Written{Table: b.progress, Row: r, V: v})
	}
	position := func(shard string, at checkpoint, v uint64) {
		w.positions[len(w.rows)] = at
		add(Row{P: checkpointKey(uuid), S: shard, Data: encode(at)}, v)
	}
	for i := range rows {
		r := &rows[i]
		o, err := c.owns(uuid, r.Shard)
		if err != nil {
			return w, err
		}
		at, err := c.next(r, o, up[r.Shard])
		if err != nil {
			return w, err
		}
		position(r.Shard, at, o.v)
	}
	if len(rows) == 0 {
		shard := c.someShard(uuid)
		o, err := c.owns(uuid, shard)
		if err != nil {
			return w, err
		}
		position(shard, o.at, o.v)
	}
	for _, ch := range ended {
		key := Row{P: asidePartition(uuid), S: asideSort(ch.Key)}
		now, err := b.head(c.ctx, b.progress, key.P, key.S)
		if err != nil {
			return w, c.orLost(err)
		}
		var a asideRow
		if now != nil {
			if a, err = c.mine(now); err != nil {
				return w, err
			}
		}
		if now == nil || a.Gone { // the owner before this one has ended it: what is known here is old
			c.lose()
			return w, backend.ErrLost
		}
		a.By = c.epoch
		w.gone = append(w.gone, *now)
		key.Data, key.Until = encode(stoneOf(&a)), time.Now().Add(stoneFor).Unix()
		add(key, now.V)
	}
	return w, nil
}

// someShard is a shard of a mapping's, one that it has not ended if there is one.
func (c *claim) someShard(uuid string) (some string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for shard, o := range c.rows[uuid] {
		if some = shard; !o.at.Done {
			break
		}
	}
	return some
}

// transact makes a transaction, and returns once it is known what became of it. messages is nil for none.
func (c *claim) transact(items []json.RawMessage, messages json.RawMessage, w writing) error {
	b := c.b
	open := false // a try that has not been answered may still be applied
	refused := func(err error) error {
		if !open {
			c.dropWindows(w)
		}
		return err
	}
	size := len(messages)
	for _, i := range items {
		size += len(i)
	}
	for pause := minPause; ; {
		if c.ctx.Err() != nil {
			return backend.ErrLost
		}
		try, cancel := context.WithTimeout(c.ctx, tryFor+time.Duration(size>>20)*time.Second) // a slow line takes long for megabytes
		var err error
		if s, _ := b.sends(); messages != nil {
			err = s.TransactSending(try, items, messages, w.rows)
		} else {
			err = b.o.Endpoint.Transact(try, items, w.rows)
		}
		cancel()
		var unwritable *Unwritable
		cancelled, is := errors.AsType[*Cancelled](err)
		switch {
		case err == nil:
			return c.made(w)
		case errors.As(err, &unwritable):
			// It may be so since an earlier try was made: the function's table, or the queue, is gone meanwhile.
			if !open {
				return refused(unwritable.refused())
			}
			if made, known := c.wasMade(w); made {
				return c.made(w)
			} else if known {
				return unwritable.refused()
			}
		case is && len(cancelled.Reasons) == len(items)+len(w.rows):
			done, err := c.judged(cancelled.Reasons, len(items), w)
			switch {
			case done && (err == nil || errors.Is(err, backend.ErrLost)):
				return err
			case done:
				return refused(err)
			}
		}
		open = true
		if b.pause(c.ctx, &pause, "a transaction", err) != nil {
			return backend.ErrLost
		}
		if b.bugs.renews {
			for i := range w.rows {
				if now, err := b.head(c.ctx, w.rows[i].Table, w.rows[i].Row.P, w.rows[i].Row.S); err == nil && now != nil {
					w.rows[i].V, w.rows[i].Row.V, w.rows[i].Row.W = now.V, now.V+1, nonce()
				}
			}
		}
	}
}

// wasMade looks whether a transaction was made by now; known is false when there was no answer.
func (c *claim) wasMade(w writing) (made, known bool) {
	r := w.rows[0].Row
	now, err := c.b.head(c.ctx, w.rows[0].Table, r.P, r.S)
	return err == nil && now != nil && now.W == r.W, err == nil
}

// dropWindows removes the windows that were put for a transaction which is not made, and never will be.
func (c *claim) dropWindows(w writing) {
	for i, at := range w.positions {
		if o, err := c.owns(w.uuid, w.rows[i].Row.S); err == nil {
			c.windowReplaced(w.uuid, at.Window, o.at.Window)
		}
	}
}

// judged tells what became of a transaction that was cancelled; not done: it is to be tried again.
func (c *claim) judged(reasons []Reason, items int, w writing) (done bool, err error) {
	for i, r := range reasons[items:] {
		if r.Code != conditionFailed {
			continue
		}
		if r.Now != nil && r.Now.W == w.rows[i].Row.W {
			return true, c.made(w) // an earlier try was
		}
		if _, is := w.positions[i]; is {
			return true, c.notStored(w.uuid, w.rows[i].Row.S, &Refused{Now: r.Now})
		}
		c.lose() // a row set aside that is not as this claim has seen it
		return true, backend.ErrLost
	}
	cancelled := &Cancelled{Reasons: reasons[:items]}
	conflict := false
	for _, r := range cancelled.Reasons {
		switch r.Code {
		case noReason:
		case conflicted, "ThrottlingError", "ProvisionedThroughputExceeded":
			conflict = true
		default:
			return true, &backend.Refused{Why: "transactItems: TransactionCanceledException: " + cancelled.Error()}
		}
	}
	if conflict {
		return true, backend.ErrConflict
	}
	return false, nil
}

// made keeps what a transaction has stored.
func (c *claim) made(w writing) error {
	for i, at := range w.positions {
		if !c.keep(w.uuid, w.rows[i].Row.S, owned{v: w.rows[i].Row.V, at: at}) {
			return backend.ErrLost // the mapping was deleted
		}
	}
	return nil
}
