package faults

import (
	"bufio"

	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// mostMemory is what a server under GOMEMLIMIT=512MiB may have at most: beside Go's memory there is the program itself, and the
// caches of the engine.
const mostMemory = 640 << 20

// Clients that ask for 16 MB by BatchGetItem, or for pages by Scan, and never read.
func TestHungryClientsThatDoNotRead(t *testing.T) {
	for _, operation := range []string{"BatchGetItem", "Scan"} {
		t.Run(operation, func(t *testing.T) {
			s := start(t, 0)
			body := s.fill()
			if operation == "Scan" {
				body = `{"TableName":"faults"}`
			}
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					for range scaled(200, 4000) / 20 {
						c, err := net.DialTimeout("tcp", s.addr, 20*time.Second)
						if err != nil {
							t.Error(err)
							return
						}
						t.Cleanup(func() { c.Close() })
						_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
						_, _ = io.WriteString(c, message(operation, body, len(body))) // an end is an answer, too
					}
				})
			}
			all.Wait()
			s.others(time.Duration(scaled(3, 30)) * time.Second)
			s.healthy()
			m := s.memory()
			t.Logf("%d clients: at most %d MB", scaled(200, 4000), m>>20)
			if m > mostMemory {
				t.Errorf("%d MB", m>>20)
			}
		})
	}
}

// A reader that is slow, and steady, gets its answer: 16 MB at 300 KB/s take longer than any limit of a write.
func TestSlowReaderGetsItsAnswer(t *testing.T) {
	s := start(t, 0)
	body := s.fill()
	c := s.dial(message("BatchGetItem", body, len(body)))
	_ = c.(*net.TCPConn).SetReadBuffer(64 << 10)
	rate := scaled(4<<20, 300<<10)
	in := bufio.NewReaderSize(c, 16<<10)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, began := 0, time.Now()
	for buffer := make([]byte, rate/20); ; time.Sleep(50 * time.Millisecond) {
		n, err := io.ReadFull(res.Body, buffer)
		got += n
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		} else if err != nil {
			t.Fatalf("after %d bytes and %v: %v", got, time.Since(began), err)
		}
	}
	if int64(got) != res.ContentLength || got < 15<<20 {
		t.Fatalf("%d of %d bytes", got, res.ContentLength)
	}
	t.Logf("%d bytes in %v", got, time.Since(began).Round(time.Second))
}

// Senders that announce 16 MB and stand still hold all the room for bodies, and more wait behind them, until somebody needs it.
func TestStalledSendersMakeRoom(t *testing.T) {
	s := start(t, 0)
	for range 16 {
		s.dial(message("BatchWriteItem", "{", 16<<20))
	}
	time.Sleep(200 * time.Millisecond)
	began, again := time.Now(), 0
	for large := `{"TableName":"faults","Item":{"pk":{"S":"large"},"v":{"S":"` + strings.Repeat("x", 300_000) + `"}}}`; ; again++ {
		status, answer, err := s.do("PutItem", large)
		if status == 200 {
			break
		}
		if !throttled(status, answer) {
			t.Fatal(status, err, string(answer))
		}
	}
	took := time.Since(began)
	t.Logf("a write of 300 KB was done after %v, sent again %d times", took.Round(time.Millisecond), again)
	if took > 6*time.Second {
		t.Error("room was made too late")
	}
}

