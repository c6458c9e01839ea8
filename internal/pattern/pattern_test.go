package pattern_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/pattern"
)

// testRecord is a record made from the JSON of its images.
type testRecord struct {
	name, keys, newImage, oldImage string
	images                         map[string]item.Item
	expired                        bool
}

func newRecord(t testing.TB, name, keys, newImage, oldImage string) *testRecord {
	r := &testRecord{name: name, keys: keys, newImage: newImage, oldImage: oldImage, images: map[string]item.Item{}}
	for part, text := range map[string]string{"Keys": keys, "NewImage": newImage, "OldImage": oldImage} {
		if text == "" {
			continue
		}
		var rd item.Reader
		rd.Reset([]byte(text))
		it, invalid, err := rd.Item()
		if err != nil || invalid != nil {
			t.Fatalf("%s: %v %v", text, err, invalid)
		}
		r.images[part] = it
	}
	return r
}

func (r *testRecord) Member(name string) (string, bool) {
	switch name {
	case "eventName":
		return r.name, true
	case "eventSource":
		return "aws:dynamodb", true
	case "userIdentity.type":
		return "Service", r.expired
	}
	return "", false
}

func (r *testRecord) Number(name string) (int64, bool) {
	switch name {
	case "ApproximateCreationDateTime":
		return 1764085675, true
	case "SizeBytes":
		return 24, true
	}
	return 0, false
}

func (r *testRecord) Image(name string) item.Item { return r.images[name] }

// event is the record as JSON, for the plain matcher.
func (r *testRecord) event() map[string]any {
	d := map[string]any{"ApproximateCreationDateTime": json.Number("1764085675"), "SizeBytes": json.Number("24")}
	for part, it := range r.images {
		var v any
		dec := json.NewDecoder(strings.NewReader(string(it.AppendJSON(nil))))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			panic(err)
		}
		d[part] = v
	}
	e := map[string]any{"eventName": r.name, "eventSource": "aws:dynamodb", "dynamodb": d}
	if r.expired {
		e["userIdentity"] = map[string]any{"type": "Service"}
	}
	return e
}

// The files of testdata hold patterns and what they match:
//
//	record name=INSERT        the record that follows is about; lines "Keys {...}", "NewImage {...}"
//	match                     a pattern a line; prints each line's answer, or what is wrong with it
//	warnings                  a pattern; prints what is suspicious about it
func TestPatterns(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var r *testRecord
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			switch d.Cmd {
			case "record":
				name := "INSERT"
				d.MaybeScanArgs(t, "name", &name)
				images := map[string]string{}
				for line := range strings.Lines(d.Input) {
					part, text, _ := strings.Cut(line, " ")
					images[part] = text
				}
				r = newRecord(t, name, images["Keys"], images["NewImage"], images["OldImage"])
				r.expired = d.HasArg("expired")
			case "match":
				for line := range strings.Lines(d.Input) {
					p, err := pattern.Parse(line)
					if err != nil {
						if !errors.Is(err, pattern.ErrInvalid) {
							d.Fatalf(t, "%v", err)
						}
						fmt.Fprintln(&out, strings.TrimPrefix(err.Error(), pattern.ErrInvalid.Error()+": "))
						continue
					}
					got := p.Match(r)
					if want := plainMatch(p.String(), r.event()); want != got {
						d.Fatalf(t, "%s: %v, but %v by the plain matcher", line, got, want)
					}
					fmt.Fprintln(&out, got)
				}
			case "warnings":
				p, err := pattern.Parse(d.Input)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				for _, w := range p.Warnings() {
					fmt.Fprintln(&out, w)
				}
			default:
				d.Fatalf(t, "unknown command")
			}
			return out.String()
		})
	})
}
