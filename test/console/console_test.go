package console

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// A record that fails blocks its trigger: the first page says so with the record, and one click lets the others go on.
func TestLoop(t *testing.T) {
	s := start(t, t.TempDir())
	s.deploy(t)
	p := open(t, s.link)
	p.sees("orders → indexer", "orders → email", "healthy")
	for _, pk := range []string{"order-1", "poison", "order-2", "order-3"} {
		s.put(t, "orders", attributes{"pk": attributes{"S": pk}, "html": attributes{"S": "<img src=x onerror=alert(1)>"}})
	}
	p.sees("orders → indexer is blocked since", "pk=poison", "TypeError", "records wait behind it")
	p.clicks("Show record")
	p.sees(`"html": "<img src=x onerror=alert(1)>"`, "What other triggers have made of it:", "audit ✓ taken", "email ✓ taken")
	p.shown("loop")
	p.clicks("Hold this item only")
	p.seesNot("is blocked since")
	p.sees("held")
	p.clicks("orders → indexer")
	p.sees("Lag, records", "Shards", "block-key")
	p.types("filter pattern", `{"dynamodb":{"NewImage":{"pk":["order-1"]}}}`)
	p.clicks("Try")
	p.sees("0 of 4 records match", "name its type")
	p.types("filter pattern", `{"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"order-"}]}}}}`)
	p.clicks("Try")
	p.sees("3 of 4 records match", "– no match")
	p.shown("trigger")
	p.types("filter pattern", `{"dynamodb":`)
	p.clicks("Try")
	p.sees("invalid filter pattern")
	p.types("filter pattern", `{"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"order-"}]}}}}`)
	p.clicks("Use this filter")
	p.clicks("Yes")
	p.sees("The trigger has this filter.", "Filters")
	p.clicks("remove the filters")
	p.clicks("Yes")
	p.seesNot("Filters")
}

// All that can be set of a trigger is set on its page; a rewind says first how many records come again; a record of the stream is tried on the function.
func TestTrigger(t *testing.T) {
	s := start(t, t.TempDir())
	s.deploy(t)
	p := open(t, s.link)
	p.sees("orders → email")
	for i := range 5 {
		s.put(t, "orders", attributes{"pk": attributes{"S": fmt.Sprintf("order-%d", i)}, "status": attributes{"S": "paid"}})
	}
	s.settles(t)
	p.clicks("orders → email")
	p.sees("records read", "None since the server started.")
	p.clicks("Change settings")
	p.sees("Nothing is changed.")
	for label, text := range map[string]string{
		"Records a call, at most": "7", "Wait for a batch, seconds": "2", "Calls at once a shard": "3", "Retries": "4", "Oldest record, seconds": "3600",
		"Calls at once, of all shards": "5", "Calls a second": "2.5", "Wait beyond 300 s": "0", "while a record fails": "block-key", "condition": "NEW.status = 'paid'",
	} {
		p.types(label, text)
	}
	p.types("filters", `{"eventName":["INSERT"]}`+"\n"+`{"eventName":["MODIFY"]}`)
	p.clicks("may name the items that failed")
	p.shown("trigger-settings")
	p.clicks("Save settings")
	p.sees("saved", "Nothing is changed.", "up to 7, window 2 s, 3 at once a shard", "NEW.status = 'paid'", "block-key")
	trigger := s.trigger(t, "email")
	for name, want := range map[string]any{
		"batchSize": 7.0, "batchingWindowSeconds": 2.0, "parallelizationFactor": 3.0, "maximumRetryAttempts": 4.0, "maximumRecordAgeSeconds": 3600.0, "onFailure": "block-key",
		"when": "NEW.status = 'paid'", "reportBatchItemFailures": true, "filters": []any{`{"eventName":["INSERT"]}`, `{"eventName":["MODIFY"]}`},
	} {
		if !reflect.DeepEqual(trigger[name], want) {
			t.Errorf("%s is %v, want %v", name, trigger[name], want)
		}
	}
	p.types("Calls at once, of all shards", "")
	p.types("Retries", "")
	p.clicks("Save settings")
	p.sees("Retries: want a whole number.")
	p.types("Retries", "-1")
	p.types("Tumbling window, seconds", "30")
	p.clicks("Save settings")
	p.sees("TumblingWindow") // the server's own words: not with 3 at once
	p.types("Tumbling window, seconds", "0")
	p.types("Records a call, at most", "1")
	p.types("Wait for a batch, seconds", "0")
	p.types("filters", "")
	p.types("condition", "")
	p.clicks("Save settings")
	p.seesNot("NEW.status = 'paid'")
	p.sees("Nothing is changed.")
	p.clicks("Close")

	p.types("place to go to", "HORIZON")
	p.clicks("Rewind")
	p.sees("5 records come again, also what succeeded.")
	p.clicks("No")
	if lag := s.trigger(t, "email")["lagRecords"]; lag != 0.0 {
		t.Errorf("asking for how many come again has rewound the trigger: %v wait", lag)
	}
	p.clicks("Pause")
	p.sees("Paused: it keeps its place.")
	p.clicks("Rewind")
	p.clicks("Yes")
	p.sees("5 records come again", "5 records wait")
	p.types("place to go to", "1h")
	p.clicks("Skip up to it")
	p.sees("It is there already: nothing would change.")
	p.clicks("Skip to now")
	p.sees("5 records that wait are never delivered.")
	p.clicks("Yes")
	p.sees("5 skipped", "Nothing waits yet.")
	p.clicks("Resume")

	p.clicks("Try")
	p.sees("5 of 5 records match")
	runs[chromedp.Void](p, "open the newest", `document.querySelector('.tried button').click()`)
	p.clicks("Try the function with it")
	p.fieldHas("event in JSON", `"order-4"`)
	p.clicks("Invoke")
	p.sees("success", "mail for <b>order-4</b>")
	p.types("name to save the event as", "an <i>order</i>")
	p.clicks("Save event")
	p.types("event in JSON", "{}")
	p.clicks("Invoke")
	p.sees("KeyError")
	p.types("event", "named an <i>order</i>")
	p.fieldHas("event in JSON", `"order-4"`)
	p.clicks("remove the saved event")
	p.until(`![...document.querySelector('[aria-label="event"]').options].some((o) => o.innerText.includes('saved'))`, "see that the event is gone")

	p.clicks("Pause")
	p.sees("Paused: it keeps its place.")
	p.clicks("Stream")
	p.sees("Waiting for changes of orders")
	s.put(t, "orders", attributes{"pk": attributes{"S": "later"}})
	p.sees("pk=later", "waits for email")
	var resumed map[string]any
	s.own(t, http.MethodPost, fmt.Sprint("triggers/", s.trigger(t, "email")["uuid"], "/resume"), &resumed)
	p.seesNot("waits for email")
}

