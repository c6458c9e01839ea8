package logs

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function"
)

// maxEvents is AWS's limit of a page, maxStreams that of a page of streams.
const (
	maxEvents  = 10_000
	maxStreams = 50
)

type eventsRequest struct {
	groupRequest
	LogStreamName       string   `json:"logStreamName"`
	LogStreamNames      []string `json:"logStreamNames"`
	LogStreamNamePrefix string   `json:"logStreamNamePrefix"`
	StartTime           *int64   `json:"startTime"` // ms since 1970
	EndTime             *int64   `json:"endTime"`
	FilterPattern       string   `json:"filterPattern"`
	NextToken           string   `json:"nextToken"`
	Limit               int      `json:"limit"`
	StartFromHead       bool     `json:"startFromHead"`
	OrderBy             string   `json:"orderBy"`
	Descending          bool     `json:"descending"`

	group string // its name
}

type eventDocument struct {
	LogStreamName string `json:"logStreamName,omitempty"`
	Timestamp     int64  `json:"timestamp"`
	Message       string `json:"message"`
	IngestionTime int64  `json:"ingestionTime"`
	EventID       string `json:"eventId,omitempty"`
}

// request decodes a request for events of a group.
func (c *call) request() (r eventsRequest, err error) {
	if err := c.decode(&r); err != nil {
		return r, err
	}
	if r.group, err = r.name(); err != nil {
		return r, err
	}
	if len(r.LogStreamNames) > 100 {
		return r, invalid("1 validation error detected: Value at 'logStreamNames' failed to satisfy constraint: Member must have length less than or equal to 100")
	}
	if r.Limit <= 0 || r.Limit > maxEvents {
		r.Limit = maxEvents
	}
	return r, nil
}

// find returns the events of a request's group that are of its streams and times.
func (c *call) find(r *eventsRequest) (events []function.LogEvent, err error) {
	all, err := c.functions.LogEvents(c.scope, r.group)
	if err != nil {
		return nil, noGroup(err)
	}
	if err := r.checkStreams(all); err != nil {
		return nil, err
	}
	for _, e := range all {
		ms := e.Time.UnixMilli()
		if (r.StartTime == nil || ms >= *r.StartTime) && (r.EndTime == nil || ms < *r.EndTime) &&
			(len(r.LogStreamNames) == 0 || slices.Contains(r.LogStreamNames, e.Stream)) &&
			(r.LogStreamName == "" || r.LogStreamName == e.Stream) && strings.HasPrefix(e.Stream, r.LogStreamNamePrefix) {
			events = append(events, e)
		}
	}
	return events, nil
}

// checkStreams refuses streams that are not there. Who has a token has seen them, and what they held may have made room for newer lines.
func (r *eventsRequest) checkStreams(all []function.LogEvent) error {
	if r.NextToken != "" {
		return nil
	}
	for _, name := range append(slices.Clip(r.LogStreamNames), r.LogStreamName) {
		if name != "" && !slices.ContainsFunc(all, func(e function.LogEvent) bool { return e.Stream == name }) {
			return &awserr.Error{Code: "ResourceNotFoundException", Message: "The specified log stream does not exist."}
		}
	}
	return nil
}

// events decodes a request and returns what it asks for.
func (c *call) events() (r eventsRequest, events []function.LogEvent, err error) {
	if r, err = c.request(); err == nil {
		events, err = c.find(&r)
	}
	return r, events, err
}

// from returns the event of an id and what follows it, or what is later where that is no longer held. Events of one millisecond
// are not in the order of their ids.
func from(events []function.LogEvent, id string) []function.LogEvent {
	i := slices.IndexFunc(events, func(e function.LogEvent) bool { return e.ID == id })
	if i < 0 {
		i = slices.IndexFunc(events, func(e function.LogEvent) bool { return e.ID > id })
	}
	if i < 0 {
		return nil
	}
	return events[i:]
}

