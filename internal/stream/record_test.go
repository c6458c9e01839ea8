package stream

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trace"
)

func entries(pairs ...any) item.Item {
	var e []item.Entry
	for i := 0; i < len(pairs); i += 2 {
		v := item.Value(nil)
		switch x := pairs[i+1].(type) {
		case string:
			v = item.AppendString(nil, x)
		case []byte:
			v = item.AppendBinary(nil, x)
		}
		e = append(e, item.Entry{Name: pairs[i].(string), Value: v})
	}
	return item.NewItem(e)
}

// TestRecordJSON: both forms to the byte, but for the id, which depends on the
// database.
func TestRecordJSON(t *testing.T) {
	w := newWorld(t)
	s := w.create(NewAndOldImages, 1)
	before, after := entries("pk", "a\"b", "v", "1"), entries("pk", "a\"b", "v", []byte{0, 255})
	for _, c := range []struct {
		name        string
		change      Change
		api, lambda string
	}{
		{"modify", Change{Old: before, New: after},
			`{"eventID":"*","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{` +
				`"ApproximateCreationDateTime":1778534493,"Keys":{"pk":{"S":"a\"b"}},"NewImage":{"pk":{"S":"a\"b"},"v":{"B":"AP8="}},` +
				`"OldImage":{"pk":{"S":"a\"b"},"v":{"S":"1"}},"SequenceNumber":"18446762520453625325551617","SizeBytes":20,"StreamViewType":"NEW_AND_OLD_IMAGES"}}`,
			`{"eventID":"*","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{` +
				`"ApproximateCreationDateTime":1778534493.0,"Keys":{"pk":{"S":"a\"b"}},"NewImage":{"pk":{"S":"a\"b"},"v":{"B":"AP8="}},` +
				`"OldImage":{"pk":{"S":"a\"b"},"v":{"S":"1"}},"SequenceNumber":"18446762520453625325551617","SizeBytes":20,"StreamViewType":"NEW_AND_OLD_IMAGES"},` +
				`"eventSourceARN":"arn:aws:dynamodb:us-east-1:000000000000:table/tab/stream/2026-05-11T21:21:33.291"}`},
		{"expired", Change{Old: before, Expired: true},
			`{"eventID":"*","eventName":"REMOVE","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{` +
				`"ApproximateCreationDateTime":1778534493,"Keys":{"pk":{"S":"a\"b"}},"OldImage":{"pk":{"S":"a\"b"},"v":{"S":"1"}},` +
				`"SequenceNumber":"18446762520453625325551618","SizeBytes":12,"StreamViewType":"NEW_AND_OLD_IMAGES"},` +
				`"userIdentity":{"PrincipalId":"dynamodb.amazonaws.com","Type":"Service"}}`,
			`{"eventID":"*","eventName":"REMOVE","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{` +
				`"ApproximateCreationDateTime":1778534493.0,"Keys":{"pk":{"S":"a\"b"}},"OldImage":{"pk":{"S":"a\"b"},"v":{"S":"1"}},` +
				`"SequenceNumber":"18446762520453625325551618","SizeBytes":12,"StreamViewType":"NEW_AND_OLD_IMAGES"},` +
				`"userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"},` +
				`"eventSourceARN":"arn:aws:dynamodb:us-east-1:000000000000:table/tab/stream/2026-05-11T21:21:33.291"}`},
	} {
		image := c.change.New
		if image == nil {
			image = c.change.Old
		}
		c.change.Keys = keys.Extract(image)
		r := s.NewRecord(c.change)
		b := w.store.NewBatch()
		root(s).Append(b, r, w.ms.Load(), 1, 1)
		b.Close()
		id := regexp.MustCompile(`"eventID":"[0-9a-f]{32}"`)
		for form, pair := range map[string][2]string{"api": {string(r.AppendJSON(nil)), c.api}, "lambda": {string(r.Event()), c.lambda}} {
			if !id.MatchString(pair[0]) || !json.Valid([]byte(pair[0])) {
				t.Errorf("%s, %s: %s", c.name, form, pair[0])
			}
			if got := id.ReplaceAllString(pair[0], `"eventID":"*"`); got != pair[1] {
				t.Errorf("%s, %s:\n got %s\nwant %s", c.name, form, got, pair[1])
			}
		}
		first := r.Event()
		if again := r.Event(); &first[0] != &again[0] || r.EventSize() != len(r.Event()) {
			t.Error("the event is rendered twice")
		}
	}
}