// What fails on a trigger is listed, with what followed; a held record is given up, and the reason stays.
func TestFailures(t *testing.T) {
	s := start(t, t.TempDir())
	s.deploy(t)
	p := open(t, s.link)
	p.sees("orders → indexer")
	s.put(t, "orders", attributes{"pk": attributes{"S": "poison"}, "n": attributes{"N": "1"}})
	p.sees("orders → indexer is blocked since")
	p.clicks("orders → indexer")
	p.sees("Calls that failed", "1 failed, attempt 1: tried again", "TypeError: no <i>price</i>")
	p.until(`[...document.querySelectorAll('[aria-label="calls that failed"] a')].length > 0`, "see a way to the log")
	log := runs[string](p, "read where the log of a call is", `document.querySelector('[aria-label="calls that failed"] a').getAttribute('href')`)
	p.clicks("Hold this item only")
	p.sees("1 held")
	s.put(t, "orders", attributes{"pk": attributes{"S": "poison"}, "n": attributes{"N": "2"}})
	p.clicks("0 parked, 2 held")
	p.sees("waits behind an earlier record of its item")
	p.types("Part of an error", "Price")
	p.until(`document.querySelectorAll('[aria-label="choose pk=poison"]').length === 1`, "see only the one that fails for that")
	p.clicks("pk=poison")
	p.sees("Once the function works, it is taken", "attempt 1: tried again")
	p.shown("held")
	p.until(`!/one is under way/.test(document.body.innerText)`, "see that no call is under way")
	p.clicks("Give up")
	p.types("reason", "a <b>broken</b> order")
	p.clicks("Yes")
	p.sees("pk=poison: given up.", "Dropped and given up by people", "1 given up: a <b>broken</b> order", "parked")
	if notes := s.trigger(t, "indexer")["notes"].([]any); len(notes) != 1 || notes[0].(map[string]any)["reason"] != "a <b>broken</b> order" {
		t.Errorf("the notes are %v", notes)
	}
	p.goes(log)
	p.sees("Configuration")
	p.until(`document.querySelector('.logs').innerText.includes('TypeError: no <i>price</i>') && document.querySelectorAll('.logs div').length < 6`, "see the lines of that call")
}

