package console

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// TestTasks does the main task of each page, one page after the other: it is for every change. What else pages can do has tests of its own.
func TestTasks(t *testing.T) {
	s := start(t, t.TempDir())
	s.deploy(t)
	p := open(t, s.link)
	task := func(name string, do func(p *page)) {
		t.Helper()
		if !t.Run(name, func(t *testing.T) { do(&page{t: t, ctx: p.ctx}) }) {
			t.FailNow() // the next begins where this one should have ended
		}
	}
	// What is stuck, why, and let the others go on.
	task("loop", func(p *page) {
		p.sees("orders → indexer", "orders → email", "healthy")
		s.put(t, "orders", attributes{"pk": attributes{"S": "poison"}})
		s.put(t, "orders", attributes{"pk": attributes{"S": "bad-1"}})
		p.sees("orders → indexer is blocked since", "pk=poison", "TypeError")
		p.clicks("Hold this item only")
		p.seesNot("is blocked since")
	})
	// A table is made, and deleted.
	task("tables", func(p *page) {
		p.clicks("Tables")
		p.sees("orders", "NEW_AND_OLD_IMAGES")
		p.clicks("New table")
		p.types("name of the table", "shipments")
		p.types("partition key", "id")
		p.clicks("Create table")
		p.sees("0 items · 0 B · key id · no stream")
		p.clicks("Settings")
		p.types("name of the table to delete", "shipments")
		p.clicks("Delete table")
		p.seesNot("shipments")
	})
	// An item is made, changed, found and deleted.
	task("items", func(p *page) {
		p.clicks("orders")
		p.sees("2 items ·")
		p.clicks("New item")
		p.types("item in Plain JSON", `{"pk": "order-1", "total": 12345678901234567890123456789012345678}`)
		p.clicks("Save")
		p.sees("3 items ·", "12345678901234567890123456789012345678")
		p.clicks("order-1")
		p.rewrites("item in Plain JSON", `"total"`, `"sum"`)
		p.clicks("Save")
		p.sees("pk=order-1 is saved.")
		p.types("pk is", "order-1")
		p.clicks("Run")
		p.sees("1 item, page 1")
	})
	// A change is seen as it comes, with what is old and new, and who has had it.
	task("stream", func(p *page) {
		p.clicks("Stream")
		p.sees("MODIFY", "pk=order-1")
		s.put(t, "orders", attributes{"pk": attributes{"S": "order-2"}})
		p.sees("pk=order-2")
		runs[chromedp.Void](p, "open the change", `[...document.querySelectorAll('.changes button')].find((b) => b.innerText.includes('MODIFY')).click()`)
		p.sees(`−   "total": 12345678901234567890123456789012345678`, `+   "sum": 12345678901234567890123456789012345678`, "email ✓ taken")
	})
	// A trigger is paused, set back and goes on; its settings are changed.
	task("trigger", func(p *page) {
		p.clicks("Triggers")
		p.clicks("orders → email")
		p.sees("Lag, records", "Shards")
		p.clicks("Pause")
		p.sees("Paused: it keeps its place.")
		p.types("place to go to", "HORIZON")
		p.clicks("Rewind")
		p.sees("5 records come again, also what succeeded.")
		p.clicks("Yes")
		p.sees("5 records wait")
		p.clicks("Change settings")
		p.types("Records a call, at most", "3")
		p.clicks("Save settings")
		p.sees("up to 3, window")
		p.clicks("Resume")
		p.until(`document.querySelector('h1 .tag')?.innerText === 'running'`, "see that it runs")
	})
	// A held record is given up; a parked one is sent again, and dropped.
	task("parked", func(p *page) {
		p.clicks("Parked 2")
		p.clicks("orders → indexer")
		p.clicks("pk=poison")
		p.sees("It is held", `"pk": "poison"`)
		p.clicks("orders → audit")
		p.clicks("pk=bad-1")
		p.clicks("Send again")
		p.sees("It has failed again: ValueError: bad audit")
		p.clicks("Drop")
		p.types("reason", "of a test")
		p.clicks("Yes")
		p.sees("pk=bad-1: dropped.", "1 dropped: of a test")
	})
	// A function is called, and the call that failed is found.
	task("function", func(p *page) {
		p.clicks("Functions")
		p.clicks("email")
		p.sees("Configuration", "mail for <b>order-2</b>")
		p.types("event in JSON", `{}`)
		p.clicks("Invoke")
		p.sees("KeyError: 'Records'", "1 failed")
		p.clicks("only those that failed")
	})
	// A write is shown with what it set off.
	task("requests", func(p *page) {
		p.clicks("Requests")
		p.sees("Waiting for requests and writes")
		s.put(t, "orders", attributes{"pk": attributes{"S": "bad-2"}})
		p.sees("PutItem orders", "INSERT pk=bad-2", "1 failed, attempt 1 of 1: parked")
	})
	task("server", func(p *page) {
		p.clicks("Server")
		p.sees("Durability", "Disk used", "Compactions", "Access keys", "healthy")
	})
}
