package sqs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/trace"
)

func sendMessage(ctx context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	c.message.Trace = trace.From(ctx).Header()
	sent, err := q.Send(c.scope.Account, false, []queue.Entry{c.message})
	if err != nil {
		return err
	}
	if sent[0].Err != nil {
		return sent[0].Err
	}
	c.sent(&sent[0], &c.message)
	return nil
}

// sent writes what came of a message.
func (c *call) sent(s *queue.Sent, e *queue.Entry) {
	c.w.text("MD5OfMessageBody", s.MD5Text())
	c.w.text("MD5OfMessageAttributes", queue.AttributesMD5(e.Attributes))
	c.w.text("MD5OfMessageSystemAttributes", queue.AttributesMD5(e.System))
	c.w.text("MessageId", s.IDText())
	if s.Seq != 0 {
		c.w.text("SequenceNumber", queue.SequenceText(s.Seq))
	}
}

// maxBatch is the most entries of a batch.
const maxBatch = 10

// checkBatch is about the entries of a batch together.
func (c *call) checkBatch(operation string) error {
	switch n := len(c.entries); {
	case n == 0:
		return awserr.BatchEmpty(operation + "RequestEntry")
	case n > maxBatch:
		return awserr.BatchTooMany(n)
	}
	for i, e := range c.entries {
		if e.id == "" || len(e.id) > 80 || strings.ContainsFunc(e.id, func(r rune) bool {
			return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
		}) {
			return awserr.BatchEntryID()
		}
		if slices.ContainsFunc(c.entries[:i], func(o entry) bool { return o.id == e.id }) {
			return awserr.BatchEntryIDTwice(e.id)
		}
	}
	return nil
}

func sendMessageBatch(ctx context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	if err := c.checkBatch("SendMessageBatch"); err != nil {
		return err
	}
	entries := make([]queue.Entry, len(c.entries))
	for i := range c.entries {
		entries[i] = c.entries[i].message
		entries[i].Trace = trace.From(ctx).Header()
	}
	if err := q.CheckBatch(entries); err != nil {
		return err
	}
	sent, err := q.Send(c.scope.Account, true, entries)
	if err != nil {
		return err
	}
	errs := make([]error, len(sent))
	for i := range sent {
		errs[i] = sent[i].Err
	}
	c.results("SendMessageBatchResultEntry", errs, func(i int) { c.sent(&sent[i], &entries[i]) })
	return nil
}

// results writes what came of the entries of a batch; ok writes the members of one that was done.
func (c *call) results(element string, errs []error, ok func(i int)) {
	var done, failed []int
	for i, err := range errs {
		if err == nil {
			done = append(done, i)
		} else {
			failed = append(failed, i)
		}
	}
	c.w.list("Successful", element, len(done), func(i int) {
		c.w.text("Id", c.entries[done[i]].id)
		ok(done[i])
	})
	c.w.list("Failed", "BatchResultErrorEntry", len(failed), func(i int) {
		e := &awserr.Error{}
		errors.As(errs[failed[i]], &e)
		c.w.text("Id", c.entries[failed[i]].id)
		c.w.bool("SenderFault", true)
		c.w.text("Code", e.Code)
		c.w.text("Message", e.Message)
	})
}

func receiveMessage(ctx context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	most := 1
	if c.most != nil {
		most = *c.most
	}
	if err := queue.CheckReceive(most, c.visibility, c.wait, c.attempt); err != nil {
		return err
	}
	r := queue.ReceiveRequest{Max: most, Visibility: c.visibility, Attempt: c.attempt}
	if c.wait != nil {
		d := time.Duration(*c.wait) * time.Second
		r.Wait = &d
	}
	received, err := q.Receive(ctx, r)
	if err != nil {
		return err
	}
	all := slices.Contains(c.attributeNames, "All")
	c.w.list("Messages", "Message", len(received), func(i int) {
		m := received[i]
		c.w.text("MessageId", m.IDText())
		c.w.text("ReceiptHandle", m.Handle)
		c.w.text("MD5OfBody", m.MD5Text())
		c.w.text("Body", m.Body)
		if len(c.attributeNames) > 0 {
			c.w.table("Attributes", "Attribute", "Name", slices.DeleteFunc(m.SystemAttributes(), func(p [2]string) bool {
				return !all && !slices.Contains(c.attributeNames, p[0])
			}))
		}
		c.attributesOf(m)
	})
	return nil
}

// attributesOf writes the message attributes that were asked for, and their digest.
func (c *call) attributesOf(m *queue.Received) {
	if len(c.messageAttributeNames) == 0 {
		return
	}
	var chosen []queue.Attribute
	for _, a := range m.Message.Attributes {
		if slices.ContainsFunc(c.messageAttributeNames, func(want string) bool {
			prefix, any := strings.CutSuffix(want, ".*")
			return want == "All" || want == "*" || want == a.Name || any && strings.HasPrefix(a.Name, prefix)
		}) {
			chosen = append(chosen, a)
		}
	}
	if len(chosen) == 0 {
		return
	}
	c.w.text("MD5OfMessageAttributes", queue.AttributesMD5(chosen))
	write := func(a queue.Attribute) {
		if a.Binary {
			c.w.bytes("BinaryValue", a.Value)
		} else {
			c.w.text("StringValue", a.Value)
		}
		c.w.text("DataType", a.Type)
	}
	if c.w.xml {
		c.w.list("", "MessageAttribute", len(chosen), func(i int) {
			c.w.text("Name", chosen[i].Name)
			c.w.object("Value", func() { write(chosen[i]) })
		})
		return
	}
	c.w.object("MessageAttributes", func() {
		for _, a := range chosen {
			c.w.object(a.Name, func() { write(a) })
		}
	})
}

func deleteMessage(_ context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	if c.receiptHandle == "" {
		return awserr.QueueParameterMissing("ReceiptHandle")
	}
	errs, err := q.Delete([]string{c.receiptHandle})
	if err != nil {
		return err
	}
	return errs[0]
}

func deleteMessageBatch(_ context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	if err := c.checkBatch("DeleteMessageBatch"); err != nil {
		return err
	}
	handles := make([]string, len(c.entries))
	for i, e := range c.entries {
		handles[i] = e.receiptHandle
	}
	errs, err := q.Delete(handles)
	if err == nil {
		c.results("DeleteMessageBatchResultEntry", errs, func(int) {})
	}
	return err
}

func changeVisibility(_ context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	switch {
	case c.receiptHandle == "":
		return awserr.QueueParameterMissing("ReceiptHandle")
	case c.visibility == nil:
		return awserr.QueueParameterMissing("VisibilityTimeout")
	}
	errs, err := q.ChangeVisibility([]queue.Visibility{{Handle: c.receiptHandle, Seconds: *c.visibility}})
	if err != nil {
		return err
	}
	return errs[0]
}

func changeVisibilityBatch(_ context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	if err := c.checkBatch("ChangeMessageVisibilityBatch"); err != nil {
		return err
	}
	changes := make([]queue.Visibility, len(c.entries))
	for i, e := range c.entries {
		changes[i].Handle = e.receiptHandle
		if e.visibility != nil {
			changes[i].Seconds = *e.visibility
		}
	}
	errs, err := q.ChangeVisibility(changes)
	if err == nil {
		c.results("ChangeMessageVisibilityBatchResultEntry", errs, func(int) {})
	}
	return err
}