// after returns what follows the event of an id.
func after(events []function.LogEvent, id string) []function.LogEvent {
	rest := from(events, id)
	if len(rest) > 0 && rest[0].ID == id {
		return rest[1:]
	}
	return rest
}

// filtered is an answer of FilterLogEvents.
type filtered struct {
	Events             []eventDocument `json:"events"`
	SearchedLogStreams []any           `json:"searchedLogStreams"`
	NextToken          string          `json:"nextToken,omitempty"`
}

func filterEvents(c *call) (any, error) {
	r, err := c.request()
	if err != nil {
		return nil, err
	}
	matches, err := pattern(r.FilterPattern)
	if err != nil {
		return nil, err
	}
	if p, follows := parsePosition(r.NextToken); follows && r.StartTime != nil {
		return c.follow(&r, matches, p)
	}
	q := question{c.client, c.scope, r.group}
	mayFollow := c.program != nil && r.NextToken == "" && r.EndTime == nil && r.StartTime != nil
	if mayFollow {
		now := time.Now()
		if p, again := c.followers.again(q, *r.StartTime, now); again {
			if c.program.chain > 0 {
				p.until = now.Add(c.program.chain).UnixMilli()
			}
			return c.follow(&r, matches, p)
		}
	}
	events, err := c.find(&r)
	if err != nil {
		return nil, err
	}
	if r.NextToken != "" {
		events = after(events, r.NextToken)
	}
	out, last := r.page(events, matches, "")
	if mayFollow && out.NextToken == "" {
		p := position{last: last}
		if n := len(out.Events); n > 0 {
			p.newest = out.Events[n-1].Timestamp
		}
		c.followers.answered(q, asked{p, time.Now(), *r.StartTime})
	}
	return out, nil
}

// page returns the first of some events that match, as many as were asked for, with the token of the next page if there is one, and the
// id of the last event that was looked at; last when there was none.
func (r *eventsRequest) page(events []function.LogEvent, matches func(string) bool, last string) (filtered, string) {
	out := filtered{Events: []eventDocument{}, SearchedLogStreams: []any{}}
	for _, e := range events {
		if matches(e.Text) {
			if len(out.Events) == r.Limit {
				out.NextToken = last
				break
			}
			out.Events = append(out.Events, eventDocument{e.Stream, e.Time.UnixMilli(), e.Text, e.Time.UnixMilli(), e.ID})
		}
		last = e.ID
	}
	return out, last
}

// pattern is a filter pattern of words: all that stand alone must be there, one of those with
// a question mark, none with a minus.
func pattern(text string) (func(string) bool, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") || strings.HasPrefix(text, "%") {
		return nil, invalid("Filter patterns of JSON, of columns and regular expressions are not supported: give words, or phrases in double quotes.")
	}
	var all, any, none []string
	for text != "" {
		into := &all
		switch text[0] {
		case '?':
			into, text = &any, text[1:]
		case '-':
			into, text = &none, text[1:]
		}
		word, rest := "", ""
		if quoted, is := strings.CutPrefix(text, `"`); is {
			end := strings.IndexByte(quoted, '"')
			if end < 0 {
				return nil, invalid("Invalid filter pattern")
			}
			word, rest = quoted[:end], quoted[end+1:]
		} else {
			word, rest, _ = strings.Cut(text, " ")
		}
		if word != "" {
			*into = append(*into, word)
		}
		text = strings.TrimSpace(rest)
	}
	return func(line string) bool {
		has := func(word string) bool { return strings.Contains(line, word) }
		return !slices.ContainsFunc(none, has) && (len(any) == 0 || slices.ContainsFunc(any, has)) &&
			!slices.ContainsFunc(all, func(word string) bool { return !has(word) })
	}, nil
}

