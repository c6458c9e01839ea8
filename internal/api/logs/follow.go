package logs

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/schema"
)

// `aws logs tail --follow` asks FilterLogEvents, sleeps for five seconds, and asks again; `sam logs --tail` sleeps for one. Neither sleeps when
// an answer has a nextToken, which CloudWatch Logs may give with any answer, also with an empty one. So a request of one that follows a
// group waits until there is something to show, and its answer has a token.

// A program is one that follows groups by asking again and again.
type program struct {
	hold time.Duration // how long a request waits for lines
	// chain is how long its answers have tokens, and only while there are lines; 0: always. The SAM CLI does not see that it was
	// interrupted before an answer without one.
	chain time.Duration
}

var (
	awsCLI = program{hold: 20 * time.Second} // it gives up after a minute
	samCLI = program{hold: time.Second, chain: 3 * time.Second}
)

const (
	// followPause is how long a request that waits takes at least: lines that come together are shown together. It looks as seldom for
	// more: a look goes through all that is held of the group.
	followPause = 200 * time.Millisecond
	// maxFollowers is how many requests wait at once; others are answered as they come.
	maxFollowers = 64
	// maxAsked bounds what is remembered of clients, and askedFor for how long.
	maxAsked = 256
	askedFor = 15 * time.Second
)

// programOf returns the program that a request comes from; nil: another. Through a proxy the connections of two programs cannot be told
// apart.
func programOf(r *http.Request) *program {
	switch agent := r.UserAgent(); {
	case r.Header.Get("X-Forwarded-For") != "":
	case strings.Contains(agent, "command/logs.tail"), strings.Contains(agent, "command#logs.tail"): // version 2 before and after 2.22
		return &awsCLI
	case strings.Contains(agent, "aws-sam-cli/"):
		return &samCLI
	}
	return nil
}

// position is how far a follower has come. Its text is the token of its answers.
type position struct {
	until  int64  // when answers have no token any more, in ms since 1970; 0: they always have one
	newest int64  // time of the newest event that was shown; 0: there was none
	last   string // id of the last event that was looked at
}

func (p position) String() string { return fmt.Sprintf("follow/%d/%d/%s", p.until, p.newest, p.last) }

func parsePosition(token string) (p position, ok bool) {
	if _, err := fmt.Sscanf(token, "follow/%d/%d/", &p.until, &p.newest); err != nil {
		return p, false
	}
	p.last = token[strings.LastIndexByte(token, '/')+1:]
	return p, true
}

// A question is how a client asks for all lines of a group from some time on.
type question struct {
	client string // its address: that of one connection
	scope  schema.Scope
	group  string
}

// asked is what a question was answered with.
type asked struct {
	position
	at    time.Time
	start int64 // the time that it asked for
}

// followers remembers who asked lately. One that asks again on the same connection, without a token, for what has come since, follows.
type followers struct {
	mu      sync.Mutex
	asked   map[question]asked
	waiting int
}

// answered takes note of an answer without a token.
func (f *followers) answered(q question, a asked) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked == nil {
		f.asked = map[question]asked{}
	}
	if len(f.asked) >= maxAsked {
		for q, old := range f.asked {
			if a.at.Sub(old.at) > askedFor {
				delete(f.asked, q)
			}
		}
	}
	if len(f.asked) < maxAsked {
		f.asked[q] = a
	}
}

// again reports whether a question is asked for the second time, and how far the first answer came.
func (f *followers) again(q question, start int64, now time.Time) (position, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.asked[q]
	delete(f.asked, q)
	next := start == a.start
	if a.newest != 0 { // the AWS CLI asks for that time again, SAM's for the next
		next = start == a.newest || start == a.newest+1
	}
	return a.position, ok && next && now.Sub(a.at) <= askedFor
}

// enter takes a place to wait in, unless there is none.
func (f *followers) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting >= maxFollowers {
		return false
	}
	f.waiting++
	return true
}

func (f *followers) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting--
}

// follow answers a follower with what has come since its position, once there is something.
func (c *call) follow(r *eventsRequest, matches func(string) bool, p position) (out filtered, err error) {
	hold := awsCLI.hold
	if p.until > 0 {
		hold = samCLI.hold
	}
	ctx, cancel := context.WithTimeout(c.ctx, hold)
	defer cancel()
	pause := time.NewTimer(followPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
	look := func() bool {
		events, failed := c.find(r)
		if err = failed; err != nil {
			return true
		}
		if p.last != "" {
			events = after(events, p.last)
		}
		out, p.last = r.page(events, matches, p.last)
		return len(out.Events) > 0
	}
	if c.followers.enter() {
		c.functions.AwaitLog(ctx, c.scope, followPause, look)
		c.followers.leave()
	} else {
		look()
	}
	if n := len(out.Events); n > 0 {
		p.newest = out.Events[n-1].Timestamp
	}
	now := time.Now()
	if p.until == 0 || len(out.Events) > 0 && now.UnixMilli() < p.until || out.NextToken != "" {
		out.NextToken = p.String()
	} else {
		c.followers.answered(question{c.client, c.scope, r.group}, asked{p, now, *r.StartTime})
	}
	return out, err
}
