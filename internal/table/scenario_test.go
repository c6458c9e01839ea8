package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// TestScenarios runs the files of testdata/scenarios, each on a database of its
// own. A command is
//
//	table NAME pk:S [sk:N] [stream=VIEW] [shards=N]
//	<Operation> [NAME]
//
//	sql [limit=N] [next] [capacity] [all-old]
//
// with the members of the request, in JSON without TableName, as input. The output is
// the answer or the error, and the records that the operation left on the
// table's stream. "reopen" closes the database and opens it again; "fill" runs the
// back-fills. "delay DURATION" sets for how long states in between are seen, and
// stops the clock, which "wait DURATION" moves. "go test -rewrite" writes the outputs
// anew.
//
//	delay DURATION
//	wait DURATION
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		s := &scenarios{world: newWorld(t), printed: map[string]int{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.run(t, d) })
	})
}

type scenarios struct {
	*world
	printed map[string]int // records shown already, by stream
	token   string         // NextToken of the last statement
	delay   time.Duration
	clock   time.Time // of the tables, once it was stopped
}

func (s *scenarios) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "table":
		return s.table(t, d)
	case "reopen":
		s.reopen(t)
		s.stopClock()
		return ""
	case "delay", "wait":
		by, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		if d.Cmd == "delay" {
			s.delay = by
			s.clock = time.Date(2026, 11, 26, 20, 30, 0, 0, time.UTC)
		} else {
			s.clock = s.clock.Add(by)
		}
		s.stopClock()
		return ""
	case "fill":
		if err := s.db.fillAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		return ""
	}
	body := strings.TrimSpace(d.Input)
	if d.Cmd == "sql" {
		d.Cmd, body = "ExecuteStatement", s.statement(d)
		d.CmdArgs = nil
	}
	if len(d.CmdArgs) > 0 {
		name := d.CmdArgs[0].Key
		if members := strings.TrimPrefix(body, "{"); members == "}" {
			body = fmt.Sprintf(`{"TableName":%q}`, name)
		} else {
			body = fmt.Sprintf(`{"TableName":%q,%s`, name, members)
		}
	}
	answer, err := s.call(d.Cmd, body)
	if r, ok := answer.(*StatementResult); ok && r != nil {
		s.token = r.NextToken
	}
	out := show(answer)
	if err != nil {
		out = err.Error()
		var e *awserr.Error
		if errors.As(err, &e) && e.Item != nil {
			out += "\nItem " + jsonOf(e.Item)
		}
		if e != nil {
			for i, reason := range e.Reasons {
				if reason.Message != "" {
					out += fmt.Sprintf("\n%d: %s", i, reason.Message)
				}
				if reason.Item != nil {
					out += "\n   Item " + jsonOf(reason.Item)
				}
			}
		}
	}
	return strings.Join(append([]string{out}, s.newRecords(t)...), "\n") + "\n"
}

// stopClock makes the tables use the clock of the scenario, if it has one.
func (s *scenarios) stopClock() {
	if !s.clock.IsZero() {
		s.db.now = func() time.Time { return s.clock }
		s.db.delay = s.delay.Milliseconds()
	}
}

// statement makes a request of an input that is a statement; with "next", it goes
// on where the last page ended.
func (s *scenarios) statement(d *datadriven.TestData) string {
	b, _ := json.Marshal(strings.TrimSpace(d.Input))
	body := `{"Statement":` + string(b)
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "limit":
			body += `,"Limit":` + arg.Vals[0]
		case "next":
			body += fmt.Sprintf(`,"NextToken":%q`, s.token)
		case "capacity":
			body += `,"ReturnConsumedCapacity":"TOTAL"`
		case "all-old":
			body += `,"ReturnValuesOnConditionCheckFailure":"ALL_OLD"`
		}
	}
	return body + "}"
}

func (s *scenarios) table(t *testing.T, d *datadriven.TestData) string {
	var attributes, keys []string
	stream, shards := "", 1
	for i, arg := range d.CmdArgs[1:] {
		if arg.Key == "stream" {
			stream = fmt.Sprintf(`,"StreamSpecification":{"StreamEnabled":true,"StreamViewType":%q}`, arg.Vals[0])
			continue
		}
		if arg.Key == "shards" {
			d.ScanArgs(t, "shards", &shards)
			continue
		}
		name, kind, _ := strings.Cut(arg.Key, ":")
		attributes = append(attributes, fmt.Sprintf(`{"AttributeName":%q,"AttributeType":%q}`, name, kind))
		keys = append(keys, fmt.Sprintf(`{"AttributeName":%q,"KeyType":%q}`, name, []string{"HASH", "RANGE"}[i]))
	}
	s.must(t, "CreateTable", fmt.Sprintf(`{"TableName":%q,"BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[%s],"KeySchema":[%s],
		"Tags":[{"Key":"millstream:shards","Value":"%d"}]%s}`, d.CmdArgs[0].Key, strings.Join(attributes, ","), strings.Join(keys, ","), shards, stream))
	return ""
}

// newRecords shows the records that no earlier command has shown.
func (s *scenarios) newRecords(t *testing.T) []string {
	var out []string
	for _, st := range s.streams.All() {
		n := 0
		for _, sh := range st.Shards() {
			recs, err := readShard(sh)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range recs {
				if n++; n > s.printed[st.ARN] {
					line := fmt.Sprintf("%s %s of %s", r.Name(), jsonOf(r.Keys()), st.Table)
					if r.Old() != nil {
						line += "\n  old " + jsonOf(r.Old())
					}
					if r.New() != nil {
						line += "\n  new " + jsonOf(r.New())
					}
					out = append(out, line)
				}
			}
		}
		s.printed[st.ARN] = n
	}
	return out
}

