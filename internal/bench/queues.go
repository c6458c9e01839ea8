package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	queueCrowd = 16 // senders, and receivers beside them
	perBatch   = 10 // the most messages of a request of SQS
	bodyBytes  = 256
)

// queueBody is the body of a message, which begins with a number.
var queueBody = mark + strings.Repeat("x", bodyBytes-keyDigits)

// queueARN makes a queue; its URL's path is what requests name.
func queueARN(ctx context.Context, c *child, name string) (arn, path string, err error) {
	var made struct{ QueueUrl string }
	if err := callQueue(ctx, c, "CreateQueue", map[string]string{"QueueName": name}, &made); err != nil {
		return "", "", err
	}
	var got struct{ Attributes map[string]string }
	err = callQueue(ctx, c, "GetQueueAttributes", map[string]any{"QueueUrl": made.QueueUrl, "AttributeNames": []string{"QueueArn"}}, &got)
	return got.Attributes["QueueArn"], strings.TrimPrefix(made.QueueUrl, c.endpoint), err
}

func callQueue(ctx context.Context, c *child, operation string, in, out any) error {
	return send(ctx, "POST", c.endpoint+"/", "sqs", "AmazonSQS."+operation, in, out)
}

func queueMessage(host, operation, body string) []byte {
	return messageTo(host, "sqs", "AmazonSQS."+operation, []byte(body))
}

func sendOne(path string) (operation, body string) {
	return "SendMessage", `{"QueueUrl":"` + path + `","MessageBody":"` + queueBody + `"}`
}

func sendTen(path string) (operation, body string) {
	var entries []string
	for i := range perBatch {
		entries = append(entries, fmt.Sprintf(`{"Id":"%d","MessageBody":"%s"}`, i, queueBody))
	}
	return "SendMessageBatch", `{"QueueUrl":"` + path + `","Entries":[` + strings.Join(entries, ",") + `]}`
}

// measureQueues has 16 senders and 16 receivers on one queue, first with a message a request, then with ten. A message counts once it was
// sent, received and deleted, each synced before it was answered. Then it takes the time from a send to the start of a function.
func measureQueues(ctx context.Context, o Options, r *report) error {
	for _, kind := range []struct {
		name     string
		request  func(path string) (operation, body string)
		messages int
		budget   float64
	}{{"one by one", sendOne, 1, 8000}, {"ten at once", sendTen, perBatch, 40_000}} {
		err := onServer(ctx, o, func(c *child, dir string) error {
			// What the disk has to give at this moment: each message is three synced commits.
			ceiling, err := engineCeiling(ctx, filepath.Join(dir, "engine"), queueCrowd, o.duration()/4)
			if err != nil {
				return err
			}
			_, path, err := queueARN(ctx, c, table)
			if err != nil {
				return err
			}
			host, err := hostOf(c.endpoint)
			if err != nil {
				return err
			}
			receivers := receive(ctx, host, path)
			start := time.Now()
			operation, body := kind.request(path)
			requests, sending, err := load(ctx, c.endpoint, queueCrowd, o.duration(), func(int) func(int) []byte {
				request := queueMessage(host, operation, body)
				return func(int) []byte { return request }
			})
			sent := requests * int64(kind.messages)
			if err = errors.Join(err, receivers.until(ctx, sent)); err != nil {
				return err
			}
			r.add(result{
				name:     fmt.Sprintf("messages of %d B sent %s by %d senders, received and deleted by %d receivers, synced", bodyBytes, kind.name, queueCrowd, queueCrowd),
				measured: float64(sent) / time.Since(start).Seconds(), budget: kind.budget, format: perSecond,
				ceiling: ceiling * float64(kind.messages), ceilingName: fmt.Sprintf("bare engine, %d writers, nobody reads or deletes", queueCrowd),
				why: fmt.Sprintf("until the last was deleted; sent: %s in requests of %d.", perSecond(float64(sent)/sending.Seconds()), kind.messages),
			})
			return nil
		})
		if err != nil {
			return err
		}
	}
	return measureQueueLatency(ctx, o, r)
}

// receivers take messages and delete them, each on a connection of its own.
type receivers struct {
	deleted atomic.Int64
	end     context.CancelFunc
	ended   sync.WaitGroup
	failed  chan error
}

func receive(ctx context.Context, host, path string) *receivers {
	ctx, cancel := context.WithCancel(ctx)
	all := &receivers{end: cancel, failed: make(chan error, queueCrowd)}
	for range queueCrowd {
		all.ended.Go(func() {
			if err := all.one(ctx, host, path); err != nil {
				all.failed <- err
			}
		})
	}
	return all
}

func (all *receivers) one(ctx context.Context, host, path string) error {
	c, err := dial(ctx, host)
	if err != nil {
		return err
	}
	defer c.Close()
	ask := queueMessage(host, "ReceiveMessage", fmt.Sprintf(`{"QueueUrl":"%s","MaxNumberOfMessages":%d,"WaitTimeSeconds":1}`, path, perBatch))
	var answer, entries bytes.Buffer
	for ctx.Err() == nil {
		if err := c.exchange(ask, &answer); err != nil {
			return err
		}
		entries.Reset()
		n := 0
		for rest := answer.Bytes(); ; n++ {
			const before = `"ReceiptHandle":"`
			_, after, found := bytes.Cut(rest, []byte(before))
			if !found {
				break
			}
			handle, after, _ := bytes.Cut(after, []byte{'"'})
			if n > 0 {
				entries.WriteByte(',')
			}
			fmt.Fprintf(&entries, `{"Id":"%d","ReceiptHandle":"%s"}`, n, handle)
			rest = after
		}
		if n == 0 {
			continue
		}
		if err := c.exchange(queueMessage(host, "DeleteMessageBatch", `{"QueueUrl":"`+path+`","Entries":[`+entries.String()+`]}`), &answer); err != nil {
			return err
		}
		if bytes.Contains(answer.Bytes(), []byte(`"Failed"`)) {
			return fmt.Errorf("a delete failed: %s", answer.Bytes())
		}
		all.deleted.Add(int64(n))
	}
	return nil
}

