package admin

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// DefaultEndpoint is where `millstream serve` listens by default.
const DefaultEndpoint = "http://127.0.0.1:8000"

// maxAnswer bounds what is read of one document or line: an answer of a function
// (6 MB) as text, or a record with two images.
const maxAnswer = 64 << 20

// Client calls one server. Its methods may be called by many goroutines at once.
type Client struct {
	endpoint        string
	socket          string // unix:PATH when that is the way; endpoint is then a name for HTTP's sake
	account, region string
	http            *http.Client
	credentials     aws.CredentialsProvider // nil: the environment's
}

// Options of New. Empty fields take the default.
type Options struct {
	// Endpoint is the server's address. Default MILLSTREAM_ENDPOINT, then
	// AWS_ENDPOINT_URL, then DefaultEndpoint.
	Endpoint string
	// Account and Region are the scope in which names are looked up; the server's
	// own by default.
	Account, Region string
	HTTP            *http.Client
	// Credentials sign the calls, for servers that verify signatures; nil: the environment's, when it has some.
	Credentials aws.CredentialsProvider
}

// New returns a client. It does not connect.
func New(o Options) (*Client, error) {
	for _, name := range []string{"MILLSTREAM_ENDPOINT", "AWS_ENDPOINT_URL"} {
		if o.Endpoint == "" {
			o.Endpoint = os.Getenv(name)
		}
	}
	if o.Endpoint == "" {
		o.Endpoint = DefaultEndpoint
	}
	if path, is := strings.CutPrefix(o.Endpoint, "unix:"); is && path != "" && o.HTTP == nil {
		o.HTTP = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}}}
		return &Client{endpoint: "http://127.0.0.1", socket: o.Endpoint, account: o.Account, region: o.Region, http: o.HTTP}, nil
	}
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("endpoint %q: want an address such as %s", o.Endpoint, DefaultEndpoint)
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{}
	}
	return &Client{
		endpoint: strings.TrimRight(o.Endpoint, "/"),
		account:  o.Account,
		region:   o.Region,
		http:     o.HTTP,

		credentials: o.Credentials,
	}, nil
}

// Socket is unix:PATH when the client goes by a socket, where nothing but Millstream's own protocol is spoken; else empty.
func (c *Client) Socket() string { return c.socket }

// Endpoint returns the server's address.
func (c *Client) Endpoint() string { return c.endpoint }

// Version asks for the server's version.
func (c *Client) Version(ctx context.Context) (v Version, err error) {
	err = c.document(ctx, http.MethodGet, "version", nil, nil, &v)
	return v, err
}

// RuntimeProblem tells why functions of a runtime, such as java21, cannot run on the
// server; empty when they can.
func (c *Client) RuntimeProblem(ctx context.Context, name string) (why string, err error) {
	var r wire.Runtime
	err = c.document(ctx, http.MethodGet, "runtimes/"+url.PathEscape(name), nil, nil, &r)
	return r.Why, err
}

// PackageProblem tells why a package without layers cannot run on the server as a function of a runtime; empty when it can, or when
// that shows only later.
func (c *Client) PackageProblem(ctx context.Context, runtime string, p Package) (why string, err error) {
	body, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	var r wire.Runtime
	err = c.document(ctx, http.MethodPost, "runtimes/"+url.PathEscape(runtime), nil, body, &r)
	return r.Why, err
}

// Status asks for the state of the server.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	err = c.document(ctx, http.MethodGet, "status", nil, nil, &s)
	return s, err
}

// Triggers lists the event source mappings of all accounts and regions.
func (c *Client) Triggers(ctx context.Context) ([]Trigger, error) {
	var answer struct {
		Triggers []Trigger `json:"triggers"`
	}
	err := c.document(ctx, http.MethodGet, "triggers", nil, nil, &answer)
	return answer.Triggers, err
}

// Trigger returns one event source mapping with its shards.
func (c *Client) Trigger(ctx context.Context, uuid string) (t Trigger, err error) {
	err = c.document(ctx, http.MethodGet, "triggers/"+url.PathEscape(uuid), nil, nil, &t)
	return t, err
}

// Settle waits until every enabled trigger has passed the head that its stream had
// at the call, for at most timeout.
func (c *Client) Settle(ctx context.Context, timeout time.Duration) (s Settled, err error) {
	err = c.document(ctx, http.MethodPost, "settle", url.Values{"timeout": {timeout.String()}}, nil, &s)
	return s, err
}

// Invoke runs a function once and waits for its answer.
func (c *Client) Invoke(ctx context.Context, function string, event []byte) (inv Invocation, err error) {
	err = c.document(ctx, http.MethodPost, "invoke", url.Values{"function": {function}}, event, &inv)
	return inv, err
}

// TailOptions of Tail: Table or Stream (an ARN) is required.
type TailOptions struct {
	Table, Stream string
	Horizon       bool      // from the oldest record on, not the next
	Since         time.Time // unless zero: from the first record of then on
	When          string    // a condition on changes, as of SetWhen; empty: all
	// Ready, unless nil, is called when no later record will be missed.
	Ready func()
}

