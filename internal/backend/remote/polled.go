package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/seqnum"
)

// Polled is an Endpoint over a database that is no Millstream. Such a one does not hold reads, and does not say behind which number they begin.
// So reads are polls here, and numbers are what was seen:
//
//   - Every shard begins behind zero, which is read from the horizon.
//   - Behind a number a shard is read by the engine's own text of it. Where the engine does not know it, since it was trimmed or is that of no
//     record, it is read from the horizon, and what is not behind it is left out. When the first record that is left is not the next one, what
//     was between counts as trimmed: nobody knows how much that was.
//   - The end, and the place of a moment, are behind the last record that is read on the way there: from the newest one that was read of this
//     shard, or from the horizon. Where writers go on, the end is behind what was written up to a second or two after it was asked for.
//
// A shard has ended when a page has no next iterator, and only then: there are engines that show an ending number for shards that are open.
type Polled struct {
	*Client
	// Idle is the longest time between two polls of a shard where there is nothing. Default 1 s.
	Idle time.Duration

	mu     sync.Mutex
	width  map[string]int        // digits of a stream's numbers, where they begin with zeros; by stream
	newest map[string]seqnum.Num // that was read of a shard; by stream and shard
}

var _ Endpoint = (*Polled)(nil)

// NewPolled returns one over a client.
func NewPolled(c *Client, idle time.Duration) *Polled {
	if idle <= 0 {
		idle = time.Second
	}
	return &Polled{Client: c, Idle: idle, width: map[string]int{}, newest: map[string]seqnum.Num{}}
}

// Bounds of polling: at once behind a full page, soon behind another, and less and less often where there is nothing.
const (
	fullPage = 200
	soonPoll = 200 * time.Millisecond
)

// place is what an iterator is here: the engine's own, and what is known of it.
type place struct {
	Stream string     `json:"st"`
	Shard  string     `json:"sh"`
	After  seqnum.Num `json:"a"`
	// Trimmed: it was begun at the horizon, since the engine does not know the number After.
	Trimmed  bool   `json:"t,omitempty"`
	Soon     bool   `json:"s,omitempty"` // the page before was not full
	Iterator string `json:"i"`
}

func (p *place) encode() string { return encode(p) }

func decodePlace(text string) (p place, err error) {
	if err = json.Unmarshal([]byte(text), &p); err != nil {
		err = fmt.Errorf("remote: %q is no iterator: %w", text, err)
	}
	return p, err
}

// Describe implements Endpoint.
func (p *Polled) Describe(ctx context.Context, arn string) (Described, error) {
	d, err := p.Client.Describe(ctx, arn)
	for i := range d.Shards {
		s := &d.Shards[i]
		p.sawText(arn, s.Start)
		s.Start, s.Closed = "1", false
	}
	return d, err
}

// sawText notes how wide numbers are.
func (p *Polled) sawText(arn, number string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.width[arn]; !known && number != "" {
		p.width[arn] = 0
		if number[0] == '0' {
			p.width[arn] = len(number)
		}
	}
}

// text is a number as the engine writes it.
func (p *Polled) text(ctx context.Context, arn string, n seqnum.Num) (string, error) {
	p.mu.Lock()
	width, known := p.width[arn]
	p.mu.Unlock()
	if !known {
		if _, err := p.Describe(ctx, arn); err != nil {
			return "", err
		}
		p.mu.Lock()
		width = p.width[arn]
		p.mu.Unlock()
	}
	text := n.String()
	return strings.Repeat("0", max(0, width-len(text))) + text, nil
}

// Iterator implements Endpoint.
func (p *Polled) Iterator(ctx context.Context, arn, shard, at string) (string, error) {
	if at == Latest {
		asked := time.Now().Unix()
		return p.walk(ctx, arn, shard, p.known(arn, shard), func(r *record) bool { return r.ms/1000 <= asked+1 }) // times are whole seconds
	}
	if text, is := strings.CutPrefix(at, timePrefix); is {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return "", err
		}
		return p.walk(ctx, arn, shard, seqnum.Num{}, func(r *record) bool { return r.ms < ms })
	}
	after := seqnum.Num{}
	if at != TrimHorizon {
		var err error
		if after, err = number(at); err != nil {
			return "", err
		}
	}
	begun, err := p.begin(ctx, arn, shard, after)
	return begun.encode(), err
}

