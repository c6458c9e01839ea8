package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// authorization has SigV4's form with a made-up signature; on a loopback address Millstream and the
// emulators look at no more than that.
func authorization(service string, now time.Time) (header, date string) {
	date = now.UTC().Format("20060102T150405Z")
	return "AWS4-HMAC-SHA256 Credential=AKIDBENCH/" + date[:8] + "/us-east-1/" + service +
		"/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=" + strings.Repeat("f", 64), date
}

// message builds one HTTP/1.1 request. Its bytes are sent again and again.
func message(host, operation string, body []byte) []byte {
	return messageTo(host, "dynamodb", "DynamoDB_20120810."+operation, body)
}

// messageTo is message for another service.
func messageTo(host, service, target string, body []byte) []byte {
	auth, date := authorization(service, time.Now())
	return fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Target: %s\r\nX-Amz-Date: %s\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s",
		host, target, date, auth, len(body), body)
}

// conn is one keep-alive connection.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func dial(ctx context.Context, host string) (*conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, in: bufio.NewReaderSize(c, 16<<10)}, nil
}

// roundTrip sends a request and reads past its answer, looking only at the
// status and the length.
func (c *conn) roundTrip(request []byte) error { return c.exchange(request, nil) }

// exchange is roundTrip that keeps the answer's body, unless kept is nil.
func (c *conn) exchange(request []byte, kept *bytes.Buffer) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	ok := len(line) > 12 && line[9] == '2'
	status := ""
	if !ok {
		status = strings.TrimSpace(string(line))
	}
	length, chunked := -1, false
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if value, found := header(line, "content-length:"); found {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return fmt.Errorf("bad Content-Length %q", line)
			}
		} else if value, found := header(line, "transfer-encoding:"); found {
			chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	}
	var body io.Reader
	switch {
	case chunked: // as peers answer what is large
		body = httputil.NewChunkedReader(c.in)
	case length >= 0:
		if ok && kept == nil {
			_, err := c.in.Discard(length)
			return err
		}
		if ok {
			kept.Reset()
			_, err := io.CopyN(kept, c.in, int64(length))
			return err
		}
		body = io.LimitReader(c.in, int64(length))
	default:
		return errors.New("the answer has no Content-Length")
	}
	if !ok {
		text, err := io.ReadAll(io.LimitReader(body, 4096))
		return errors.Join(fmt.Errorf("%s: %s", status, text), err)
	}
	var to io.Writer = io.Discard
	if kept != nil {
		kept.Reset()
		to = kept
	}
	if _, err := io.Copy(to, body); err != nil {
		return err
	}
	_, err = c.in.Discard(len("\r\n")) // behind the last chunk
	return err
}

// header returns the value of a header line if it has this name, which is in small
// letters and ends with the colon.
func header(line []byte, name string) (value []byte, found bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name):]), true
}

// load runs clients at once for the given time, each on its own connection;
// next returns the request that client i sends as its n-th. It returns the
// number of answers and how long it took.
func load(ctx context.Context, endpoint string, clients int, length time.Duration, next func(client int) func(n int) []byte) (answers int64, took time.Duration, err error) {
	return loadTimed(ctx, endpoint, clients, length, next, nil)
}

// loadTimed is load that counts how long each client's requests took, unless each is nil.
func loadTimed(ctx context.Context, endpoint string, clients int, length time.Duration, next func(client int) func(n int) []byte, each []times) (answers int64, took time.Duration, err error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return 0, 0, err
	}
	conns := make([]*conn, clients)
	for i := range conns {
		if conns[i], err = dial(ctx, u.Host); err != nil {
			return 0, 0, err
		}
		defer conns[i].Close()
		// A server that stops answering fails the measurement instead of hanging it.
		if err := conns[i].SetDeadline(time.Now().Add(length + 30*time.Second)); err != nil {
			return 0, 0, err
		}
	}
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var total atomic.Int64
	var failure atomic.Pointer[error]
	var all sync.WaitGroup
	start := time.Now()
	for i, c := range conns {
		request := next(i)
		all.Go(func() {
			n := 0
			for ; ctx.Err() == nil; n++ {
				var began time.Time
				if each != nil {
					began = time.Now()
				}
				if err := c.roundTrip(request(n)); err != nil {
					failure.Store(&err)
					cancel()
					break
				}
				if each != nil {
					each[i].add(time.Since(began))
				}
			}
			total.Add(int64(n))
		})
	}
	all.Wait()
	took = time.Since(start)
	if e := failure.Load(); e != nil {
		return total.Load(), took, *e
	}
	return total.Load(), took, parent.Err()
}

// call sends one control request and decodes its answer.
func call(ctx context.Context, endpoint, operation string, in, out any) error {
	return send(ctx, http.MethodPost, endpoint+"/", "dynamodb", "DynamoDB_20120810."+operation, in, out)
}

// callLambda is call for the Lambda API.
func callLambda(ctx context.Context, method, endpoint, path string, in, out any) error {
	return send(ctx, method, endpoint+path, "lambda", "", in, out)
}

func send(ctx context.Context, method, url, service, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	auth, date := authorization(service, time.Now())
	req.Header.Set("Authorization", auth)
	req.Header.Set("X-Amz-Date", date)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Millstream", "1") // of no matter to AWS's protocols
	if target != "" {
		req.Header.Set("Content-Type", "application/x-amz-json-1.0")
		req.Header.Set("X-Amz-Target", target)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s%s: %s: %s", method, url, target, resp.Status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}
