package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

// growth walks everything that is reachable from a value and counts, by the way to it, the entries of maps and the elements of
// slices. What lies behind a function or a channel is not seen, nor is the storage engine.
type growth struct {
	seen   map[unsafe.Pointer]reflect.Type
	counts map[string]int
}

func (g *growth) walk(way string, v reflect.Value) {
	switch t := v.Type(); v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || strings.HasPrefix(t.Elem().PkgPath(), "github.com/cockroachdb/") || g.seen[v.UnsafePointer()] == t {
			return
		}
		g.seen[v.UnsafePointer()] = t
		g.walk(way, v.Elem())
	case reflect.Interface:
		if !v.IsNil() && v.Elem().Type() != reflect.TypeFor[reflect.Value]() && v.Elem().Type() != reflect.TypeFor[reflect.Type]() {
			g.walk(way, v.Elem())
		}
	case reflect.Struct:
		switch {
		case t.PkgPath() == "reflect":
			return
		case t == reflect.TypeFor[sync.Map]() && v.CanAddr():
			(*sync.Map)(v.Addr().UnsafePointer()).Range(func(_, value any) bool {
				g.counts[way]++
				g.walk(way+"[]", reflect.ValueOf(value))
				return true
			})
			return
		case t.PkgPath() == "sync/atomic" && strings.HasPrefix(t.Name(), "Pointer["):
			elem := t.Field(0).Type.Elem() // *T
			if p := v.FieldByName("v").UnsafePointer(); p != nil {
				g.walk(way, reflect.NewAt(elem.Elem(), p))
			}
			return
		}
		for i := range v.NumField() {
			g.walk(way+"."+t.Field(i).Name, v.Field(i))
		}
	case reflect.Map:
		g.counts[way] += v.Len()
		for all := v.MapRange(); all.Next(); {
			g.walk(way+"[]", all.Value())
		}
	case reflect.Slice:
		g.counts[way] += v.Len()
		if k := v.Type().Elem().Kind(); k >= reflect.Bool && k <= reflect.Complex128 || k == reflect.String {
			return
		}
		for i := range v.Len() {
			g.walk(way+"[]", v.Index(i))
		}
	case reflect.Array:
		if k := v.Type().Elem().Kind(); k >= reflect.Bool && k <= reflect.Complex128 {
			return
		}
		for i := range v.Len() {
			g.walk(way+"[]", v.Index(i))
		}
	}
}

func measureGrowth(s *App) map[string]int {
	g := growth{seen: map[unsafe.Pointer]reflect.Type{}, counts: map[string]int{}}
	g.walk("app", reflect.ValueOf(s))
	return g.counts
}