// known is the newest number that was read of a shard.
func (p *Polled) known(arn, shard string) seqnum.Num {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.newest[arn+" "+shard]
}

// begin asks the engine for an iterator behind a number.
func (p *Polled) begin(ctx context.Context, arn, shard string, after seqnum.Num) (place, error) {
	at := place{Stream: arn, Shard: shard, After: after}
	where := TrimHorizon
	var err error
	if !after.IsZero() {
		if where, err = p.text(ctx, arn, after); err != nil {
			return at, err
		}
	}
	at.Iterator, err = p.Client.Iterator(ctx, arn, shard, where)
	if errors.Is(err, ErrTrimmed) && where != TrimHorizon {
		at.Trimmed = true
		at.Iterator, err = p.Client.Iterator(ctx, arn, shard, TrimHorizon)
	}
	return at, err
}

// emptyPages is how many pages without a record in a row are taken for the end of what there is: an engine may answer some before there is one.
const emptyPages = 2

// walk reads on behind a number while records are to be passed, and returns an iterator behind the last one that was.
func (p *Polled) walk(ctx context.Context, arn, shard string, after seqnum.Num, passes func(*record) bool) (string, error) {
	at, err := p.begin(ctx, arn, shard, after)
	for empty := 0; err == nil && empty < emptyPages; {
		var page Records
		var got int
		if page, got, err = p.page(ctx, &at, pageSize); err != nil {
			break
		}
		if empty++; got > 0 {
			empty = 0
		}
		for _, text := range page.Records {
			r, err := newRecord(text, arn)
			if err != nil {
				return "", err
			}
			if !passes(r) {
				at, err = p.begin(ctx, arn, shard, after)
				return at.encode(), err
			}
			after = r.seq
		}
		if at.Iterator == "" { // the shard has ended
			at, err = p.begin(ctx, arn, shard, after)
			break
		}
	}
	at.Soon = false
	return at.encode(), err
}

// page reads one page and moves the place behind it. Of the n records that the engine's page has, some may be left out.
func (p *Polled) page(ctx context.Context, at *place, limit int) (page Records, n int, err error) {
	got, err := p.Client.Records(ctx, at.Iterator, limit, 0)
	if err != nil {
		return page, 0, err
	}
	at.Iterator = got.Next
	after := at.After
	for _, text := range got.Records {
		var r struct {
			DynamoDB struct{ SequenceNumber string } `json:"dynamodb"`
		}
		if err := json.Unmarshal(text, &r); err != nil {
			return page, 0, fmt.Errorf("remote: a record is damaged: %w", err)
		}
		p.sawText(at.Stream, r.DynamoDB.SequenceNumber)
		n, err := number(r.DynamoDB.SequenceNumber)
		if err != nil {
			return page, 0, err
		}
		if !at.After.Less(n) {
			at.Trimmed = false // what is behind it is there
			continue
		}
		if len(page.Records) == 0 && at.Trimmed {
			after, at.Trimmed = n.Prev(), false
		}
		page.Records, at.After = append(page.Records, text), n
	}
	page.After = after.String()
	if at.Soon = len(got.Records) > 0 && len(got.Records) < min(limit, fullPage); len(page.Records) > 0 {
		p.mu.Lock()
		if p.newest[at.Stream+" "+at.Shard].Less(at.After) {
			p.newest[at.Stream+" "+at.Shard] = at.After
		}
		p.mu.Unlock()
	}
	if got.Next != "" {
		page.Next = at.encode()
	}
	return page, len(got.Records), nil
}

// Records implements Endpoint.
func (p *Polled) Records(ctx context.Context, iterator string, limit int, wait time.Duration) (page Records, err error) {
	at, err := decodePlace(iterator)
	if err != nil {
		return page, err
	}
	pause := time.Duration(0)
	if at.Soon {
		pause = soonPoll
	}
	for empty := 0; ; {
		if pause = min(pause, wait); pause > 0 {
			if err := p.sleep(ctx, pause); err != nil {
				return page, err
			}
			wait -= pause
		}
		var got int
		if page, got, err = p.page(ctx, &at, limit); err != nil || len(page.Records) > 0 || page.Next == "" {
			return page, err
		}
		if got > 0 { // on the way to the number
			pause = 0
			continue
		}
		if empty++; wait <= 0 && empty >= emptyPages {
			return page, nil
		}
		pause = min(max(pause*3/2, soonPoll), p.Idle)
	}
}

func (p *Polled) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
