package dev

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/admin"
)

// TestTree: what causes what, whatever the order in which it is told, and what comes late.
func TestTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		tree := NewTree(&out)
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
		key := func(id string) json.RawMessage { return json.RawMessage(`{"id":{"S":"` + id + `"}}`) }
		put := func(id, by string) admin.Activity {
			return admin.Activity{
				Kind: "write", By: by, Name: "PutItem", Began: at.Add(3 * time.Millisecond), Millis: 1.25, Status: 200,
				Body: json.RawMessage(`{"TableName":"t", "Item":{"id": {"S":"` + id + `"},"n":{"N":"1"}}}`),
			}
		}
		called := func(id, changed string, err string) admin.Activity {
			return admin.Activity{
				Kind: "call", ID: id, Name: "confirm", Began: at.Add(5 * time.Millisecond), Millis: 12, Error: err,
				Log:     "START RequestId: x\nhello\nEND RequestId: x\n",
				Changes: []admin.CalledFor{{Table: "t", Event: "INSERT", Keys: key(changed)}},
			}
		}
		tree.Add(put("a", "call-1"))        // its call has not ended
		tree.Add(called("call-2", "a", "")) // by that write
		tree.Add(put("b", ""))              // from outside
		refused := put("c", "call-1")
		refused.Status, refused.Error = 400, "ValidationException: no"
		tree.Add(refused)
		tree.Add(admin.Activity{Kind: "call", ID: "call-1", By: "req-1", Name: "create", Began: at.Add(time.Millisecond), Millis: 8})
		tree.Add(admin.Activity{Kind: "request", ID: "req-1", Name: "POST /x", Began: at, Millis: 9.5, Status: 201})
		time.Sleep(time.Second)
		synctest.Wait()
		failed := called("call-3", "b", "boom")
		failed.Answer = json.RawMessage(`{"errorMessage":"boom","trace":["Error: boom","    at f (/var/task/app.js:3:9)","    at node:internal/x"]}`)
		tree.Add(failed) // late: its write has been printed
		time.Sleep(time.Second)
		synctest.Wait()
		want := `03:04:05.003  PutItem t {"id":{"S":"b"},"n":{"N":"1"}}  1.2 ms
03:04:05.000  POST /x -> 201  9.5 ms
└─ create  ok  8.0 ms
   ├─ PutItem t {"id":{"S":"a"},"n":{"N":"1"}}  1.2 ms
   │  └─ confirm <- INSERT t {"id":{"S":"a"}}  ok  12 ms
   │        | hello
   └─ PutItem t {"id":{"S":"c"},"n":{"N":"1"}}  REFUSED (400)
         ! ValidationException: no
03:04:05.005  confirm <- INSERT t {"id":{"S":"b"}}  FAILED after 12 ms
   | hello
   ! boom
   !   at f (/var/task/app.js:3:9)
`
		if got := out.String(); got != want {
			t.Errorf("printed\n%s\nwant\n%s", got, want)
		}
	})
}

// What failed is red, and nothing else.
func TestTreeInColor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		tree := NewTree(&out)
		tree.Color = true
		tree.Add(admin.Activity{Kind: "request", ID: "a", Name: "GET /", Began: time.Now(), Millis: 1, Status: 200})
		tree.Add(admin.Activity{Kind: "call", ID: "b", Name: "f", Began: time.Now(), Millis: 1, Error: "boom"})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := out.String(); !bytes.Contains(out.Bytes(), []byte("GET / -> 200  1.0 ms\n")) || !bytes.Contains(out.Bytes(), []byte("  \x1b[31mf  FAILED after 1.0 ms\x1b[0m\n   ! boom\n")) {
			t.Errorf("%q", got)
		}
	})
}

// Under traffic without a pause trees are printed all the same.
func TestTreeUnderTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		tree := NewTree(&out)
		for range 100 {
			tree.Add(admin.Activity{Kind: "request", ID: rand.Text(), Name: "GET /", Began: time.Now(), Status: 200})
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		tree.mu.Lock()
		defer tree.mu.Unlock()
		if n := len(tree.roots); n > 10 {
			t.Errorf("%d trees wait", n)
		}
	})
}

