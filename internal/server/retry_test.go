package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/millstreamdb/millstream/internal/door"
)

// These tests put AWS's own SDK in front of the door, in time that is faked: connections are
// pipes, and a request takes as long as its handler sleeps.

// pipes is a listener whose connections are pipes.
type pipes struct {
	conns chan net.Conn
	ended chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.ended) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serveSDK serves s in the bubble, and returns what reaches it. The server ends with the test's function.
func serveSDK(t *testing.T, s *Server) (*http.Transport, func()) {
	ln := &pipes{conns: make(chan net.Conn), ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	transport := &http.Transport{DialContext: ln.dial, MaxIdleConnsPerHost: 1000}
	return transport, func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}

// throttling has room for few requests, which take some time each, at the door and behind it.
func throttling(places int, takes time.Duration) *Server {
	return New(Config{
		DynamoDB: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			time.Sleep(takes)
			_, _ = io.WriteString(w, "{}")
		}),
		Lambda: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(takes)
			_, _ = io.WriteString(w, "{}")
		}),
		Answer: func(_ context.Context, _ *door.Request, dst []byte) door.Reply {
			time.Sleep(takes)
			return door.Reply{Status: http.StatusOK, Body: append(dst, "{}"...)}
		},
		Plain:  func() bool { return true },
		Limits: Limits{Requests: places},
	})
}

// wire is what the SDK sends through. It notes each attempt.
type wire struct {
	to    http.RoundTripper
	strip bool // the wait does not reach the SDK

	mu       sync.Mutex
	attempts []attempt
}

type attempt struct {
	at, told time.Duration
	status   int
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	at := time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) // where a bubble's time begins
	res, err := w.to.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	told, err := strconv.Atoi(res.Header.Get("X-Amz-Retry-After"))
	if err != nil {
		told = -1
	}
	w.mu.Lock()
	w.attempts = append(w.attempts, attempt{at, time.Duration(told) * time.Millisecond, res.StatusCode})
	w.mu.Unlock()
	if w.strip {
		res.Header.Del("X-Amz-Retry-After")
		res.Header.Del("Retry-After")
	}
	return res, nil
}

func configFor(w *wire) aws.Config {
	return aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		BaseEndpoint: aws.String("http://127.0.0.1:1"), HTTPClient: w,
	}
}

// atOnce is an SDK's retries without a wait of its own: what it waits it was told.
func atOnce() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	})
}

func put(db *dynamodb.Client) error {
	_, err := db.PutItem(context.Background(), &dynamodb.PutItemInput{
		TableName: aws.String("table"), Item: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "a"}},
	})
	return err
}

// An SDK that is refused stays away for as long as it is told, to the millisecond, and is then served. [10.01 D SDK 11 H]
func TestSDKsStayAwayForAsLongAsTheyAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := throttling(1, time.Second)
		s.requests.turns.Took(700 * time.Millisecond)
		transport, stop := serveSDK(t, s)
		defer stop()
		var first, second wire
		first.to, second.to = transport, transport
		done := make(chan error, 1)
		go func() { done <- put(dynamodb.NewFromConfig(configFor(&first))) }()
		time.Sleep(500 * time.Millisecond)
		config := configFor(&second)
		config.Retryer = atOnce
		if err := put(dynamodb.NewFromConfig(config)); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		got := second.attempts
		if len(got) != 2 || got[0].status != 400 || got[0].told != 700*time.Millisecond || got[1].at-got[0].at != got[0].told {
			t.Errorf("attempts: %+v", got)
		}
	})
}

// What SDKs read of a refusal: its type, why it was, and when to come back. [10.12, 10.13 D SDK H]
func TestSDKsReadWhyTheyAreThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := throttling(1, time.Minute)
		transport, stop := serveSDK(t, s)
		defer stop()
		config := configFor(&wire{to: transport})
		config.RetryMaxAttempts = 1
		db, functions := dynamodb.NewFromConfig(config), lambda.NewFromConfig(config)
		invoke := func() error {
			_, err := functions.Invoke(context.Background(), &lambda.InvokeInput{FunctionName: aws.String("f")})
			return err
		}
		var holding sync.WaitGroup
		for _, hold := range []func() error{func() error { return put(db) }, invoke} {
			holding.Go(func() {
				if err := hold(); err != nil {
					t.Errorf("in a place: %v", err)
				}
			})
		}
		time.Sleep(time.Second)
		_, readErr := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("table"), Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "a"}}})
		for want, err := range map[string]error{"TableWriteAccountLimitExceeded": put(db), "TableReadAccountLimitExceeded": readErr} {
			var e *types.ThrottlingException
			if !errors.As(err, &e) || len(e.ThrottlingReasons) != 1 || aws.ToString(e.ThrottlingReasons[0].Reason) != want || aws.ToString(e.ThrottlingReasons[0].Resource) == "" {
				t.Errorf("%s: %+v", want, err)
			}
		}
		var busy *lambdatypes.TooManyRequestsException
		if err := invoke(); !errors.As(err, &busy) || busy.Reason != lambdatypes.ThrottleReasonCallerRateLimitExceeded || aws.ToString(busy.RetryAfterSeconds) == "" {
			t.Errorf("Invoke: %+v", err)
		}
		holding.Wait()
	})
}

