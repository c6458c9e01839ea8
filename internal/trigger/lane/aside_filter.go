package lane

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/item"
)

// Held rows are judged by the filters before each attempt, as records are that wait in memory. What filters look at is
// read from the row's event.

// refused ends the first held row of a key when the filters do not want it any more, and reports whether that is so. What
// a person has sent to another function is not the mapping's to choose, and neither is an event that cannot be read.
func (s *asideStep) refused(h *heldKey, r *SetAside) bool {
	if !s.unwanted(r) {
		return false
	}
	s.counters.FilteredOut++
	s.discard(r)
	h.passed(r)
	h.attempts, h.fails, h.err = 0, 0, ""
	h.at = s.now.Mono
	return true
}

func (s *asideStep) unwanted(r *SetAside) bool {
	if !s.p.chooses() || r.Function != "" {
		return false
	}
	ev, err := readEvent(r)
	return err == nil && !s.p.Wants(ev)
}

// eventRecord is a stored record as filters see it.
type eventRecord struct {
	asideRecord
	members map[string]string
	numbers map[string]json.Number
	images  map[string]item.Item
}

func readEvent(r *SetAside) (eventRecord, error) {
	ev := eventRecord{asideRecord{r}, map[string]string{}, map[string]json.Number{}, map[string]item.Item{}}
	var top, change, identity map[string]json.RawMessage
	if err := json.Unmarshal(r.Event, &top); err != nil {
		return ev, err
	}
	if err := json.Unmarshal(top["dynamodb"], &change); err != nil {
		return ev, err
	}
	if text := top["userIdentity"]; text != nil {
		if err := json.Unmarshal(text, &identity); err != nil {
			return ev, err
		}
	}
	ev.scalars("", top)
	ev.scalars("", change)
	ev.scalars("userIdentity.", identity)
	var read item.Reader
	for _, name := range []string{"Keys", "NewImage", "OldImage"} {
		text := change[name]
		if text == nil {
			continue
		}
		read.Reset(text)
		it, invalid, err := read.Item()
		if err == nil && invalid != nil {
			err = invalid
		}
		if err != nil {
			return ev, err
		}
		ev.images[name] = it
	}
	return ev, nil
}

// scalars takes the members that are strings or numbers.
func (r *eventRecord) scalars(prefix string, members map[string]json.RawMessage) {
	for name, text := range members {
		var s string
		switch {
		case json.Unmarshal(text, &s) == nil:
			r.members[prefix+name] = s
		case text[0] != '{':
			r.numbers[prefix+name] = json.Number(text)
		}
	}
}

func (r eventRecord) Member(name string) (string, bool) {
	text, ok := r.members[name]
	return text, ok
}

func (r eventRecord) Number(name string) (int64, bool) {
	whole, _, _ := strings.Cut(string(r.numbers[name]), ".") // a time is written with ".0"
	n, err := strconv.ParseInt(whole, 10, 64)
	return n, err == nil
}

func (r eventRecord) Image(name string) item.Item { return r.images[name] }