// TestWatcher: what was changed, made or removed is told once it is at rest; what is not source, and what the process
// itself prints to, is not looked at.
func TestWatcher(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a/app.js", "1")
	write("a/gone.js", "1")
	write("node_modules/x/index.js", "1")
	printed, err := os.Create(filepath.Join(dir, "dev.out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func(was *os.File) { os.Stdout = was; _ = printed.Close() }(os.Stdout)
	os.Stdout = printed
	w := NewWatcher(dir)
	if _, err := printed.WriteString("Reloaded"); err != nil {
		t.Fatal(err)
	}
	write("node_modules/x/index.js", "22")
	write(".git/index", "1")
	write("a/app.js", "22")
	write("a/new.py", "1")
	if err := os.Remove(filepath.Join(dir, "a/gone.js")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range w.Wait(t.Context()) {
		rel, err := filepath.Rel(dir, f)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, filepath.ToSlash(rel))
	}
	slices.Sort(got)
	if want := []string{"a/app.js", "a/gone.js", "a/new.py"}; !slices.Equal(got, want) {
		t.Errorf("changed: %v", got)
	}
}

// The trigger's own words count for a call: which attempt it was, also when watching began amid the attempts, and what
// became of the records. What it has told of is not told of again when the state of the triggers shows it.
func TestTreeTellsTheVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		tree := NewTree(&out)
		dropped := uint64(0)
		tree.Triggers = func() []admin.Trigger {
			tr := admin.Trigger{UUID: "u", Function: "f", Table: "t", ReportItemFailures: true, MaximumRetryAttempts: 2}
			tr.Counts.Dropped = dropped
			return []admin.Trigger{tr}
		}
		tree.Look()
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
		call := func(id string) admin.Activity {
			return admin.Activity{Kind: "call", ID: id, Name: "f", Began: at, Millis: 1, Records: 1, Failed: []string{"7"},
				Changes: []admin.CalledFor{{Table: "t", Event: "INSERT", Keys: json.RawMessage(`{"id":{"S":"a"}}`), SequenceNumber: "7"}}}
		}
		tree.Add(call("2"))
		tree.Add(admin.Activity{Kind: "judged", ID: "2", Verdict: &admin.Verdict{Failed: 1, Attempt: 2, Of: 3, Then: "tried again", RetryAt: at.Add(time.Second)}})
		time.Sleep(time.Second)
		synctest.Wait()
		dropped++
		tree.Add(call("3"))
		tree.Add(admin.Activity{Kind: "judged", ID: "3", Verdict: &admin.Verdict{Failed: 1, Attempt: 3, Of: 3, Then: "dropped", GivenUp: true}})
		time.Sleep(time.Hour)
		synctest.Wait()
		want := `03:04:05.000  f <- INSERT t {"id":{"S":"a"}}  1 of 1 failed, attempt 2 of 3, next at 03:04:06  1.0 ms
03:04:05.000  f <- INSERT t {"id":{"S":"a"}}  1 of 1 failed, attempt 3 of 3, GIVEN UP (dropped)  1.0 ms
`
		if got := out.String(); got != want {
			t.Errorf("printed\n%s\nwant\n%s", got, want)
		}
	})
}

// The error that ended a call is told once, though the runtime logs it too: without the runtime's own places, and with those
// of the user's code before those of packages.
func TestAnErrorIsToldOnce(t *testing.T) {
	n := &node{Activity: admin.Activity{
		Kind: "call", Error: "Error: boom\n- /app/src/create.ts\n- /data/code/runtime/node/modules.mjs",
		Log: "START RequestId: x\nabout to\n2026-01-02T03:04:05.000Z\tx\tERROR\tInvoke Error \t{\"errorType\":\"Error\",\"errorMessage\":\"boom\"}\n" +
			"2026-01-02T03:04:05.000Z\t125e54ca-ab50-4525-8f15-7a85aa9690e8\tERROR\tmy own\n    at f (/app/src/create.ts:3:9)\n" +
			"    at serve (file:///data/code/runtime/node/v3.mjs:215:20)\n[WARNING]\t2026-01-02T03:04:05.000Z\t125e54ca-ab50-4525-8f15-7a85aa9690e8\tof Python\nEND RequestId: x\n",
		Answer: json.RawMessage(`{"errorMessage":"boom","trace":["Error: boom","    at query (/app/node_modules/pg/index.js:9:1)","    at node:internal/x",` +
			`"    at handler (/app/src/create.ts:3:9)","    at serve (file:///data/code/runtime/node/v3.mjs:215:20)"]}`),
	}}
	want := []string{
		"| about to", "| ERROR\tmy own", "|     at f (/app/src/create.ts:3:9)", "| [WARNING]\tof Python", "! Error: boom", "! - /app/src/create.ts", "!   at handler (/app/src/create.ts:3:9)", "!   at query (/app/node_modules/pg/index.js:9:1)",
	}
	if got := n.details(nil); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Records that filters refuse are told of when that is asked for.
func TestFilteredRecordsAreTold(t *testing.T) {
	for _, show := range []bool{false, true} {
		tr := trials{failing: map[batchName]*failing{}, told: map[lossName]uint64{}}
		trigger := admin.Trigger{UUID: "u", Function: "f", Table: "t"}
		tr.know([]admin.Trigger{trigger}, show)
		trigger.Counts.FilteredOut = 2
		tr.know([]admin.Trigger{trigger}, show)
		if got := tr.takeLosses(); show != slices.Equal(got, []string{"f <- t  2 records were refused by its filters"}) {
			t.Errorf("show %v: %q", show, got)
		}
	}
}

// A call for messages of a queue stands below what sent them.
func TestTreeOfMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		tree := NewTree(&out)
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
		send := admin.Activity{
			Kind: "write", Name: "SendMessageBatch", Began: at, Millis: 1, Status: 200, Sent: []string{"m1", "m2"},
			Body: json.RawMessage(`{"QueueUrl":"http://127.0.0.1:8000/000000000000/jobs","Entries":[]}`),
		}
		call := func(id, err string, failed []string, messages ...string) admin.Activity {
			a := admin.Activity{Kind: "call", ID: id, Name: "work", Began: at.Add(time.Second), Millis: 2, Error: err, Failed: failed, Records: len(messages)}
			for _, m := range messages {
				a.Changes = append(a.Changes, admin.CalledFor{Queue: "jobs", Message: m})
			}
			return a
		}
		tree.Add(send)
		tree.Add(call("c1", "", []string{"m2"}, "m1", "m2"))
		tree.Add(call("c2", "boom", nil, "m9"))
		time.Sleep(time.Second)
		synctest.Wait()
		want := `03:04:05.000  SendMessageBatch jobs  1.0 ms
└─ work <- 2 messages of jobs  named 1 as FAILED  2.0 ms
03:04:06.000  work <- a message of jobs  FAILED after 2.0 ms
   ! boom
`
		if got := out.String(); got != want {
			t.Errorf("printed\n%s\nwant\n%s", got, want)
		}
	})
}
