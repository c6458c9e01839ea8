package arn

import "testing"

var here = Scope{Account: "123456789012", Region: "eu-west-1"}

func TestStreams(t *testing.T) {
	text := here.StreamARN("tab", "2026-01-02T03:04:05.678")
	if got, table, label, ok := Stream(text); !ok || got != here || table != "tab" || label != "2026-01-02T03:04:05.678" {
		t.Error(text, " is read as ", got, table, label, ok)
	}
	if TableOf(text) != "tab" || TableOf("tab") != "" {
		t.Error("the table of a stream is read as ", TableOf(text), TableOf("tab"))
	}
	for _, bad := range []string{
		"", "tab", here.TableARN("tab"), here.TableARN("tab") + "/stream/", here.FunctionARN("f"), here.MappingARN("u"),
		here.TableARN("") + "/stream/x", here.TableARN("tab") + "/index/x", text + "/x", "arn:aws:s3:eu-west-1:1:table/tab/stream/x",
	} {
		if _, _, _, ok := Stream(bad); ok {
			t.Error(bad, " is taken for a stream")
		}
	}
}

func TestTables(t *testing.T) {
	for _, good := range []string{here.TableARN("tab"), "arn:aws-cn:dynamodb:eu-west-1:123456789012:table/tab"} {
		if got, table, ok := Table(good); !ok || got != here || table != "tab" {
			t.Error(good, " is read as ", got, table, ok)
		}
	}
	for _, bad := range []string{
		"", "tab", here.StreamARN("tab", "x"), here.TableARN("tab/index/x"), here.TableARN(""), here.TableARN("a b"),
		"arn::dynamodb:eu-west-1:123456789012:table/tab", "arn:aws:s3:eu-west-1:123456789012:table/tab",
	} {
		if _, _, ok := Table(bad); ok {
			t.Error(bad, " is taken for a table")
		}
	}
}

// The one answer to what becomes of a qualifier: it is kept, in a field of its own.
func TestFunctions(t *testing.T) {
	account, region := Scope{Account: here.Account}, Scope{Region: here.Region}
	for text, want := range map[string]Function{
		"f":                                   {Name: "f"},
		"f:live":                              {Name: "f", Qualifier: "live"},
		"f:$LATEST":                           {Name: "f", Qualifier: "$LATEST"},
		"function:f":                          {Name: "f"},
		"function:f:7":                        {Name: "f", Qualifier: "7"},
		"123456789012:f":                      {account, "f", ""},
		"123456789012:function:f:7":           {account, "f", "7"},
		"eu-west-1:f":                         {region, "f", ""},
		"eu-west-1:123456789012:function:f":   {here, "f", ""},
		here.FunctionARN("f"):                 {here, "f", ""},
		here.FunctionARN("f:live"):            {here, "f", "live"},
		"arn:aws-cn:lambda:123456789012:f:v1": {account, "f", "v1"},
	} {
		got, ok := ParseFunction(text)
		if !ok || got != want {
			t.Errorf("%s is read as %+v, %v: want %+v", text, got, ok, want)
		}
		if whole := got.In(here).String(); whole != here.FunctionARN(want.Qualified()) {
			t.Errorf("%s stands for %s", text, whole)
		}
	}
	if got := FunctionOf(here.FunctionARN("f:live")); got != "f:live" {
		t.Error("a qualified function is shown as ", got)
	}
	for _, bad := range []string{
		"", ":", "f:", ":f", "a b", "f:1:2", "arn:aws:sqs:eu-west-1:123456789012:q", "arn:aws", "arn:lambda:f", "f:a.b",
		here.TableARN("tab"), here.ARN("lambda", "layer:l:1"),
	} {
		if f, ok := ParseFunction(bad); ok {
			t.Errorf("%q is taken for the function %+v", bad, f)
		}
	}
}

func TestServicesAndGroups(t *testing.T) {
	for text, want := range map[string]string{
		here.ARN("sqs", "q"): "sqs", "arn:aws:s3:::bucket/a:b": "s3", "q": "", "arn:aws:sqs": "", "arn:aws::a:b:c": "", "arn::sqs:a:b:c": "",
	} {
		if got := Service(text); got != want {
			t.Errorf("the service of %q is %q, want %q", text, got, want)
		}
	}
	if got := here.Global("iam", "root"); got != "arn:aws:iam::123456789012:root" {
		t.Error(got)
	}
	group := here.ARN("logs", "log-group:/aws/lambda/f")
	for _, text := range []string{group, group + ":*", "/aws/lambda/f"} {
		if got := LogGroup(text); got != "/aws/lambda/f" {
			t.Errorf("the group of %q is %q", text, got)
		}
	}
}

// No text makes a parser panic; one that was taken apart is built again to what reads the same; and none is two things.
func FuzzParsers(f *testing.F) {
	for _, s := range []string{
		"f:live", "123456789012:function:f", here.FunctionARN("f:7"), here.StreamARN("t", "l"), here.TableARN("t"), "arn:aws:s3:::b", ":", "arn:::",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if a, ok := Parse(text); ok && a.String() != text {
			t.Errorf("%q is built again as %q", text, a)
		}
		kinds := 0
		if scope, table, ok := Table(text); ok {
			kinds++
			if s, name, ok := Table(scope.TableARN(table)); !ok || s != scope || name != table {
				t.Errorf("%q is not read back", text)
			}
		}
		if scope, table, label, ok := Stream(text); ok {
			kinds++
			if got := scope.StreamARN(table, label); got != text {
				t.Errorf("%q is built again as %q", text, got)
			}
		}
		if fn, ok := ParseFunction(text); ok {
			kinds++
			if again, ok := ParseFunction(fn.In(here).String()); !ok || again != fn.In(here) {
				t.Errorf("%q is not read back: %+v, then %+v", text, fn, again)
			}
		}
		if kinds > 1 {
			t.Errorf("%q is of %d kinds", text, kinds)
		}
		_, _ = LogGroup(text), Service(text)
	})
}