// Items are read, made, changed and deleted; numbers keep their 38 digits; nobody's change is overwritten unseen; markup is text.
func TestItems(t *testing.T) {
	s := start(t, t.TempDir())
	s.deploy(t)
	const digits, markup = "12345678901234567890123456789012345678", `<script>document.title='gone'</script>`
	s.put(t, "invoices", attributes{"pk": attributes{"S": markup}, "sk": attributes{"N": digits}, "<b>name</b>": attributes{"SS": []string{markup}}, "empty": attributes{"S": ""}, "bin": attributes{"B": "AAEC"}})
	p := open(t, s.link)
	p.clicks("Tables")
	p.clicks("invoices")
	p.sees(digits, markup, "<b>name</b>", "1 item,")
	p.clicks(markup)
	p.clicks("DynamoDB JSON")
	p.shown("item")
	const field = "item in DynamoDB JSON"
	p.types(field, `{"pk": {"S": "new"}, "sk": {"N": "`+digits+`"}}`)
	p.clicks("Save")
	p.sees("The key is another one")
	p.clicks("Close")
	p.clicks("New item")
	p.clicks("DynamoDB JSON")
	p.types(field, `{"pk": {"S": "new"}, "sk": {"N": 5}}`)
	p.clicks("Save")
	p.sees(`sk: a number is written as text, {"N": "5"}`)
	p.types(field, `{"pk": {"S": "new"}, "sk": {"N": "`+digits+`"}, "big": {"S": "`+strings.Repeat("x", 350_000)+`"}}`)
	p.clicks("Save")
	p.sees("2 items", "is saved.")
	got := s.ask(t, "GetItem", map[string]any{"TableName": "invoices", "Key": attributes{"pk": attributes{"S": "new"}, "sk": attributes{"N": digits}}})
	if n := got["Item"].(map[string]any)["sk"].(map[string]any)["N"]; n != digits {
		t.Errorf("the number is %v, want %s", n, digits)
	}
	p.clicks("new")
	p.clicks("DynamoDB JSON")
	s.put(t, "invoices", attributes{"pk": attributes{"S": "new"}, "sk": attributes{"N": digits}, "by": attributes{"S": "another"}})
	p.types(field, `{"pk": {"S": "new"}, "sk": {"N": "`+digits+`"}, "by": {"S": "me"}}`)
	p.clicks("Save")
	p.sees("Somebody has changed the item since it was shown")
	p.clicks("Close")
	p.clicks("new")
	p.fieldHas("item in Plain JSON", `"by": "another"`)
	p.clicks("Delete")
	p.clicks("Yes")
	p.sees("1 item,")
	p.types("attribute to filter by", "sk") // the items have it as a number, so it is looked for as one
	p.until(`document.querySelector('[aria-label="type of the filter"]').value === 'N'`, "see that the filter is of a number")
	p.types("value of the filter", digits)
	p.clicks("Run")
	p.sees("1 item, page 1")
	p.types("type of the filter", "S")
	p.clicks("Run")
	p.sees("sk was compared as text")
	p.types("type of the filter", "N")
	p.types("filter compare", "between")
	p.types("value of the filter", "1")
	p.types("value of the filter, at most", digits)
	p.clicks("Another filter")
	p.types("attribute to filter by, 2", "empty")
	p.types("filter compare, 2", "exists")
	p.clicks("Run")
	p.sees("1 item, page 1")
	p.shown("items")
	p.types("filter compare, 2", "not exists")
	p.clicks("Run")
	p.sees("No item is found")
	p.clicks("remove filter 2")
	p.clicks("Run")
	p.sees("1 item, page 1")
	p.types("attribute to filter by", "") // of a Query no attribute of the key
	p.types("pk is", markup)
	p.types("compare", "between")
	p.types("sk is", "1")
	p.types("sk is at most", "2")
	p.clicks("Run")
	p.sees("No item is found")
	p.types("sk is at most", digits)
	p.clicks("Run")
	p.sees("1 item, page 1")
	p.types("PartiQL statement", `SELECT sk FROM "invoices"`)
	p.clicks("Run")
	p.sees(digits)
	s.put(t, "orders", attributes{"pk": attributes{"S": "counted"}, "n": attributes{"N": "1"}})
	p.types("PartiQL statement", `UPDATE "orders" SET n = n + 1 WHERE pk = 'counted'`)
	p.clicks("Run")
	p.sees("The statement is done.")
	p.types("PartiQL statement", `SELECT`)
	p.clicks("Run")
	p.sees("ValidationException")
	got = s.ask(t, "GetItem", map[string]any{"TableName": "orders", "Key": attributes{"pk": attributes{"S": "counted"}}})
	if n := got["Item"].(map[string]any)["n"].(map[string]any)["N"]; n != "2" {
		t.Errorf("a statement that adds 1 was run once: %v", n)
	}
	if title := do(p, "read the title", chromedp.Title()); title != "Millstream" {
		t.Errorf("the page ran markup of an item: its title is %q", title)
	}
}