func getEvents(c *call) (any, error) {
	r, events, err := c.events()
	if err == nil && r.LogStreamName == "" {
		err = missing("logStreamName")
	}
	if err != nil {
		return nil, err
	}
	known := events
	direction, id, _ := strings.Cut(r.NextToken, "/")
	switch {
	case direction == "f":
		events = after(events, id)
		events = events[:min(r.Limit, len(events))]
	case direction == "b":
		events = events[:len(events)-len(from(events, id))]
		events = events[max(0, len(events)-r.Limit):]
	case r.StartFromHead:
		events = events[:min(r.Limit, len(events))]
	default:
		events = events[max(0, len(events)-r.Limit):]
	}
	var out struct {
		Events            []eventDocument `json:"events"`
		NextForwardToken  string          `json:"nextForwardToken"`
		NextBackwardToken string          `json:"nextBackwardToken"`
	}
	out.Events = []eventDocument{}
	first, last := id, id
	if direction == "" && len(known) > 0 {
		first, last = known[0].ID, known[len(known)-1].ID
	}
	if len(events) > 0 {
		first, last = events[0].ID, events[len(events)-1].ID
	}
	for _, e := range events {
		out.Events = append(out.Events, eventDocument{Timestamp: e.Time.UnixMilli(), Message: e.Text, IngestionTime: e.Time.UnixMilli()})
	}
	out.NextForwardToken, out.NextBackwardToken = "f/"+last, "b/"+first
	return out, nil
}

func describeStreams(c *call) (any, error) {
	r, events, err := c.events()
	if err != nil {
		return nil, err
	}
	type stream struct {
		LogStreamName       string `json:"logStreamName"`
		Arn                 string `json:"arn"`
		CreationTime        int64  `json:"creationTime"`
		FirstEventTimestamp int64  `json:"firstEventTimestamp"`
		LastEventTimestamp  int64  `json:"lastEventTimestamp"`
		LastIngestionTime   int64  `json:"lastIngestionTime"`
		UploadSequenceToken string `json:"uploadSequenceToken"`
		StoredBytes         int64  `json:"storedBytes"`
	}
	name, _ := r.name() // it was looked at
	arn := arnOf(function.LogGroup{Scope: c.scope, Name: name})
	streams := []*stream{}
	for _, e := range events { // by time
		ms := e.Time.UnixMilli()
		i := slices.IndexFunc(streams, func(s *stream) bool { return s.LogStreamName == e.Stream })
		if i < 0 {
			i = len(streams)
			streams = append(streams, &stream{LogStreamName: e.Stream, Arn: arn + ":log-stream:" + e.Stream, CreationTime: ms, FirstEventTimestamp: ms, UploadSequenceToken: "0"})
		}
		streams[i].LastEventTimestamp, streams[i].LastIngestionTime = ms, ms
	}
	before := func(a, b *stream) int {
		order := strings.Compare(a.LogStreamName, b.LogStreamName)
		if r.OrderBy == "LastEventTime" {
			order = cmp.Or(cmp.Compare(a.LastEventTimestamp, b.LastEventTimestamp), order)
		}
		if r.Descending {
			order = -order
		}
		return order
	}
	slices.SortFunc(streams, before)
	if r.NextToken != "" { // the place of the last one that was shown, which may have gone or logged since
		text, err := base64.RawURLEncoding.DecodeString(r.NextToken)
		at, name, _ := strings.Cut(string(text), " ")
		ms, wrong := strconv.ParseInt(at, 10, 64)
		if err != nil || wrong != nil {
			return nil, invalid("The specified nextToken is invalid.")
		}
		last := &stream{LogStreamName: name, LastEventTimestamp: ms}
		streams = slices.DeleteFunc(streams, func(s *stream) bool { return before(s, last) <= 0 })
	}
	var out struct {
		LogStreams []*stream `json:"logStreams"`
		NextToken  string    `json:"nextToken,omitempty"`
	}
	out.LogStreams = streams
	if most := min(r.Limit, maxStreams); len(streams) > most {
		out.LogStreams = streams[:most]
		last := streams[most-1]
		out.NextToken = base64.RawURLEncoding.EncodeToString(fmt.Append(nil, last.LastEventTimestamp, " ", last.LogStreamName))
	}
	return out, nil
}