// askForNobody asks in every way for what is not there; i makes the names.
func askForNobody(t *testing.T, s *App, i int) {
	name := fmt.Sprintf("nobody%07d", i)
	authorization := func(service string) string {
		return "AWS4-HMAC-SHA256 Credential=" + fmt.Sprintf("%012d", i) + "/20261129/region-" + name + "/" + service + "/aws4_request, SignedHeaders=host, Signature=" + name
	}
	do := func(method, path, service, target, body string) {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Host = "localhost"
		r.Header.Set("Authorization", authorization(service))
		r.Header.Set("X-Amz-Date", "20261129T060000Z")
		r.Header.Set("X-Amz-Security-Token", name)
		r.Header.Set("User-Agent", name)
		r.Header.Set("X-Millstream", "1")
		r.Header.Set("Content-Type", "application/x-amz-json-1.0")
		if target != "" {
			r.Header.Set("X-Amz-Target", target)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code == http.StatusInternalServerError {
			t.Fatalf("%s %s %s: %s", method, path, target, w.Body)
		}
	}
	key := `"Key":{"id":{"S":"` + name + `"}}`
	for _, operation := range s.targetsOfTest() {
		_, short, _ := strings.Cut(operation, ".")
		switch short {
		case "CreateTable", "CreateBackup", "ImportTable", "CreateGlobalTable":
			continue // what they make is there
		}
		for _, body := range []string{
			`{"TableName":"` + name + `",` + key + `}`,
			`{"StreamArn":"arn:aws:dynamodb:us-east-1:000000000000:table/` + name + `/stream/2026-01-01T00:00:00.000"}`,
			`{"ResourceArn":"arn:aws:dynamodb:us-east-1:000000000000:table/` + name + `"}`,
			`{"Statement":"SELECT * FROM \"` + name + `\" WHERE id='` + name + `'"}`,
			`{"RequestItems":{"` + name + `":{"Keys":[{"id":{"S":"a"}}]}}}`,
			`{"ShardIterator":"` + name + `"}`,
			`{"ClientRequestToken":"` + name + `","TransactItems":[{"Delete":{"TableName":"` + name + `",` + key + `}}]}`,
			`{"TableName":"` + "known" + `",` + key + `}`,
		} {
			do("POST", "/", "dynamodb", operation, body)
		}
	}
	do("POST", "/", "dynamodb", "DynamoDB_20120810."+name, "{}")
	do("POST", "/", name, "", "{}")
	for _, path := range []string{"", "/invocations", "/configuration", "/code", "/url", "/concurrency", "/versions", "/aliases", "/aliases/" + name, "/policy", "/event-invoke-config"} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			do(method, "/2015-03-31/functions/"+name+path, "lambda", "", "{}")
		}
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		do(method, "/2015-03-31/event-source-mappings/"+name, "lambda", "", "{}")
		do(method, "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3A"+name, "lambda", "", "{}")
	}
	do("GET", "/2018-10-31/layers/"+name+"/versions", "lambda", "", "")
	for _, target := range []string{"DescribeLogGroups", "DescribeLogStreams", "GetLogEvents", "FilterLogEvents"} {
		do("POST", "/", "logs", "Logs_20140328."+target, `{"logGroupName":"/aws/lambda/`+name+`","logStreamName":"`+name+`","logGroupNamePrefix":"`+name+`"}`)
	}
	for _, path := range []string{
		"logs?function=" + name, "logs?function=" + name + "&account=" + fmt.Sprintf("%012d", i), "status?x=" + name, "triggers/" + name, "shards?table=" + name, "parked?function=" + name,
		"parked/" + name, "apis/" + name, "invoke?function=" + name, "code/" + name, name,
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			do(method, "/_millstream/v1/"+path, "", "", "{}")
		}
	}
	do("GET", "/"+name, "", "", "")
	r := httptest.NewRequest("GET", "/"+name, nil)
	r.Host = name + ".lambda-url.localhost"
	s.FrontHandler().ServeHTTP(httptest.NewRecorder(), r)
	r.Host = name + ".evil.example"
	s.Handler().ServeHTTP(httptest.NewRecorder(), r)
}

// targetsOfTest are the X-Amz-Targets that there are.
func (s *App) targetsOfTest() (all []string) {
	for _, operation := range []string{
		"BatchExecuteStatement", "BatchGetItem", "BatchWriteItem", "DeleteItem", "DeleteTable", "DescribeContinuousBackups", "DescribeTable", "DescribeTimeToLive",
		"ExecuteStatement", "ExecuteTransaction", "GetItem", "GetResourcePolicy", "ListTables", "ListTagsOfResource", "PutItem", "PutResourcePolicy", "Query", "Scan", "TagResource",
		"TransactGetItems", "TransactWriteItems", "UntagResource", "UpdateItem", "UpdateTable", "UpdateTimeToLive",
	} {
		all = append(all, "DynamoDB_20120810."+operation)
	}
	for _, operation := range []string{"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"} {
		all = append(all, "DynamoDBStreams_20120810."+operation)
	}
	return all
}

// Whatever names callers make up, nothing that is kept grows with their number: no map, no slice, anywhere in the program. A
// first round lets what is made once be made.
func TestNamesThatNobodyHasLeaveNothing(t *testing.T) {
	if underRace {
		t.Skip("it looks into a program that runs, without its locks")
	}
	for _, dir := range []string{"", t.TempDir()} {
		s, err := Open(Options{Dir: dir}, nil)
		if err != nil {
			t.Fatal(err)
		}
		const names = 20
		round := func(k int) map[string]int {
			for i := range names {
				askForNobody(t, s, k*names+i)
			}
			return measureGrowth(s)
		}
		round(0)
		before, after := round(1), round(2)
		if len(after) < 100 {
			t.Errorf("only %d places were found", len(after))
		}
		for way, n := range after {
			if n >= before[way]+names/2 {
				t.Errorf("%s: %d entries more for %d names", way, n-before[way], names)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
