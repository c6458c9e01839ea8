package app

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/backend/remote"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/schema"
)

// What a node accepts for later lies with the tables' server until it has ended; who it is told to is that server's queue. What a node that is gone has accepted
// another does, and its log is gone, too.
func TestEventsOfNodes(t *testing.T) {
	ctx := t.Context()
	primary, _ := opened(t, Options{})
	a, node := opened(t, Options{Tables: primary.URL})
	ask(t, primary.URL, "sqs", "POST", "/", "AmazonSQS.CreateQueue", `{"QueueName":"done"}`)
	ran := make(chan string, 10)
	if err := node.RegisterFunction("g", func(_ context.Context, event []byte) ([]byte, error) { ran <- string(event); return []byte("1"), nil }); err != nil {
		t.Fatal(err)
	}
	if status, text := ask(t, a.URL, "lambda", "PUT", "/2019-09-25/functions/g/event-invoke-config", "", `{"DestinationConfig":{"OnSuccess":{"Destination":"arn:aws:sqs:us-east-1:000000000000:done"}}}`); status != 200 {
		t.Fatal(status, text)
	}
	if status, text := ask(t, a.URL, "lambda", "POST", "/2015-03-31/functions/g/invocations%23event", "", `{"n":1}`); status != 202 {
		t.Fatal(status, text)
	}
	if got := <-ran; got != `{"n":1}` {
		t.Errorf("called with %s", got)
	}
	got := func() string {
		_, text := ask(t, primary.URL, "sqs", "POST", "/", "AmazonSQS.ReceiveMessage", fmt.Sprintf(`{"QueueUrl":"%s/000000000000/done","WaitTimeSeconds":20}`, primary.URL))
		return text
	}
	if text := got(); !strings.Contains(text, "Success") {
		t.Error(text)
	}

	// A log of a node that is gone, with a row as that node has stored it.
	b := node.node.Backend
	other := &eventLogs{b: b, log: node.opts.Logger}
	scope := schema.Scope{Account: "000000000000", Region: "us-east-1"}
	head := fmt.Sprintf(`{"scope":{"Account":%q,"Region":%q},"name":"g","requestId":"r","acceptedMs":%d,"size":7}`, scope.Account, scope.Region, node.clock.Stamp())
	if _, err := other.Put(ctx, function.SharedEvent{Log: "gone", Key: "1", Data: `{"head":` + head + `,"payload":"eyJuIjoyfQ=="}`}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Put(ctx, function.SharedEvent{Log: "gone" + function.PiecesOf, Key: "left#p#00000", Data: `{}`}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Keep(ctx, remote.Kept{Set: logsSet, Key: "gone", Data: encodeLog(logRow{Owner: "nobody"})}); err != nil {
		t.Fatal(err)
	}
	me, _ := b.Self()
	looks := &eventLogs{b: b, log: node.opts.Logger, functions: node.functions, own: node.node.events.Log(), by: me, made: make(chan struct{}), read: map[string]bool{}}
	if err := looks.look(ctx); err != nil {
		t.Fatal(err)
	}
	if got := <-ran; got != `{"n":2}` {
		t.Errorf("called with %s", got)
	}
	if text := got(); !strings.Contains(text, "Success") {
		t.Error(text)
	}
	for node.functions.HoldsEvents("gone") { // until it is known that it was told
		if err := looks.look(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := looks.look(ctx); err != nil {
		t.Fatal(err)
	}
	for _, set := range []string{logPrefix + "gone", logPrefix + "gone" + function.PiecesOf} {
		if rows, err := b.AllKept(ctx, set); err != nil || len(rows) > 0 {
			t.Errorf("%s has %d rows, %v", set, len(rows), err)
		}
	}
	if logs, err := b.AllKept(ctx, logsSet); err != nil || len(logs) != 1 {
		t.Errorf("the logs are %v, %v", logs, err)
	}

	// A node whose id is another by now does not know whether its log is its own, and looks.
	own := looks.Log()
	if err := looks.Sure(ctx, own); err != nil {
		t.Error(err)
	}
	row, err := b.OneKept(ctx, logsSet, own)
	if err != nil {
		t.Fatal(err)
	}
	row.Data = encodeLog(logRow{Owner: "another"})
	if _, err := b.Keep(ctx, *row); err != nil {
		t.Fatal(err)
	}
	looks.by = "before"
	if err := looks.Sure(ctx, own); err != errLogLost {
		t.Errorf("of a log that was taken over: %v", err)
	}

	// Who had taken it over is gone, too. What that one left in it, this node has to read: it is not its own as it left it.
	if _, err := other.Put(ctx, function.SharedEvent{Log: own, Key: "taken", Data: `{"head":` + head + `,"payload":"eyJuIjozfQ=="}`}); err != nil {
		t.Fatal(err)
	}
	if err := looks.look(ctx); err != nil {
		t.Fatal(err)
	}
	if looks.Log() == own {
		t.Error("a log that another had is added to")
	}
	select {
	case got := <-ran:
		if got != `{"n":3}` {
			t.Errorf("called with %s", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("what is in a log that came back is left alone")
	}
	if err := looks.Sure(ctx, own); err != errLogLost {
		t.Errorf("of a log that came back: %v", err)
	}
}