// An item is edited in plain JSON: what that has no form for is written so that a save loses nothing; attributes that somebody adds meanwhile stay.
func TestPlainItems(t *testing.T) {
	s := start(t, t.TempDir())
	s.deploy(t)
	const digits = "0.00000000000000012345678901234567890123456789012345678"
	key := attributes{"pk": attributes{"S": "all"}, "sk": attributes{"N": "1"}}
	item := attributes{
		"n": attributes{"N": digits}, "b": attributes{"B": "AAEC/w=="}, "ss": attributes{"SS": []any{"", "b,\"c\"", "d"}}, "ns": attributes{"NS": []any{"-1", digits}},
		"bs": attributes{"BS": []any{"AA==", "AQ=="}}, "null": attributes{"NULL": true}, "no": attributes{"BOOL": false}, "empty": attributes{"S": ""}, "none": attributes{"L": []any{}},
		"deep": attributes{"L": []any{attributes{"M": attributes{"x": attributes{"N": "1E+125"}, "$set": attributes{"NULL": true}}}, attributes{"M": attributes{}}}},
		"sly":  attributes{"M": attributes{"$set": attributes{"L": []any{attributes{"N": "1"}}}}}, "slyer": attributes{"M": attributes{"$map": attributes{"M": attributes{"$binary": attributes{"S": "AAEC"}}}}},
		"__proto__": attributes{"S": "p"}, "constructor": attributes{"S": "=1+1"}, "line\nbreak": attributes{"S": "é😀\u2028\"</textarea><b>"},
	}
	for name, value := range key {
		item[name] = value
	}
	s.put(t, "invoices", item)
	s.put(t, "invoices", attributes{"pk": attributes{"S": "without"}, "sk": attributes{"N": "1"}})
	read := func() map[string]any {
		return s.ask(t, "GetItem", map[string]any{"TableName": "invoices", "Key": key})["Item"].(map[string]any)
	}
	before := read()
	p := open(t, s.link)
	p.clicks("Tables")
	p.clicks("invoices")
	p.clicks("all")
	const field = "item in Plain JSON"
	p.fieldHas(field, `"n": `+digits)
	p.fieldHas(field, `{"$set": [`)
	p.fieldHas(field, `"sly": {"$map": {`)
	p.shown("item")
	p.clicks("DynamoDB JSON")
	p.fieldHas("item in DynamoDB JSON", `"N": "`+digits+`"`)
	p.clicks("Plain JSON")
	s.ask(t, "UpdateItem", map[string]any{"TableName": "invoices", "Key": key, "UpdateExpression": "SET meanwhile = :m", "ExpressionAttributeValues": attributes{":m": attributes{"N": "7"}}})
	p.rewrites(field, `"no": false`, `"no": 10000000000000000000000000000000000001, "fresh": {"$set": [2, 1e3]}`)
	p.rewrites(field, `"null": null,`, ``)
	p.clicks("Save")
	p.seesNot("{\"$set\": [1, 2]}")
	before["no"], before["fresh"], before["meanwhile"] = map[string]any{"N": "10000000000000000000000000000000000001"}, map[string]any{"NS": []any{"1000", "2"}}, map[string]any{"N": "7"}
	delete(before, "null")
	if after := read(); !reflect.DeepEqual(sorted(after), sorted(before)) {
		t.Errorf("after the save the item is\n%v, want\n%v", after, before)
	}
	p.clicks("all")
	for _, wrong := range [][2]string{
		{`{"pk": "all", "sk": 1, "sk": 2}`, `"sk" is there twice`}, {"{\n\"pk\": \"all\",\n\"sk\": 01}", "Line 3: want , or }"}, {`{"x": {"$set": [1, "a"]}}`, "$set wants values of one kind"},
		{`{"x": {"$binary": "A"}}`, "$binary wants base64"}, {`{"x": nul}`, "want a value"}, {`[]`, "want an object"}, {`{"x": "`, "this text does not end"},
	} {
		p.types(field, wrong[0])
		p.clicks("Save")
		p.sees(wrong[1])
	}
	p.types(field, `{"pk": "all", "sk": 2}`)
	p.clicks("Duplicate")
	p.sees("New item")
	p.clicks("Save")
	p.sees("3 items")

	// The result as files, and as commands.
	runs[chromedp.Void](p, "catch what is saved and copied", `URL.createObjectURL = (b) => { window.saved = b; return 'data:,'; }; navigator.clipboard.writeText = async (t) => { window.copied = t; }`)
	p.clicks("Save as CSV")
	p.sees("3 items saved")
	csv := runs[string](p, "read the file", `window.saved.text()`)
	for _, want := range []string{"pk,sk,", "all,2,,", "'=1+1", digits, `"{""$set"": [ ""b,`, "{\"\"$binary\"\": \"\"AAEC/w==\"\"}"} {
		if !strings.Contains(strings.ReplaceAll(csv, `"""", `, ""), want) && !strings.Contains(csv, want) {
			t.Errorf("the CSV has no %s:\n%s", want, csv)
		}
	}
	runs[chromedp.Void](p, "forget the file", `window.saved = undefined`)
	p.clicks("Save as JSON lines")
	p.until(`window.saved !== undefined`, "see a file")
	lines := runs[string](p, "read the file", `window.saved.text()`)
	if n := strings.Count(lines, "\n"); n != 3 || !strings.Contains(lines, `"N":"`+digits+`"`) {
		t.Errorf("the JSON lines are\n%s", lines)
	}
	p.types("pk is", "all")
	p.types("compare", ">=")
	p.types("sk is", "2")
	p.clicks("Run")
	p.sees("1 item, page 1")
	p.types("sk is", "")
	p.types("pk is", "it's")
	p.clicks("Run")
	p.sees("No item is found")
	p.clicks("Copy as command")
	if copied := runs[string](p, "read what is copied", `window.copied`); copied != `aws dynamodb query --endpoint-url `+s.endpoint+` --table-name invoices --key-condition-expression '#h = :h' --scan-index-forward --expression-attribute-names '{"#h":"pk"}' --expression-attribute-values '{":h":{"S":"it'\''s"}}'` {
		t.Errorf("copied %s", copied)
	}
	p.types("pk is", "")
	p.clicks("Run")
	p.sees("3 items")
	p.clicks("choose all on this page")
	p.clicks("Delete 3")
	p.clicks("Yes")
	p.sees("No item is found")
	if n := s.ask(t, "Scan", map[string]any{"TableName": "invoices"})["Count"]; n != 0.0 {
		t.Errorf("%v items are left", n)
	}

	// What was saved comes back.
	imports := func(name, text string) {
		t.Helper()
		p.until(`!!document.querySelector('[aria-label="file of items"]')`, "find the field for a file")
		runs[chromedp.Void](p, "choose a file", fmt.Sprintf(`(() => { const i = document.querySelector('[aria-label="file of items"]'), d = new DataTransfer(); d.items.add(new File([%s], %s)); i.files = d.files; i.dispatchEvent(new Event('change', { bubbles: true })); })()`, quote(text), quote(name)))
	}
	p.clicks("Import")
	imports("items.jsonl", lines+`{"pk":{"S":"x"}}`)
	p.sees("Line 4: it lacks sk")
	imports("items.jsonl", lines+`{"Item":{"pk":{"S":"exported"},"sk":{"N":"1"}}}`+"\n"+`{"pk":{"S":"all"},"sk":{"N":"2"},"again":{"BOOL":true}}`)
	p.sees("5 items")
	p.shown("import")
	runs[chromedp.Void](p, "import", `[...document.querySelectorAll('button.pri')].find((b) => b.innerText === 'Import').click()`)
	p.clicks("Yes")
	p.sees("5 items imported.", "4 items, page 1", "and 9 more", "4 items ·")
	if after := read(); !reflect.DeepEqual(sorted(after), sorted(before)) {
		t.Errorf("after saving and importing the item is\n%v, want\n%v", after, before)
	}
	p.clicks("choose all on this page")
	p.clicks("Delete 4")
	p.clicks("Yes")
	p.sees("No item is found")
	p.clicks("Import")
	imports("items.csv", "pk,sk,x\r\na,1,[1\r\n")
	p.sees("Row 2, x: Line 1: want , or ]")
	imports("items.csv", "pk,x\na,1\n")
	p.sees("Row 2: it lacks sk")
	imports("items.csv", csv)
	p.sees("3 items")
	runs[chromedp.Void](p, "import", `[...document.querySelectorAll('button.pri')].find((b) => b.innerText === 'Import').click()`)
	p.clicks("Yes")
	p.sees("3 items imported.")
	if after := read(); !reflect.DeepEqual(sorted(after), sorted(before)) {
		t.Errorf("after a CSV the item is\n%v, want\n%v", after, before)
	}
}