// until returns when so many messages were deleted, and ends the receivers.
func (all *receivers) until(ctx context.Context, messages int64) error {
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	limit := time.NewTimer(10 * time.Minute)
	defer limit.Stop()
	var err error
	for err == nil && all.deleted.Load() < messages {
		select {
		case err = <-all.failed:
		case <-ctx.Done():
			err = ctx.Err()
		case <-limit.C:
			err = fmt.Errorf("%d of %d messages were deleted within 10 minutes", all.deleted.Load(), messages)
		case <-poll.C:
		}
	}
	all.end()
	all.ended.Wait()
	if n := all.deleted.Load(); err == nil && n != messages {
		err = fmt.Errorf("%d messages were deleted, and %d sent", n, messages)
	}
	return err
}

// measureQueueLatency is measureLatency for a queue: the time from a send's answer to the start of the call that has the message.
func measureQueueLatency(ctx context.Context, o Options, r *report) error {
	return onServer(ctx, o, func(c *child, _ string) error {
		arn, path, err := queueARN(ctx, c, table)
		if err != nil {
			return err
		}
		p := newPaced(o.duration(), 0)
		p.before = `"body":"`
		p.request = func(host string, client int) func(int) []byte {
			_, body := sendOne(path)
			return numbered(queueMessage(host, "SendMessage", body), client, func(n, _ int) int { return n })
		}
		f, err := listen(p.event)
		if err != nil {
			return err
		}
		defer f.close()
		if err := deployTimed(ctx, c.endpoint, "bench", f.url, 20); err != nil {
			return err
		}
		if _, err := attach(ctx, c.endpoint, arn, "bench", perBatch, true, ""); err != nil {
			return err
		}
		if err := p.run(ctx, c); err != nil {
			return err
		}
		p.report(r, "send to function start, %s, 1,000 messages/s, HTTP function", "send")
		return nil
	})
}

// measureIdleQueueMappings is measureIdleMappings for mappings that have a queue each.
func measureIdleQueueMappings(ctx context.Context, o Options, r *report) error {
	return idleMappings(ctx, o, r, "%s idle queues with mappings", "", func(*child) (string, error) { return "", nil },
		func(c *child, _ string, i int) (string, error) {
			arn, _, err := queueARN(ctx, c, fmt.Sprint(table, "-", i))
			return arn, err
		})
}

// measureQueueBacklog sends messages that nobody receives, takes the memory that they cost, and then receives and deletes them all.
func measureQueueBacklog(ctx context.Context, o Options, r *report) error {
	messages := 1_000_000
	if o.Quick {
		messages = 50_000
	}
	if o.Backlog > 0 {
		messages = o.Backlog
	}
	return onServer(ctx, o, func(c *child, _ string) error {
		_, path, err := queueARN(ctx, c, table)
		if err != nil {
			return err
		}
		host, err := hostOf(c.endpoint)
		if err != nil {
			return err
		}
		idle, err := c.resident()
		if err != nil {
			return err
		}
		start := time.Now()
		if err := sendAll(ctx, host, path, messages); err != nil {
			return err
		}
		sending := time.Since(start)
		full, err := c.resident()
		if err != nil {
			return err
		}
		start = time.Now()
		if err := receive(ctx, host, path).until(ctx, int64(messages)); err != nil {
			return err
		}
		receiving := time.Since(start)
		drained, err := c.resident()
		if err != nil {
			return err
		}
		r.add(result{
			name:     fmt.Sprintf("memory above idle with %s messages waiting, and when they were received and deleted", thousands(int64(messages))),
			measured: float64(max(full, drained) - idle), budget: 200 << 20, atMost: true, format: mebibytes,
			why: fmt.Sprintf("%s of resident memory, %s when all were gone, %s before; sent at %s, received and deleted at %s.", mebibytes(float64(full)), mebibytes(float64(drained)), mebibytes(float64(idle)),
				perSecond(float64(messages)/sending.Seconds()), perSecond(float64(messages)/receiving.Seconds())),
		})
		return nil
	})
}

// sendAll sends messages in batches over several connections.
func sendAll(ctx context.Context, host, path string, messages int) error {
	var next atomic.Int64
	failures := make([]error, queueCrowd)
	var sending sync.WaitGroup
	operation, body := sendTen(path)
	for i := range queueCrowd {
		sending.Go(func() {
			c, err := dial(ctx, host)
			if err != nil {
				failures[i] = err
				return
			}
			defer c.Close()
			request := queueMessage(host, operation, body)
			for failures[i] == nil && ctx.Err() == nil && next.Add(perBatch) <= int64(messages) {
				failures[i] = c.roundTrip(request)
			}
		})
	}
	sending.Wait()
	if messages%perBatch != 0 {
		failures = append(failures, fmt.Errorf("%d messages are no whole batches of %d", messages, perBatch))
	}
	return errors.Join(append(failures, ctx.Err())...)
}