// Tail calls each for the records of a stream as they come, until ctx ends (nil),
// each fails, or the stream does.
func (c *Client) Tail(ctx context.Context, o TailOptions, each func(Change) error) error {
	q := url.Values{"from": {"latest"}}
	if o.Table != "" {
		q.Set("table", o.Table)
	}
	if o.Stream != "" {
		q.Set("stream", o.Stream)
	}
	if o.Horizon {
		q.Set("from", "horizon")
	}
	if !o.Since.IsZero() {
		q.Set("from", o.Since.UTC().Format(time.RFC3339Nano))
	}
	if o.When != "" {
		q.Set("when", o.When)
	}
	return lines(ctx, c, "tail", q, o.Ready, each)
}

// LogsOptions of Logs.
type LogsOptions struct {
	Function string // "" for all of the scope
	Lines    int    // of the past
	Follow   bool
	// Ready, unless nil, is called when no later line will be missed.
	Ready func()
}

// Logs calls each for the lines that functions printed, until there are no more,
// or, following, until ctx ends (nil) or each fails.
func (c *Client) Logs(ctx context.Context, o LogsOptions, each func(LogLine) error) error {
	q := url.Values{"lines": {fmt.Sprint(o.Lines)}}
	if o.Function != "" {
		q.Set("function", o.Function)
	}
	if o.Follow {
		q.Set("follow", "1")
	}
	return lines(ctx, c, "logs", q, o.Ready, each)
}

// document makes a call whose answer is one document.
func (c *Client) document(ctx context.Context, method, path string, q url.Values, body []byte, answer any) error {
	res, err := c.call(ctx, method, path, q, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err == nil {
		err = json.Unmarshal(b, answer)
	}
	if err != nil {
		return fmt.Errorf("%s answered something unreadable: %w", c.endpoint, err)
	}
	return nil
}

// lines makes a call whose answer is a stream of documents.
func lines[T any](ctx context.Context, c *Client, path string, q url.Values, ready func(), each func(T) error) error {
	res, err := c.call(ctx, http.MethodGet, path, q, nil)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer res.Body.Close()
	if ready != nil {
		ready()
	}
	scan := bufio.NewScanner(res.Body)
	scan.Buffer(nil, maxAnswer)
	for scan.Scan() {
		line := scan.Bytes()
		if len(bytes.TrimSpace(line)) == 0 {
			continue // the server is alive
		}
		if bytes.HasPrefix(line, []byte(`{"error":`)) {
			return readError(res.StatusCode, line)
		}
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			return fmt.Errorf("%s sent something unreadable: %w", c.endpoint, err)
		}
		if err := each(v); err != nil {
			return err
		}
	}
	if err := scan.Err(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("the connection to %s broke off: %w", c.endpoint, err)
	}
	return nil
}

// call sends a request and returns the answer if its status is one of success.
func (c *Client) call(ctx context.Context, method, path string, q url.Values, body []byte) (*http.Response, error) {
	if q == nil {
		q = url.Values{}
	}
	if c.account != "" {
		q.Set("account", c.account)
	}
	if c.region != "" {
		q.Set("region", c.region)
	}
	address := c.endpoint + "/_millstream/v1/" + path
	if len(q) > 0 {
		address += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Millstream", "1")
	if err := c.sign(ctx, req, body); err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("nothing listens at %s: start a server with `millstream serve`, or name another by --endpoint, MILLSTREAM_ENDPOINT or AWS_ENDPOINT_URL", cmp.Or(c.socket, c.endpoint))
		}
		return nil, fmt.Errorf("call %s: %w", cmp.Or(c.socket, c.endpoint), err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", c.endpoint, err)
	}
	return nil, readError(res.StatusCode, b)
}

// sign signs a call as an operator, for servers that verify signatures, when the environment has an access key. Others do not look.
func (c *Client) sign(ctx context.Context, req *http.Request, body []byte) error {
	key := aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN")}
	if c.credentials != nil {
		var err error
		if key, err = c.credentials.Retrieve(ctx); err != nil {
			return err
		}
	}
	if !key.HasKeys() || c.socket != "" {
		return nil
	}
	sum := sha256.Sum256(body)
	return v4.NewSigner().SignHTTP(ctx, key, req, hex.EncodeToString(sum[:]), "millstream", cmp.Or(c.region, os.Getenv("AWS_REGION"), "us-east-1"), time.Now())
}

// readError reads the protocol's error, or the door's, which has AWS's form.
func readError(status int, b []byte) error {
	var own struct {
		Error   *Error `json:"error"`
		Message string `json:"message"`
	}
	switch err := json.Unmarshal(b, &own); {
	case err == nil && own.Error != nil:
		own.Error.Status = status
		return own.Error
	case err == nil && own.Message != "":
		return &Error{Code: "Refused", Message: own.Message, Status: status}
	}
	return &Error{Code: "Unknown", Status: status,
		Message: fmt.Sprintf("status %d: is it a Millstream server?", status)}
}
