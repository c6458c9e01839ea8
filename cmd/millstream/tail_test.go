package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/admin"
)

func TestPlain(t *testing.T) {
	for itemJSON, want := range map[string]string{
		`{"id":{"S":"a\"<b>"}}`:                         `{"id":"a\"<b>"}`,
		`{"n":{"N":"12345678901234567890.5"}}`:          `{"n":12345678901234567890.5}`,
		`{"b":{"B":"AAE="},"z":{"NULL":true}}`:          `{"b":"AAE=","z":null}`,
		`{"y":{"BOOL":false},"s":{"SS":["a","b"]}}`:     `{"s":["a","b"],"y":false}`,
		`{"ns":{"NS":["1","2"]}}`:                       `{"ns":["1","2"]}`,
		`{"l":{"L":[{"S":"x"},{"M":{"k":{"N":"1"}}}]}}`: `{"l":["x",{"k":1}]}`,
		`{"future":{"X":"y"}}`:                          `{"future":"y"}`,
		`{"odd":7}`:                                     `{"odd":7}`,
		`not JSON`:                                      `not JSON`,
	} {
		if got := plain(json.RawMessage(itemJSON)); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", itemJSON, got, want)
		}
	}
}

func TestPrintChange(t *testing.T) {
	at := time.Date(2026, 1, 2, 14, 2, 11, 0, time.Local)
	record, err := json.Marshal(map[string]any{"eventName": "MODIFY", "dynamodb": map[string]any{
		"ApproximateCreationDateTime": at.Unix(),
		"Keys":                        json.RawMessage(`{"id":{"S":"o-1"}}`),
		"SequenceNumber":              "18446762520453625325551618",
		"OldImage":                    json.RawMessage(`{"id":{"S":"o-1"},"status":{"S":"placed"}}`),
		"NewImage":                    json.RawMessage(`{"id":{"S":"o-1"},"status":{"S":"paid"}}`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := printChange(&out, admin.Change{Record: record}, false); err != nil {
		t.Fatal(err)
	}
	const want = `14:02:11.000  MODIFY  {"id":"o-1"}  18446762520453625325551618
              old     {"id":"o-1","status":"placed"}
              new     {"id":"o-1","status":"paid"}
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestCut(t *testing.T) {
	long := strings.Repeat("x", 100)
	got := plainCut(json.RawMessage(`{"a":{"S":"`+long+`"},"n":{"N":"12345678901234567890"},"l":{"L":[{"S":"b"},{"M":{"c":{"S":"`+long+`"}}}]},"s":{"SS":["`+strings.Repeat(`x","`, 11)+`y"]},"t":{"BOOL":true}}`), 10)
	want := `{"a":"xxxxxxxxxx... (100 characters)","l":["b",{"c":"xxxxxxxxxx... (100 characters)"}],"n":12345678901234567890,` +
		`"s":["x","x","x","x","x","x","x","x","x","x","... (12 elements)"],"t":true}`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