// show writes an answer: what it has, in the words of the API.
func show(answer any) string {
	var b strings.Builder
	add := func(format string, args ...any) {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, format, args...)
	}
	addItem := func(name string, it item.Item) {
		if it != nil {
			add("%s %s", name, jsonOf(it))
		}
	}
	addCapacity := func(c *Capacity) {
		if c != nil {
			add("%v %sunits of %s", c.Units, strings.TrimPrefix(strings.ToLower(c.Kind)+" ", " "), c.TableName)
		}
	}
	switch a := answer.(type) {
	case *WriteResult:
		addItem("Attributes", a.Attributes)
		addCapacity(a.Capacity)
		if a.Collection != nil {
			addItem("ItemCollectionKey", a.Collection.Key)
		}
	case *GetResult:
		if a.Found {
			add("Item %s", jsonOf(a.Item))
		} else {
			add("not found")
		}
		addCapacity(a.Capacity)
	case *QueryResult:
		for _, it := range a.Items {
			add("%s", jsonOf(it))
		}
		add("Count %d of %d", a.Count, a.ScannedCount)
		addItem("LastEvaluatedKey", a.LastEvaluatedKey)
		addCapacity(a.Capacity)
	case *BatchGetResult:
		for _, table := range a.Tables {
			add("%s:", table.Requested)
			for _, it := range table.Items {
				add("  %s", jsonOf(it))
			}
			if table.Unprocessed != nil {
				add("  %d keys unprocessed", len(table.Unprocessed.Keys))
			}
		}
		for _, c := range a.Capacity {
			addCapacity(c)
		}
	case *TransactWriteResult:
		for _, c := range a.Capacity {
			addCapacity(c)
		}
	case *StatementResult:
		for _, it := range a.Items {
			add("%s", jsonOf(it))
		}
		if a.NextToken != "" {
			add("NextToken")
		}
		addItem("LastEvaluatedKey", a.LastEvaluatedKey)
		addCapacity(a.Capacity)
	case *BatchStatementResult:
		for _, r := range a.Responses {
			switch {
			case r.Error != nil:
				add("%s: %s", r.Table, r.Error)
				addItem("  Item", r.Error.Item)
			case r.Item != nil:
				add("%s: %s", r.Table, jsonOf(r.Item))
			default:
				add("%s: {}", r.Table)
			}
		}
		for _, c := range a.Capacity {
			addCapacity(c)
		}
	case *TransactionResult:
		for _, it := range a.Items {
			add("%s", jsonOf(it))
		}
		for _, c := range a.Capacity {
			addCapacity(c)
		}
	case *TransactGetResult:
		for _, it := range a.Items {
			add("%s", jsonOf(it))
		}
		for _, c := range a.Capacity {
			addCapacity(c)
		}
	case *BatchWriteResult:
		for _, c := range a.Capacity {
			addCapacity(c)
		}
	case *TagsResult:
		add("%v", a.Tags)
	case *ListResult:
		add("%s", strings.Join(a.Names, " "))
		if a.Last != "" {
			add("LastEvaluatedTableName %s", a.Last)
		}
	case *PolicyResult:
		add("revision %s %s", a.Revision, a.Document)
	case *TimeToLive:
		add("%s %s", a.Status, a.Attribute)
	case *Description:
		add("%s %s: %d items, %d bytes, on demand %v, protected %v", a.Name, a.Status, a.ItemCount, a.SizeBytes, a.PayPerRequest, a.DeletionProtection)
		if a.StreamEnabled {
			add("stream %s", a.StreamView)
		}
		if !a.PayPerRequest {
			add("throughput %d, %d", a.Throughput.Read, a.Throughput.Write)
			if c := a.Changes; c != (UnitChanges{}) {
				add("  increased %v, decreased %v, %d today", !c.LastIncrease.IsZero(), !c.LastDecrease.IsZero(), c.Today)
			}
		}
		if w := a.Warm; w != nil {
			add("warm throughput %d, %d %s", w.Read, w.Write, a.WarmStatus)
		}
		if a.BillingMode != "" {
			add("billing %s, since %v", a.BillingMode, !a.OnDemandSince.IsZero())
		}
		if a.OnDemand != nil {
			add("caps %d, %d", a.OnDemand.MaxRead, a.OnDemand.MaxWrite)
		}
		if a.TableClass != "" {
			add("class %s, updated %v", a.TableClass, !a.ClassUpdated.IsZero())
		}
		if e := a.Encryption; e != nil {
			add("encryption %s %s", e.Status, e.KeyARN)
		}
		attributes, _ := json.Marshal(a.Attributes)
		add("%s", attributes)
		for _, x := range slices.Concat(a.Local, a.Global) {
			add("index %s %v %s %v: %d entries, %d bytes %s", x.Name, x.Keys, x.Projection, x.NonKeyAttributes, x.ItemCount, x.SizeBytes, x.Status)
			if x.Backfilling {
				add("  backfilling")
			}
			if x.Throughput != nil {
				add("  throughput %d, %d: increased %v, decreased %v, %d today", x.Throughput.Read, x.Throughput.Write,
					!x.Changes.LastIncrease.IsZero(), !x.Changes.LastDecrease.IsZero(), x.Changes.Today)
			}
			if x.OnDemand != nil {
				add("  caps %d, %d", x.OnDemand.MaxRead, x.OnDemand.MaxWrite)
			}
			if x.WarmUnits != nil {
				add("  warm throughput %d, %d %s", x.WarmUnits.Read, x.WarmUnits.Write, x.WarmStatus)
			}
		}
	}
	if b.Len() == 0 {
		return "{}"
	}
	return b.String()
}