// TestSizeBytes: AWS's published samples.
func TestSizeBytes(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name     string
		view     ViewType
		old, new item.Item
		want     int
	}{
		{"insert of a key", NewAndOldImages, nil, entries("pk", "Fred"), 12},
		{"keys only, insert", KeysOnly, nil, entries("pk", "Fred", "v", "x"), 6},
		{"keys only, modify", KeysOnly, entries("pk", "Fred", "v", "x"), entries("pk", "Fred"), 6},
		{"modify", NewAndOldImages, entries("pk", "Fred"), entries("pk", "Fred", "name", "Fred"), 26},
		{"binary, raw length", NewImage, nil, entries("pk", "Fred", "bin", []byte("123456")), 6 + 6 + 9},
	} {
		s := w.create(c.view, 1)
		if got := s.NewRecord(Change{Keys: entries("pk", "Fred"), Old: c.old, New: c.new}).SizeBytes(); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestPresence: what each view type shows of each event, in memory and read back.
func TestPresence(t *testing.T) {
	w := newWorld(t)
	before, after := entries("pk", "k", "v", "1"), entries("pk", "k", "v", "2")
	changes := map[EventName]Change{Insert: {New: after}, Modify: {Old: before, New: after}, Remove: {Old: before}}
	want := map[ViewType]string{ // insert, modify, remove: new image, old image
		KeysOnly: "-- -- --", NewImage: "n- n- --", OldImage: "-- -o -o", NewAndOldImages: "n- no -o",
	}
	for view, table := range want {
		s := w.create(view, 1)
		for name, c := range changes {
			shown := strings.Fields(table)[name]
			c.Keys, c.Cause, c.KeyHash = entries("pk", "k"), 7, 1<<63|5
			if name == Modify { // of a request with a trace
				c.Trace = trace.Parse("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
			}
			r := s.NewRecord(c)
			r.stamp(0, seqnum.Num{Hi: 1, Lo: 2}, 12345, -3, 1<<40)
			back := new(Record)
			err := back.decode(root(s), r.seq, bytes.Clone(r.value))
			if err != nil {
				t.Fatal(err)
			}
			if plain := c.Trace.IsZero(); plain != (r.value[0] == 1) {
				t.Errorf("a record of version %d; only a traced one is larger", r.value[0])
			}
			for _, r := range []*Record{r, back} {
				if r.TraceHeader() != c.Trace.Header() {
					t.Errorf("%s, %s: trace %v, want %v", view, name, r.TraceHeader(), c.Trace.Header())
				}
				got := []byte("--")
				if r.New() != nil {
					got[0] = 'n'
				}
				if r.Old() != nil {
					got[1] = 'o'
				}
				items, size := r.totals()
				if string(got) != shown || r.Name() != name || !item.Equal(item.Value(r.Keys()), item.Value(c.Keys)) ||
					r.Cause() != 7 || r.KeyHash() != 1<<63|5 || r.Time() != 12345 || items != -3 || size != 1<<40 || r.Expired() {
					t.Errorf("%s, %s: %s, want %s", view, name, got, shown)
				}
				js := string(r.AppendJSON(nil))
				if strings.Contains(js, `"NewImage"`) != (shown[0] == 'n') || strings.Contains(js, `"OldImage"`) != (shown[1] == 'o') ||
					strings.Contains(js, "userIdentity") {
					t.Errorf("%s, %s: %s", view, name, js)
				}
			}
			if !bytes.Equal(r.AppendJSON(nil), back.AppendJSON(nil)) {
				t.Error("read back, the record has another form (or id)")
			}
		}
	}
}

// TestDamagedRecord: damage is an error, never a panic.
func TestDamagedRecord(t *testing.T) {
	w := newWorld(t)
	s := w.create(NewAndOldImages, 1)
	change := Change{Keys: entries("pk", "k"), New: entries("pk", "k")}
	plain := s.NewRecord(change).value
	change.Trace = trace.Parse("Root=1-5759e988-bd862e3fe1be46a994272793")
	traced := s.NewRecord(change).value
	rapid.Check(t, func(t *rapid.T) {
		whole := plain
		if rapid.Bool().Draw(t, "traced") {
			whole = traced
		}
		v := bytes.Clone(whole)
		if rapid.Bool().Draw(t, "cut") {
			v = v[:rapid.IntRange(0, len(v)-1).Draw(t, "to")]
		} else {
			v[rapid.IntRange(0, headerSize-1).Draw(t, "at")] ^= rapid.ByteMin(1).Draw(t, "bits")
		}
		r := new(Record)
		err := r.decode(root(s), seqnum.Num{}, v)
		if err == nil {
			_, _, _, _, _ = r.Keys(), r.New(), r.Old(), r.Name().String(), r.TraceHeader()
		} else if len(v) == len(whole) && bytes.Equal(v[40:], whole[40:]) && v[0] == whole[0] && v[1] < 3 && v[3] > 0 && v[3] < 5 {
			t.Fatal(err)
		}
		if len(v) < len(whole) && err == nil {
			t.Fatal("a short record passes")
		}
	})
	for _, name := range []string{"KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"} {
		if v, ok := ParseViewType(name); !ok || v.String() != name {
			t.Error(name)
		}
	}
	if _, ok := ParseViewType(""); ok {
		t.Error("an empty view type passes")
	}
}

func BenchmarkEvent(b *testing.B) {
	w := newWorld(b)
	s := w.create(NewAndOldImages, 1)
	r := s.NewRecord(Change{Keys: entries("pk", "k"), New: entries("pk", "k", "v", strings.Repeat("x", 1000))})
	b.ReportAllocs()
	for b.Loop() {
		r.state.Store(unrendered)
		r.Event()
	}
}