// The first page has a map for each stack; one is closed and opened, and closed ones say what they have.
func TestStacks(t *testing.T) {
	s := start(t, t.TempDir())
	s.deploy(t)
	s.deploys(t, "incidents.yaml", "--parameter", "Down=/none", "--stack", "other")
	p := open(t, s.link)
	p.sees("app 3 triggers · lag 0", "other 2 triggers · lag 0", "visitors → circle")
	p.until(`document.querySelectorAll('.map').length === 2`, "see two maps")
	p.shown("stacks")
	runs[chromedp.Void](p, "close a stack", `[...document.querySelectorAll('button.fold')].find((b) => b.innerText.includes('other')).click()`)
	p.until(`document.querySelectorAll('.map').length === 1`, "see one map")
	s.put(t, "payments", attributes{"pk": attributes{"S": "p"}})
	p.clicks("Tables")
	p.until(`[...document.querySelectorAll("main tbody tr")].some((r) => r.innerText.includes("payments") && /\t0\.?\d*\t/.test(r.innerText))`, "see how many changes a second a table has")
}

// sorted is an item with its sets in one order.
func sorted(item map[string]any) map[string]any {
	for _, v := range item {
		for kind, list := range v.(map[string]any) {
			if l, ok := list.([]any); ok && len(kind) == 2 {
				slices.SortFunc(l, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
			}
		}
	}
	return item
}

// A table is made with an index, its stream and time to live are changed, and it is deleted by who types its name.
func TestTables(t *testing.T) {
	s := start(t, t.TempDir())
	p := open(t, s.link)
	p.clicks("Tables")
	p.clicks("New table")
	p.types("name of the table", "x")
	p.types("partition key", "id")
	p.clicks("Create table")
	p.sees("length greater than or equal to 3")
	p.types("name of the table", "shipments")
	p.types("sort key", "at")
	p.types("type of the sort key", "N")
	p.types("capacity", "PROVISIONED")
	p.types("read units", "7")
	p.types("stream", "KEYS_ONLY")
	p.types("attribute of the time to live", "ends")
	p.types("name of the index", "by-state")
	p.types("partition key of the index", "at")
	p.clicks("Create table")
	p.sees("at cannot be of two types.")
	p.types("partition key of the index", "state")
	p.types("sort key of the index", "at")
	p.types("type of the sort key of the index", "N")
	p.shown("new-table")
	p.clicks("Create table")
	p.sees("0 items · 0 B · key id, at · stream KEYS_ONLY")
	described := func() map[string]any {
		return s.ask(t, "DescribeTable", map[string]any{"TableName": "shipments"})["Table"].(map[string]any)
	}
	d := described()
	index := d["GlobalSecondaryIndexes"].([]any)[0].(map[string]any)
	if units := d["ProvisionedThroughput"].(map[string]any)["ReadCapacityUnits"]; units != 7.0 || len(d["KeySchema"].([]any)) != 2 || len(d["AttributeDefinitions"].([]any)) != 3 || len(index["KeySchema"].([]any)) != 2 {
		t.Errorf("the table is %v", d)
	}
	lives := func() any {
		return s.ask(t, "DescribeTimeToLive", map[string]any{"TableName": "shipments"})["TimeToLiveDescription"]
	}
	if live := lives(); !reflect.DeepEqual(live, map[string]any{"TimeToLiveStatus": "ENABLED", "AttributeName": "ends"}) {
		t.Errorf("the time to live is %v", live)
	}
	p.clicks("Settings")
	p.sees("at (N)", "by-state", "7 read, 5 write", "On, with keys only.", "an item ends at the time in ends")
	p.types("capacity", "PAY_PER_REQUEST")
	p.clicks("Set capacity")
	p.sees("Capacity\non demand")
	p.types("name of the index", "by-city")
	p.types("partition key of the index", "city")
	p.clicks("Create index")
	p.sees("city (S)")
	p.types("capacity", "PROVISIONED")
	p.types("read units", "9")
	p.clicks("Set capacity")
	p.sees("9 read, 5 write")
	for _, i := range described()["GlobalSecondaryIndexes"].([]any) {
		if units := i.(map[string]any)["ProvisionedThroughput"].(map[string]any)["ReadCapacityUnits"]; units != 9.0 {
			t.Errorf("index %v", i)
		}
	}
	p.clicks("delete the index by-state")
	p.clicks("Yes")
	p.seesNot("by-state")
	p.types("key of the tag", "team")
	p.types("value of the tag", "red")
	p.clicks("Set tag")
	p.sees("team = red")
	p.shown("settings")
	p.clicks("remove the tag team")
	p.seesNot("team = red")
	p.clicks("Turn the stream off")
	p.clicks("Yes")
	p.sees("Off: nothing can be triggered")
	p.until("!"+button("Stream"), "see no way to a stream that is not there")
	p.types("what the stream carries", "NEW_IMAGE")
	p.clicks("Turn the stream on")
	p.sees("On, with new images.")
	if view := described()["StreamSpecification"].(map[string]any)["StreamViewType"]; view != "NEW_IMAGE" {
		t.Errorf("the stream carries %v", view)
	}
	p.clicks("Turn time to live off")
	p.clicks("Yes")
	p.sees("Off: items stay until they are deleted.")
	p.types("name of the table to delete", "shipment")
	if runs[bool](p, "look for a way to delete", "!!"+button("Delete table")) {
		t.Error("a table can be deleted by another name")
	}
	p.types("name of the table to delete", "shipments")
	p.clicks("Delete table")
	p.sees("There is no table")
	if names := s.ask(t, "ListTables", map[string]any{})["TableNames"].([]any); len(names) != 0 {
		t.Errorf("there are tables %v", names)
	}
}

// Records that were given up are looked at, sent again and dropped.
func TestParked(t *testing.T) {
	s := start(t, t.TempDir())
	s.deploy(t)
	for _, pk := range []string{"bad-1", "bad-2"} {
		s.put(t, "orders", attributes{"pk": attributes{"S": pk}})
	}
	p := open(t, s.link)
	p.clicks("orders → audit")
	p.clicks("2 parked, 0 held")
	p.clicks("pk=bad-1")
	p.sees(`"pk": "bad-1"`, "sequence number")
	p.sees("1 failed, attempt 1 of 1: parked") // every attempt
	p.shown("parked")
	p.clicks("Drop")
	p.types("reason", "of a test")
	p.clicks("Yes")
	p.sees("pk=bad-1: dropped.", "1 dropped: of a test")
	p.seesNot(`"pk": "bad-1"`)
	p.clicks("pk=bad-2")
	p.clicks("Send again")
	p.sees("pk=bad-2: sent again. It has failed again: ValueError: bad audit")
	p.clicks("Send all parked again")
	p.clicks("Yes")
	p.sees("1 record sent again") // it is parked again at once
	for i := range 40 {
		s.put(t, "orders", attributes{"pk": attributes{"S": fmt.Sprintf("bad-%d", 10+i)}})
	}
	p.until(`[...document.querySelectorAll('.badt')].some((e) => e.innerText.trim() === '41')`, "see 41 parked")
	p.types("records a second", "2")
	p.clicks("Send all parked again")
	p.clicks("Yes")
	p.sees("of 41 sent")
	p.clicks("Stop")
	p.sees("; stopped")
	p.types("Key or value of a key", "bad-11")
	p.until(`document.querySelectorAll('[aria-label^="choose pk="]').length === 1`, "see the one")
	p.clicks("choose pk=bad-11")
	p.types("Key or value of a key", "bad-12")
	p.clicks("choose pk=bad-12")
	p.clicks("Send 2 again")
	p.sees("2 records sent again")
	p.types("Key or value of a key", "bad-13")
	p.clicks("choose pk=bad-13")
	p.clicks("Drop 1")
	p.sees("1 record: gone for good.")
	p.clicks("Yes")
	p.sees("1 record dropped.", "1 dropped without a reason")
}

// A table's changes are shown as they come, and a function's lines.
func TestStreamAndFunction(t *testing.T) {
	s := start(t, t.TempDir())
	s.deploy(t)
	p := open(t, s.link)
	p.sees("orders → email")
	p.goes("#/stream/orders")
	p.sees("Waiting for changes of orders")
	s.put(t, "orders", attributes{"pk": attributes{"S": "seen"}, "n": attributes{"N": "1"}})
	s.put(t, "orders", attributes{"pk": attributes{"S": "seen"}, "n": attributes{"N": "2"}})
	p.sees("MODIFY", "pk=seen")
	p.goes("#/tables")
	p.goes("#/stream/orders")
	p.sees("The newest before now:", "MODIFY", "2 of the newest 2")
	p.clicks("Pause")
	runs[chromedp.Void](p, "open the change", `[...document.querySelectorAll('.changes button')].find((b) => b.innerText.includes('MODIFY')).click()`)
	p.sees(`−   "n": 1`, `+   "n": 2`, "audit ✓ taken", "email ✓ taken", "indexer ✓ taken")
	for width, want := range map[int64]string{1440: "beside", 390: "below"} { // old and new stand side by side where there is room
		p.looks(width, "light")
		if is := runs[string](p, "compare", `(() => { const [a, b] = ['.diff .del', '.diff .add'].map((s) => document.querySelector(s).getBoundingClientRect()); return a.top === b.top && a.right <= b.left ? 'beside' : a.bottom <= b.top ? 'below' : 'elsewhere'; })()`); is != want {
			t.Errorf("at %d pixels the new line stands %s the old one", width, is)
		}
	}
	p.looks(1440, "light")
	p.shown("stream")
	p.types("condition on the change", "OLD.n <> ")
	p.clicks("Apply")
	p.sees("the condition is not right")
	p.types("condition on the change", "attribute_not_exists(OLD)")
	p.clicks("Apply")
	p.sees("1 of the newest 1")
	p.clicks("Clear")
	p.sees("2 of the newest 2")
	p.clicks("Pause")
	p.types("from", "1h")
	p.sees("INSERT", "2 of the newest 2")
	p.types("from a moment", "2001-01-01T00:00:00")
	p.sees("2 of the newest 2")
	p.types("from a moment", "2090-01-01T00:00:00")
	p.sees("Waiting for changes of orders")
	p.goes("#/function/email")
	p.sees("mail for <b>seen</b>", "SECRET", "••••")
	p.clicks("Show values")
	p.sees("hidden until asked for")
	p.types("event in JSON", `{"Records": []}`)
	p.clicks("Invoke")
	p.sees("success")
	s.call(t, http.MethodPost, "/2015-03-31/functions/email/versions", map[string]any{"Description": "the first"})
	s.call(t, http.MethodPost, "/2015-03-31/functions/email/aliases", map[string]any{"Name": "live", "FunctionVersion": "1"})
	p.goes("#/functions")
	p.goes("#/function/email")
	p.sees("Versions", "live", "version 1", "the first", "none failed", "Cold start")
	p.types("event in JSON", `{}`)
	p.clicks("Invoke")
	p.sees("KeyError: 'Records'", "1 failed")
	p.clicks("only those that failed")
	runs[chromedp.Void](p, "look at its lines", `document.querySelector('[aria-label^="log of "]').click()`)
	p.until(`[...document.querySelectorAll('.logs div')].length === 4 && document.querySelector('.logs').innerText.includes('KeyError')`, "see the lines of the call that failed")
	p.shown("function")
	p.clicks("Triggers")
	p.clicks("orders → email")
	p.sees("A call, 99 of 100", "Records a call", "a call takes")
	p.clicks("Server")
	p.sees("Access keys", "A sync of the log", "Disk used")
	for _, name := range []string{"Tables", "Triggers", "Functions", "Server"} {
		p.clicks(name)
		p.sees("healthy")
		p.shown(strings.ToLower(name))
	}
}

// A write is shown with what it set off: calls, what they printed, and what becomes of those that failed.
func TestRequests(t *testing.T) {
	s := start(t, t.TempDir())
	s.deploy(t)
	p := open(t, s.link)
	p.clicks("Requests")
	p.sees("Waiting for requests and writes")
	s.put(t, "orders", attributes{"pk": attributes{"S": "seen"}, "<i>n</i>": attributes{"S": "<img src=x onerror=alert(1)>"}})
	p.until(`document.querySelector('.tree')?.querySelectorAll('.tree > ul > li > ul > li').length === 3`, "see the calls of the first write") // else a call may get both records
	s.put(t, "orders", attributes{"pk": attributes{"S": "bad-1"}})
	// All of it is below the write: nothing else has come.
	p.sees("PutItem orders", `"<i>n</i>": "<img src=x onerror=alert(1)>"`, "INSERT pk=seen", "ValueError: bad audit", "1 failed, attempt 1 of 1: parked", "2 of the newest 2")
	p.until(`[...document.querySelectorAll('.tree')].every((t) => t.querySelectorAll('.tree > ul > li > ul > li').length === 3)`, "see three calls below each write")
	p.sees("mail for <b>seen</b>")
	p.seesNot("REPORT RequestId")
	p.shown("requests")
	p.types("which", "failed")
	p.sees("1 of the newest 2")
	p.seesNot("pk=seen")
	p.types("which", "slow")
	p.types("slow, in milliseconds", "100000")
	p.sees("0 of the newest 2")
	p.types("which", "")
	p.types("Find in names, items, errors and logs", "MAIL FOR <b>seen</b>")
	p.sees("1 of the newest 2")
	p.clicks("Pause")
	s.put(t, "orders", attributes{"pk": attributes{"S": "later"}})
	p.types("Find in names, items, errors and logs", "")
	p.sees("2 of the newest 2")
	p.clicks("Go on")
	p.sees("3 of the newest 3")
	p.clicks("email")
	p.sees("Configuration")

	// A call that ends before the write that it is for is told of is below it all the same.
	if late := runs[[]int](p, "grow a tree", `import('/assets/trees.js').then(({ Trees }) => {
		const t = new Trees(), keys = { pk: { S: 'a' } };
		t.add({ kind: 'call', id: 'c', name: 'f', began: '2026-01-01T00:00:01Z', changes: [{ table: 't', keys }] }, 0);
		t.add({ kind: 'write', name: 'PutItem', began: '2026-01-01T00:00:02Z', status: 200, body: { TableName: 't', Item: keys } }, 0);
		t.add({ kind: 'write', name: 'PutItem', began: '2026-01-01T00:00:00Z', status: 200, body: { TableName: 't', Item: keys } }, 0);
		return [t.roots.length, t.roots[0].kids.length, t.roots[1].kids.length];
	})`); !slices.Equal(late, []int{2, 1, 0}) {
		t.Errorf("trees, and what is below the first and the second: %v", late)
	}

	// A function that writes to its own table, at one moment of the clock, makes trees that end, and not more of them than are kept.
	grown := runs[[]int](p, "grow trees", `import('/assets/trees.js').then(({ Trees }) => {
		const t = new Trees(), began = '2026-01-01T00:00:00Z', keys = { pk: { S: 'a' } };
		for (let i = 0; i < 5000; i++) {
			t.add({ kind: 'write', name: 'PutItem', by: 'c' + i, began, status: 200, body: { TableName: 't', Item: keys } }, i);
			t.add({ kind: 'call', id: 'c' + i, name: 'f', began, changes: i ? [{ table: 't', keys }] : [] }, i);
		}
		let nodes = 0, deepest = 0;
		const walk = (n, deep) => { nodes++; deepest = Math.max(deepest, deep); n.kids.forEach((k) => walk(k, deep + 1)); };
		t.roots.forEach((r) => walk(r, 1));
		return [t.roots.length, nodes, deepest];
	})`)
	if grown[0] != 300 || grown[1] < 3000 || grown[2] != 12 {
		t.Errorf("%d trees of %d nodes, the deepest of %d", grown[0], grown[1], grown[2])
	}
}

// Who has no link gets nothing; a link is good once; other sites' pages get nothing either.
func TestWhoGetsIn(t *testing.T) {
	s := start(t, t.TempDir())
	base, _, _ := strings.Cut(s.link, "/open")
	get := func(method, path string, headers ...string) (int, string, *http.Response) {
		r, err := http.NewRequest(method, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			if headers[i] == "Host" {
				r.Host = headers[i+1]
			} else {
				r.Header.Set(headers[i], headers[i+1])
			}
		}
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text), answer
	}
	for _, path := range []string{"/", "/live", "/history", "/_millstream/v1/status", "/aws/dynamodb/", "/open", "/open?token=", "/open?token=x"} {
		if status, text, _ := get("GET", path); status != http.StatusUnauthorized {
			t.Errorf("GET %s without a session: %d %.100s", path, status, text)
		}
	}
	_, link, _ := strings.Cut(s.link, base)
	status, _, answer := get("GET", link)
	if status != http.StatusSeeOther || len(answer.Cookies()) != 1 {
		t.Fatalf("the link: %d, cookies %v", status, answer.Cookies())
	}
	if status, _, _ := get("GET", link); status != http.StatusUnauthorized {
		t.Errorf("the link, once more: %d", status)
	}
	c := answer.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("cookie %+v", c)
	}
	cookie := c.Name + "=" + c.Value
	status, _, answer = get("GET", "/", "Cookie", cookie)
	if policy := answer.Header.Get("Content-Security-Policy"); status != http.StatusOK || !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("the page: %d, policy %s", status, policy)
	}
	until, mac, _ := strings.Cut(c.Value, ".")
	for _, c := range []struct {
		what    string
		status  int
		method  string
		headers []string
	}{
		{"a session", http.StatusOK, "GET", []string{"Cookie", cookie}},
		{"a longer session of one's own making", http.StatusUnauthorized, "GET", []string{"Cookie", c.Name + "=9" + until + "." + mac}},
		{"the page of another site", http.StatusForbidden, "GET", []string{"Cookie", cookie, "Origin", "http://evil.example"}},
		{"another site's image", http.StatusForbidden, "GET", []string{"Cookie", cookie, "Sec-Fetch-Site", "cross-site"}},
		{"another port's page", http.StatusForbidden, "GET", []string{"Cookie", cookie, "Sec-Fetch-Site", "same-site"}},
		{"an address that was followed", http.StatusForbidden, "GET", []string{"Cookie", cookie, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "same-origin"}},
		{"another name", http.StatusForbidden, "GET", []string{"Cookie", cookie, "Host", "evil.example"}},
		{"a change without an origin", http.StatusForbidden, "POST", []string{"Cookie", cookie}},
		{"a change of another origin", http.StatusForbidden, "POST", []string{"Cookie", cookie, "Origin", "http://127.0.0.1:1"}},
		{"a change of the page's own", http.StatusOK, "POST", []string{"Cookie", cookie, "Origin", base}},
	} {
		path := "/_millstream/v1/status"
		if c.method == "POST" {
			path = "/_millstream/v1/settle"
		}
		if status, text, _ := get(c.method, path, c.headers...); status != c.status {
			t.Errorf("%s: %d, want %d (%.100s)", c.what, status, c.status, text)
		}
	}
}