// Every service refuses as its own SDK reads it: as throttling, which is tried again, and with the wait. [10.01 D SDK 11 H]
func TestSDKsOfOtherServicesAreThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Minute) })
		s := New(Config{DynamoDB: slow, Limits: Limits{Requests: 1}, Services: map[string]http.Handler{
			"sqs": slow, "sns": slow, "iam": slow, "cloudformation": slow, "s3": slow, "logs": slow, "events": slow, "scheduler": slow,
		}})
		transport, stop := serveSDK(t, s)
		defer stop()
		ctx := t.Context()
		var holding sync.WaitGroup
		holding.Go(func() {
			config := configFor(&wire{to: transport})
			config.RetryMaxAttempts = 1
			_ = put(dynamodb.NewFromConfig(config)) // holds the place
		})
		time.Sleep(time.Second)
		name := aws.String("name")
		for service, call := range map[string]func(aws.Config) error{
			"sqs": func(c aws.Config) error {
				_, err := sqs.NewFromConfig(c).SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String("http://127.0.0.1:1/000000000000/name"), MessageBody: name})
				return err
			},
			"sns": func(c aws.Config) error {
				_, err := sns.NewFromConfig(c).Publish(ctx, &sns.PublishInput{TopicArn: name, Message: name})
				return err
			},
			"iam": func(c aws.Config) error {
				_, err := iam.NewFromConfig(c).GetRole(ctx, &iam.GetRoleInput{RoleName: name})
				return err
			},
			"sts": func(c aws.Config) error {
				_, err := sts.NewFromConfig(c).GetCallerIdentity(ctx, nil)
				return err
			},
			"s3": func(c aws.Config) error {
				_, err := s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true }).GetObject(ctx, &s3.GetObjectInput{Bucket: name, Key: name})
				return err
			},
			"logs": func(c aws.Config) error {
				_, err := cloudwatchlogs.NewFromConfig(c).DescribeLogGroups(ctx, nil)
				return err
			},
			"events": func(c aws.Config) error {
				_, err := eventbridge.NewFromConfig(c).ListRules(ctx, nil)
				return err
			},
			"scheduler": func(c aws.Config) error {
				_, err := scheduler.NewFromConfig(c).GetSchedule(ctx, &scheduler.GetScheduleInput{Name: name})
				return err
			},
		} {
			w := &wire{to: transport}
			config := configFor(w)
			config.RetryMaxAttempts = 2
			err := call(config)
			throttle := retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err)
			if throttle != aws.TrueTernary || len(w.attempts) != 2 || w.attempts[0].told <= 0 {
				t.Errorf("%s: attempts %+v, throttling %v: %v", service, w.attempts, throttle, err)
			}
		}
		holding.Wait()
	})
}

// More clients than there is room for: those that are told when to come back send less in vain, and
// give up less often, than those that are not. [10.01 D SDK 11 H]
func TestSDKsUnderOverload(t *testing.T) {
	const places, takes = 1, 50 * time.Millisecond // 20 requests a second
	const clients = 80                             // who are all served in 4 seconds
	length := 20 * time.Second
	if testing.Short() {
		length /= 2
	}
	type outcome struct{ perSecond, attempts, failed float64 }
	run := func(strip bool) (o outcome) {
		synctest.Test(t, func(t *testing.T) {
			s := throttling(places, takes)
			transport, stop := serveSDK(t, s)
			defer stop()
			w := &wire{to: transport, strip: strip}
			var good, bad, inTime atomic.Int64
			var all sync.WaitGroup
			began := time.Now()
			for range clients {
				db := dynamodb.NewFromConfig(configFor(w)) // with a quota of its own, as processes have
				all.Go(func() {
					for time.Since(began) < length {
						if put(db) != nil {
							bad.Add(1)
							continue
						}
						good.Add(1)
						if time.Since(began) < length {
							inTime.Add(1)
						}
					}
				})
			}
			all.Wait()
			done := float64(good.Load())
			o = outcome{float64(inTime.Load()) / length.Seconds(), float64(len(w.attempts)) / done, float64(bad.Load()) / (done + float64(bad.Load()))}
		})
		return o
	}
	told, not := run(false), run(true)
	for name, o := range map[string]outcome{"told": told, "not told": not} {
		t.Logf("%s: %.1f of 20 a second, %.2f attempts for each that was done, %.0f %% of the calls given up", name, o.perSecond, o.attempts, 100*o.failed)
	}
	if told.attempts > 0.75*not.attempts || told.failed > 0.75*not.failed || told.perSecond < 0.85*20 {
		t.Errorf("told when to come back: %+v, not told: %+v", told, not)
	}
}
