package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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
//   - Behind a number a shard is read from the record of that number on, which is left out: there are engines that read on from the horizon, and say
//     nothing, where it was trimmed. Where the engine does not know the number, since it was trimmed or is that of no record, the shard is read from
//     the horizon, and what is not behind the number is left out. When neither this record nor an earlier one is seen, and the first one is not
//     the next, what was between counts as trimmed: nobody knows how much that was.
//   - Times are whole seconds, as AWS tells them: the place of a moment is in front of the first record of its second.
//   - The end, and the place of a moment, are behind the last record that is read on the way there: from the newest one that was read of this
//     shard, or from the horizon. Where writers go on, the end is behind what was written up to a second or two after it was asked for.
//
// A shard has ended when a page has no next iterator, and only then: there are engines that show an ending number for shards that are open.
type Polled struct {
	*Client
	// Idle is the longest time between two polls of a shard where there is nothing. Default 1 s.
	Idle time.Duration

	// Log is told, once a minute at most, of records that come behind later ones, which are left out. nil: nobody is.
	Log *slog.Logger

	mu     sync.Mutex
	late   uint64                // such records, each time that they were read
	told   time.Time             // of them
	width  map[string]int        // digits of a stream's numbers, where they begin with zeros; by stream
	newest map[string]seqnum.Num // that was read of a shard; by stream and shard
	starts map[string]seqnum.Num // of shards whose list says it; the same
}

var _ Endpoint = (*Polled)(nil)

// NewPolled returns one over a client.
func NewPolled(c *Client, idle time.Duration) *Polled {
	if idle <= 0 {
		idle = time.Second
	}
	return &Polled{Client: c, Idle: idle, width: map[string]int{}, newest: map[string]seqnum.Num{}, starts: map[string]seqnum.Num{}}
}

// Bounds of polling: at once behind a full page, soon behind another, and less and less often where there is nothing.
const (
	fullPage = 200
	soonPoll = 200 * time.Millisecond
)

// soon is soonPoll, or Idle where that is less.
func (p *Polled) soon() time.Duration { return min(soonPoll, p.Idle) }

// place is what an iterator is here: the engine's own, and what is known of it.
type place struct {
	Stream string     `json:"st"`
	Shard  string     `json:"sh"`
	After  seqnum.Num `json:"a"`
	// Trimmed: no record up to After was seen since reading began here, so what was right behind it may have been trimmed.
	Trimmed bool `json:"t,omitempty"`
	// Far: it was begun at the horizon, and After is still to come.
	Far bool `json:"f,omitempty"`
	// Pause is the time between the newest two looks, Left what is left of it.
	Pause    time.Duration `json:"p,omitempty"`
	Left     time.Duration `json:"l,omitempty"`
	Iterator string        `json:"i,omitempty"` // empty: begin behind After

	clock int64 // the engine's at the newest look, in seconds since 1970
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
		if n, err := number(s.Start); err == nil {
			p.mu.Lock()
			p.starts[arn+" "+s.ID] = n
			p.mu.Unlock()
		}
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
		asked := int64(0) // by the engine's clock, when it answered the first read
		return p.walk(ctx, arn, shard, p.known(arn, shard), func(r *record, clock int64) bool {
			asked = cmp.Or(asked, clock)
			return r.ms/1000 <= asked+1
		})
	}
	if text, is := strings.CutPrefix(at, timePrefix); is {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return "", err
		}
		return p.walk(ctx, arn, shard, seqnum.Num{}, func(r *record, _ int64) bool { return r.ms < ms/1000*1000 })
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
	p.mu.Lock()
	start := p.starts[arn+" "+shard]
	p.mu.Unlock()
	if after.Less(start) || after.IsZero() { // nothing is in front of the start, and there are engines that fail when they are asked for it
		return at, p.fromHorizon(ctx, &at)
	}
	number, err := p.text(ctx, arn, after)
	if err != nil {
		return at, err
	}
	at.Trimmed = true
	at.Iterator, err = p.Client.Iterator(ctx, arn, shard, recordPrefix+number)
	if errors.Is(err, ErrTrimmed) {
		err = p.fromHorizon(ctx, &at)
	}
	return at, err
}

func (p *Polled) fromHorizon(ctx context.Context, at *place) (err error) {
	at.Trimmed, at.Far = !at.After.IsZero(), !at.After.IsZero()
	at.Iterator, err = p.Client.Iterator(ctx, at.Stream, at.Shard, TrimHorizon)
	return err
}

// emptyPages is how many pages without a record in a row are taken for the end of what there is, soonPoll from each other: an engine may answer some before there is one.
const emptyPages = 2