// Who signs in with an account's access key sees its tables, triggers, streams and logs, and nothing of another account.
func TestSignIn(t *testing.T) {
	dir := t.TempDir()
	key := func(account string) (id, secret string) {
		out, err := exec.Command(os.Getenv("MILLSTREAM_BIN"), "credentials", "create", "--account", account, "--data", filepath.Join(dir, "data"), "--json").Output()
		var made struct{ ID, Secret string }
		if err != nil || json.Unmarshal(out, &made) != nil {
			t.Fatalf("%s %v", out, err)
		}
		return made.ID, made.Secret
	}
	s := start(t, dir) // makes the folder; signatures are not looked at, and accounts are told apart all the same
	s.deploy(t)
	s.put(t, "orders", attributes{"pk": attributes{"S": "of the server's account"}})
	id, secret := key("000000000000")
	other, otherSecret := key("222222222222")
	base, _, _ := strings.Cut(s.link, "/open")
	p := open(t, base+"/")
	p.sees("Nobody is signed in here.", "Sign in with an access key")
	p.shown("sign-in")
	enter := func(id, secret string) {
		runs[chromedp.Void](p, "type the key", fmt.Sprintf(`(() => { const f = document.getElementById('sign-in').elements; f.id.value = %s; f.secret.value = %s; })()`, quote(id), quote(secret)))
		p.clicks("Sign in")
	}
	// gets waits until the page itself has come in the form's place; while it does, there is none to ask.
	gets := func() {
		for end := time.Now().Add(limit); time.Now().Before(end); {
			ctx, cancel := context.WithTimeout(p.ctx, limit)
			here, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`!!document.querySelector('main#main')`))
			cancel()
			if err == nil && here {
				return
			}
		}
		p.t.Fatalf("nobody was signed in. The page shows:\n%s", p.text())
	}
	enter(id, "wrong")
	p.sees("its secret is another")
	enter(id, secret)
	gets()
	p.sees("orders → email", "account 000000000000")
	p.goes("#/stream/orders")
	p.sees("Waiting for changes of orders")
	s.put(t, "orders", attributes{"pk": attributes{"S": "another"}})
	p.sees("pk=another")
	p.goes("#/function/email")
	p.sees("Configuration", "mail for <b>another</b>")
	p.goes("#/requests")
	p.sees("AccessDenied")
	p.goes("#/server")
	p.sees("for operators' keys")
	do(p, "sign out", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.ClearBrowserCookies, struct{}{})
		return err
	}))
	do(p, "come back", chromedp.Navigate(base+"/"))
	p.sees("Sign in with an access key")
	enter(other, otherSecret)
	gets()
	p.sees("No triggers yet", "account 222222222222")
	p.goes("#/tables")
	p.seesNot("orders")
	p.goes("#/table/orders")
	p.sees("ResourceNotFoundException")
	p.goes("#/stream/orders")
	p.sees("is not there or has no stream")
	p.goes("#/function/email")
	p.sees("ResourceNotFoundException")
}

// A page that is open goes on when the server was started again.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	s.deploy(t)
	p := open(t, s.link)
	p.sees("orders → email", "healthy")
	s.stop()
	p.sees("The server does not answer", "not connected")
	address, _, _ := strings.Cut(strings.TrimPrefix(s.link, "http://"), "/")
	s = start(t, dir, "--console-listen", address)
	p.sees("healthy")
	p.seesNot("The server does not answer")
	s.put(t, "orders", attributes{"pk": attributes{"S": "poison"}})
	p.sees("orders → indexer is blocked since")
}
