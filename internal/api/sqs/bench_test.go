package sqs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/worker"
)

// BenchmarkSendersAndReceivers has 16 senders and 16 receivers on one queue, with bodies of 256 bytes, one by one and in batches of ten, on a disk,
// synced: within the process, and over HTTP, where the clients' own work is in the processor time. `millstream bench --only queues` judges the same
// against a server.
func BenchmarkSendersAndReceivers(b *testing.B) {
	for _, batch := range []int{1, 10} {
		b.Run(fmt.Sprint("batches of ", batch), func(b *testing.B) { sendersAndReceivers(b, batch) })
	}
}

func sendersAndReceivers(b *testing.B, size int) {
	b.Run("within", func(b *testing.B) {
		queues, _ := openForBench(b)
		q, err := queues.Create(benchScope, "q", nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		body := strings.Repeat("a", 256)
		entries := make([]queue.Entry, size)
		for i := range entries {
			entries[i].Body = &body
		}
		wait := 20 * time.Second
		crowd(b, size, func() error {
			_, err := q.Send(benchScope.Account, true, entries)
			return err
		}, func(ctx context.Context) (int, error) {
			got, err := q.Receive(ctx, queue.ReceiveRequest{Max: 10, Wait: &wait})
			if err != nil || len(got) == 0 {
				return 0, err
			}
			handles := make([]string, len(got))
			for i, m := range got {
				handles[i] = m.Handle
			}
			_, err = q.Delete(handles)
			return len(got), err
		})
	})
	b.Run("http", func(b *testing.B) {
		queues, h := openForBench(b)
		if _, err := queues.Create(benchScope, "q", nil, nil); err != nil {
			b.Fatal(err)
		}
		server := httptest.NewServer(h)
		b.Cleanup(server.Close)
		transport := &http.Transport{MaxIdleConnsPerHost: 64}
		client := &http.Client{Transport: transport}
		post := func(ctx context.Context, operation string, body []byte) ([]byte, error) {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, bytes.NewReader(body))
			if err != nil {
				return nil, err
			}
			r.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
			out, err := client.Do(r)
			if err != nil {
				return nil, err
			}
			defer func() { _ = out.Body.Close() }() // it was read
			return io.ReadAll(out.Body)
		}
		var batch bytes.Buffer
		batch.WriteString(`{"QueueUrl":"/123456789012/q","Entries":[`)
		for i := range size {
			if i > 0 {
				batch.WriteByte(',')
			}
			fmt.Fprintf(&batch, `{"Id":"%d","MessageBody":"%s"}`, i, strings.Repeat("a", 256))
		}
		batch.WriteString(`]}`)
		crowd(b, size, func() error {
			_, err := post(context.Background(), "SendMessageBatch", batch.Bytes())
			return err
		}, func(ctx context.Context) (int, error) {
			out, err := post(ctx, "ReceiveMessage", []byte(`{"QueueUrl":"/123456789012/q","MaxNumberOfMessages":10,"WaitTimeSeconds":20}`))
			if err != nil {
				return 0, err
			}
			var got struct {
				Messages []struct{ ReceiptHandle string }
			}
			if err := json.Unmarshal(out, &got); err != nil || len(got.Messages) == 0 {
				return 0, err
			}
			var remove bytes.Buffer
			remove.WriteString(`{"QueueUrl":"/123456789012/q","Entries":[`)
			for i, m := range got.Messages {
				if i > 0 {
					remove.WriteByte(',')
				}
				fmt.Fprintf(&remove, `{"Id":"%d","ReceiptHandle":"%s"}`, i, m.ReceiptHandle)
			}
			remove.WriteString(`]}`)
			_, err = post(ctx, "DeleteMessageBatch", remove.Bytes())
			return len(got.Messages), err
		})
	})
}

var benchScope = schema.Scope{Account: "123456789012", Region: "eu-west-1"}

func openForBench(b *testing.B) (*queue.Service, http.Handler) {
	b.Helper()
	st, err := store.Open(store.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	queues, err := queue.Open(queue.Options{Store: st, Clock: worker.NewClock(time.Now)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		queues.Close()
		if err := st.Close(); err != nil {
			b.Error(err)
		}
	})
	return queues, New(queues, Options{Authenticate: func(*http.Request) (schema.Scope, *awserr.Error) { return benchScope, nil }})
}

// crowd sends b.N batches from 16 senders, while 16 receivers take and delete them.
func crowd(b *testing.B, size int, send func() error, receive func(ctx context.Context) (int, error)) {
	b.Helper()
	var before, after syscall.Rusage
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var left, taken atomic.Int64
	left.Store(int64(b.N))
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before) // never fails
	b.ResetTimer()
	var senders, receivers sync.WaitGroup
	for range 16 {
		senders.Go(func() {
			for left.Add(-1) >= 0 {
				if err := send(); err != nil {
					b.Error(err)
					return
				}
			}
		})
		receivers.Go(func() {
			for ctx.Err() == nil {
				n, err := receive(ctx)
				if err != nil && ctx.Err() == nil {
					b.Error(err)
					return
				}
				if taken.Add(int64(n)) == int64(b.N)*int64(size) {
					cancel()
				}
			}
		})
	}
	senders.Wait()
	sent := b.Elapsed()
	receivers.Wait()
	b.StopTimer()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after) // never fails
	cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	messages := float64(b.N) * float64(size)
	b.ReportMetric(messages/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(b.N)/sent.Seconds(), "sends/s")
	b.ReportMetric(float64(cpu.Microseconds())/messages, "cpu-µs/message")
}
