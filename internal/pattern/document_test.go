package pattern

import "testing"

// Documents are matched as AWS's filters of SQS messages are: the rows are of its tests and its page.
func TestDocuments(t *testing.T) {
	for _, row := range []struct {
		pattern, document string
		want              bool
	}{
		{`{"body":{"my-key":["my-value"]}}`, `{"body":{"my-key":"my-value"}}`, true},
		{`{"body":{"my-key":["my-value"]}}`, `{"body":{"my-key":"other"}}`, false},
		{`{"body":{"my-key":["my-value"]}}`, `{"body":"text"}`, false},
		{`{"body":["text"]}`, `{"body":"text"}`, true},
		{`{"body":["text"]}`, `{"body":{"text":1}}`, false},
		{`{"body":{"n":[{"numeric":[">=",100,"<",200]}]}}`, `{"body":{"n":100}}`, true},
		{`{"body":{"n":[{"numeric":[">=",100,"<",200]}]}}`, `{"body":{"n":200}}`, false},
		{`{"body":{"n":[{"numeric":["=",1]}]}}`, `{"body":{"n":"1"}}`, false},
		{`{"body":{"a":[{"exists":true}]}}`, `{"body":{"a":null}}`, true},
		{`{"body":{"a":[{"exists":true}]}}`, `{"body":{"a":{"b":1}}}`, false},
		{`{"body":{"a":[{"exists":false}]}}`, `{"body":{"b":1}}`, true},
		{`{"body":{"a":[{"anything-but":["x"]}]}}`, `{"body":{"a":"y"}}`, true},
		{`{"body":{"a":[{"prefix":"us-"}],"b":[true]}}`, `{"body":{"a":"us-1","b":true}}`, true},
		{`{"body":{"a":[{"prefix":"us-"}],"b":[true]}}`, `{"body":{"a":"us-1","b":false}}`, false},
		{`{"body":{"a":["x"]}}`, `{"body":{"a":["y","x"]}}`, true},
		{`{"body":{"l":{"a":[1],"b":[2]}}}`, `{"body":{"l":[{"a":1,"b":3},{"a":0,"b":2}]}}`, false},
		{`{"body":{"a.b":[1]}}`, `{"body":{"a":{"b":1}}}`, true},
		{`{"body":{"a":{"b":[1]}}}`, `{"body":{"a.b":1}}`, true},
		{`{"body":{"a":{"b":[1],"c":[2]}}}`, `{"body":{"a":{"b":1},"a.c":2}}`, true}, // as in a record
		{`{"$or":[{"body":{"a":[1]}},{"attributes":{"k":["v"]}}]}`, `{"attributes":{"k":"v"}}`, true},
	} {
		p, err := Parse(row.pattern)
		if err != nil {
			t.Fatal(err)
		}
		d, err := ParseDocument(row.document)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.MatchDocument(d); got != row.want {
			t.Errorf("%s on %s: %v", row.pattern, row.document, got)
		}
	}
}