// More connections than there are places for, all idle: the operator is answered at once, and newcomers soon.
func TestAllConnectionsTaken(t *testing.T) {
	s := start(t, scaled(1024, 0))
	var kept []net.Conn
	for range scaled(300, 8200) {
		c, err := net.DialTimeout("tcp", s.addr, 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		kept = append(kept, c)
	}
	took := s.healthy()
	t.Logf("%d connections: health and status after %v", len(kept), took.Round(time.Millisecond))
	if took > 2*time.Second {
		t.Error("the operator waited")
	}
	began := time.Now()
	s.must("PutItem", small)
	t.Logf("a newcomer was answered after %v", time.Since(began).Round(time.Millisecond))
}

// Five times as many clients as keep the server busy have nearly as much done as those; with a hundred times as many memory stays,
// who finds no room is told to come back, and soon after all is as before.
func TestOverload(t *testing.T) {
	s := start(t, 0)
	s.fill()
	const page = `{"TableName":"faults","Limit":2}` // 800 KB
	request := message("Scan", page, len(page))
	length := time.Duration(scaled(2, 10)) * time.Second
	load := func(clients int) (goodput float64, refused int64) {
		var good, bad atomic.Int64
		var all sync.WaitGroup
		end := time.Now().Add(length)
		for range clients {
			all.Go(func() {
				c, err := net.DialTimeout("tcp", s.addr, 20*time.Second)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				_ = c.SetDeadline(end.Add(30 * time.Second))
				in := bufio.NewReader(c)
				for time.Now().Before(end) {
					if _, err := io.WriteString(c, request); err != nil {
						t.Error(err)
						return
					}
					res, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Error(err)
						return
					}
					if res.StatusCode == 200 {
						if _, err := io.Copy(io.Discard, res.Body); err != nil {
							t.Error(err)
						}
						if time.Now().Before(end) {
							good.Add(1)
						}
						continue
					}
					text, _ := io.ReadAll(res.Body)
					if !throttled(res.StatusCode, text) || res.Header.Get("X-Amz-Retry-After") == "" {
						t.Errorf("%s %s", res.Status, text)
						return
					}
					bad.Add(1)
				}
			})
		}
		all.Wait()
		return float64(good.Load()) / length.Seconds(), bad.Load()
	}
	// By the processor time of the server, which other work on the machine does not change: pages a second of it.
	measured := func(clients int) float64 {
		before := s.processor()
		perSecond, refused := load(clients)
		pages := perSecond * length.Seconds() / (s.processor() - before).Seconds()
		t.Logf("%d clients: %.0f pages/s, %.0f for a second of the server's processor time; %d requests throttled", clients, perSecond, pages, refused)
		return pages
	}
	const enough = 16
	load(enough) // warm
	peak := measured(enough)
	// Two seconds have one or two collections of garbage more or less in them: quick, the test finds a collapse, and no more.
	least := float64(scaled(50, 80)) / 100
	if over := measured(5 * enough); alone && over < least*peak {
		t.Errorf("goodput fell to %.0f %%", 100*over/peak)
	}
	if over := measured(scaled(400, 2000)); alone && over < float64(scaled(30, 50))/100*peak {
		t.Errorf("goodput fell to %.0f %%", 100*over/peak)
	}
	m := s.memory()
	t.Logf("at most %d MB", m>>20)
	if m > mostMemory {
		t.Errorf("%d MB", m>>20)
	}
	began := time.Now()
	for {
		sent := time.Now()
		s.must("GetItem", `{"TableName":"faults","Key":{"pk":{"S":"small"}}}`)
		if time.Since(sent) < 20*time.Millisecond {
			break
		}
	}
	t.Logf("as before after %v", time.Since(began).Round(time.Millisecond))
	if time.Since(began) > 5*time.Second {
		t.Error("it took too long to be as before")
	}
}

// More clients than a process with few descriptors has places for: the store keeps its own, each client is answered or its connection ends, and nothing is said over and over.
func TestFewDescriptors(t *testing.T) {
	s, err := startOn(t, 256, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.begin()
	var all sync.WaitGroup
	var done, ended atomic.Int64
	end := time.Now().Add(time.Duration(scaled(3, 20)) * time.Second)
	for i := range 300 {
		all.Go(func() {
			for n := 0; time.Now().Before(end); n++ {
				status, answer, err := s.do("PutItem", fmt.Sprintf(`{"TableName":"faults","Item":{"pk":{"S":"c%d-%d"}}}`, i, n))
				switch {
				case err != nil:
					ended.Add(1)
				case status == 200:
					done.Add(1)
				case !throttled(status, answer):
					t.Errorf("%d %s", status, answer)
					return
				}
			}
		})
	}
	all.Wait()
	s.must("PutItem", small)
	s.healthy()
	t.Logf("300 clients: %d writes done, %d connections ended; %d bytes of log", done.Load(), ended.Load(), len(s.said.String()))
	if done.Load() == 0 || len(s.said.String()) > 64<<10 {
		t.Errorf("the server said: %.2000s", s.said)
	}
}