// walk reads on behind a number while records are to be passed, and returns an iterator behind the last one that was. passes is told the engine's clock.
func (p *Polled) walk(ctx context.Context, arn, shard string, after seqnum.Num, passes func(*record, int64) bool) (string, error) {
	at, err := p.begin(ctx, arn, shard, after)
	for empty := 0; err == nil; {
		var page Records
		var got int
		if page, got, err = p.page(ctx, &at, pageSize); err != nil {
			break
		}
		for _, text := range page.Records {
			r, err := newRecord(text, arn)
			if err != nil {
				return "", err
			}
			if !passes(r, at.clock) {
				at, err = p.begin(ctx, arn, shard, after)
				return at.encode(), err
			}
			after = r.seq
		}
		if at.Iterator == "" { // the shard has ended
			at, err = p.begin(ctx, arn, shard, after)
			break
		}
		if empty++; got > 0 {
			empty = 0
		} else if empty == emptyPages {
			break
		} else {
			err = p.sleep(ctx, p.soon())
		}
	}
	at.Pause, at.Left = 0, 0
	return at.encode(), err
}

// page reads one page and moves the place behind it. Of the n records that the engine's page has, some may be left out.
func (p *Polled) page(ctx context.Context, at *place, limit int) (page Records, n int, err error) {
	if at.Iterator == "" {
		if *at, err = p.begin(ctx, at.Stream, at.Shard, at.After); err != nil {
			return page, 0, err
		}
	}
	got, err := p.Client.Records(ctx, at.Iterator, limit, 0)
	if errors.Is(err, ErrTrimmed) {
		if err = p.fromHorizon(ctx, at); err == nil {
			got, err = p.Client.Records(ctx, at.Iterator, pageSize, 0)
		}
	}
	if err != nil {
		return page, 0, err
	}
	at.Iterator, at.clock = got.Next, got.Clock
	after := at.After
	for _, text := range got.Records {
		n, err := p.numberOf(at.Stream, text)
		if err != nil {
			return page, 0, err
		}
		if !n.Less(at.After) {
			at.Far = false
		}
		if n.Less(at.After) && !at.Trimmed && !at.Far {
			p.leftOut(at, n)
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
	if page.Trimmed = at.Trimmed; page.Trimmed && got.Next == "" {
		after = after.Next() // all that was behind it, if there was anything
	}
	page.After = after.String()
	if len(page.Records) > 0 {
		p.mu.Lock()
		if p.newest[at.Stream+" "+at.Shard].Less(at.After) {
			p.newest[at.Stream+" "+at.Shard] = at.After
		}
		p.mu.Unlock()
	}
	switch {
	case len(got.Records) == 0:
		at.Pause = min(max(at.Pause*3/2, p.soon()), p.Idle)
	case len(page.Records) == 0 || len(got.Records) >= min(limit, fullPage): // on the way to the number, or there is more
		at.Pause = 0
	default:
		at.Pause = p.soon()
	}
	if at.Left = at.Pause; got.Next != "" {
		page.Next = at.encode()
	}
	return page, len(got.Records), nil
}

// LeftOut is how many records were left out since the start, each time that they were read.
func (p *Polled) LeftOut() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.late
}

// leftOut counts a record that comes behind a later one.
func (p *Polled) leftOut(at *place, n seqnum.Num) {
	p.mu.Lock()
	p.late++
	late, tell := p.late, p.Log != nil && (p.told.IsZero() || time.Since(p.told) >= time.Minute)
	if tell {
		p.told = time.Now()
	}
	p.mu.Unlock()
	if tell {
		p.Log.Error("the tables' engine has told a record behind later ones of its shard, and it is left out", "stream", at.Stream, "shard", at.Shard, "record", n.String(), "behind", at.After.String(), "left out since the start", late)
	}
}

func (p *Polled) numberOf(stream string, text []byte) (seqnum.Num, error) {
	var r struct {
		DynamoDB struct{ SequenceNumber string } `json:"dynamodb"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return seqnum.Num{}, fmt.Errorf("remote: a record is damaged: %w", err)
	}
	p.sawText(stream, r.DynamoDB.SequenceNumber)
	return number(r.DynamoDB.SequenceNumber)
}

// Records implements Endpoint. Without a wait it finds out what there is now, whatever is left of a pause.
func (p *Polled) Records(ctx context.Context, iterator string, limit int, wait time.Duration) (page Records, err error) {
	at, err := decodePlace(iterator)
	if err != nil {
		return page, err
	}
	now := wait <= 0
	for empty := 0; ; {
		if d := min(at.Left, wait); d > 0 {
			if err := p.sleep(ctx, d); err != nil {
				return page, err
			}
			wait, at.Left = wait-d, at.Left-d
		}
		if !now && at.Left > 0 { // the next look is due later
			return Records{After: at.After.String(), Next: at.encode()}, nil
		}
		most := limit
		if at.Far { // there may be much to leave out
			most = pageSize
		}
		var got int
		if page, got, err = p.page(ctx, &at, most); err != nil {
			return page, err
		}
		if len(page.Records) > limit {
			page.Records = page.Records[:limit]
			if at.After, err = p.numberOf(at.Stream, page.Records[limit-1]); err != nil {
				return page, err
			}
			at.Iterator, at.Pause, at.Left = "", 0, 0
			page.Next = at.encode()
		}
		switch {
		case len(page.Records) > 0 || page.Next == "":
			return page, nil
		case got > 0: // on the way to the number
			continue
		case !now && wait <= 0:
			return page, nil
		case now:
			if empty++; empty == emptyPages {
				return page, nil
			}
			if err := p.sleep(ctx, p.soon()); err != nil {
				return page, err
			}
		}
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
