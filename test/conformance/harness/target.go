package harness

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// Target is the service under test and its clients.
type Target struct {
	Endpoint        string
	StreamsEndpoint string
	LambdaEndpoint  string
	Region          string
	Role            string // execution role given to functions

	// Millstream says that the target is known to be a Millstream, which turns on
	// the tests of what AWS does not have.
	Millstream bool
	// Server is the process, if the suite started it.
	Server *Server

	DB      *dynamodb.Client
	Streams *dynamodbstreams.Client
	Lambda  *lambda.Client

	creds aws.CredentialsProvider
	http  *http.Client
}

var (
	targetMu  sync.Mutex
	theTarget *Target
)

// Main runs the tests of a package: TestMain calls it. It ends the process.
func Main(m *testing.M) {
	code := m.Run()
	targetMu.Lock()
	t := theTarget
	targetMu.Unlock()
	if t != nil && t.Server != nil {
		if err := t.Server.Stop(); err != nil {
			fmt.Fprintf(os.Stderr, "FAIL: the server under test: %v\n", err)
			code = max(code, 1)
		}
	}
	if !printReport(os.Stdout) {
		code = max(code, 1)
	}
	removeScratch()
	os.Exit(code)
}

// The returns the target, started at the first call.
func The(t testing.TB) *Target {
	t.Helper()
	targetMu.Lock()
	defer targetMu.Unlock()
	if theTarget != nil {
		return theTarget
	}
	if endpoint := os.Getenv("CONFORMANCE_ENDPOINT"); endpoint != "" {
		theTarget = NewTarget(endpoint)
		theTarget.StreamsEndpoint = cmp.Or(os.Getenv("CONFORMANCE_STREAMS_ENDPOINT"), endpoint)
		theTarget.LambdaEndpoint = cmp.Or(os.Getenv("CONFORMANCE_LAMBDA_ENDPOINT"), endpoint)
		theTarget.Millstream = os.Getenv("CONFORMANCE_TARGET") == "millstream"
		theTarget.connect(3)
		return theTarget
	}
	dir, err := scratch()
	if err != nil {
		t.Fatal(err)
	}
	server, err := StartServer(dir + "/data")
	if err != nil {
		t.Fatal(err)
	}
	theTarget = server.Target()
	return theTarget
}

// Target returns a target for this process.
func (s *Server) Target() *Target {
	target := NewTarget(s.Endpoint)
	target.Millstream = true
	target.Server = s
	return target
}

// NewTarget returns a target at one endpoint, with the credentials and region of
// the environment, or made-up ones.
func NewTarget(endpoint string) *Target {
	t := &Target{
		Endpoint:        endpoint,
		StreamsEndpoint: endpoint,
		LambdaEndpoint:  endpoint,
		Region:          cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1"),
		Role:            cmp.Or(os.Getenv("CONFORMANCE_ROLE_ARN"), "arn:aws:iam::000000000000:role/conformance"),
	}
	t.connect(1)
	return t
}

// connect makes the clients. attempts is 1 where a retry would hide a fault.
func (t *Target) connect(attempts int) {
	t.creds = credentials.NewStaticCredentialsProvider(
		cmp.Or(os.Getenv("AWS_ACCESS_KEY_ID"), "conformance"),
		cmp.Or(os.Getenv("AWS_SECRET_ACCESS_KEY"), "conformance"),
		os.Getenv("AWS_SESSION_TOKEN"))
	t.http = &http.Client{
		Timeout: 2 * time.Minute,
		Transport: &http.Transport{
			MaxIdleConns: 512, MaxIdleConnsPerHost: 512, IdleConnTimeout: time.Minute,
			DisableCompression: true, // who wants coded answers asks for them
		},
	}
	config := aws.Config{
		Region:           t.Region,
		Credentials:      t.creds,
		HTTPClient:       buffered{t.http},
		RetryMaxAttempts: attempts,
	}
	t.DB = dynamodb.NewFromConfig(config, func(o *dynamodb.Options) { o.BaseEndpoint = &t.Endpoint })
	t.Streams = dynamodbstreams.NewFromConfig(config, func(o *dynamodbstreams.Options) { o.BaseEndpoint = &t.StreamsEndpoint })
	t.Lambda = lambda.NewFromConfig(config, func(o *lambda.Options) { o.BaseEndpoint = &t.LambdaEndpoint })
}

// buffered hands the transport a request body that nobody else touches. The SDK
// closes its own as soon as it sees an answer; a server that answers before the
// transport's writer has looked for the body's end then loses the connection,
// and a call that was answered looks like one that was not.
type buffered struct{ *http.Client }

func (b buffered) Do(req *http.Request) (*http.Response, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return b.Client.Do(req)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	own := req.Clone(req.Context())
	own.Body = io.NopCloser(bytes.NewReader(body))
	own.ContentLength = int64(len(body))
	return b.Client.Do(own)
}

var (
	scratchMu  sync.Mutex
	scratchDir string
)

// scratch is a folder that lives as long as the test process.
func scratch() (string, error) {
	scratchMu.Lock()
	defer scratchMu.Unlock()
	if scratchDir != "" {
		return scratchDir, nil
	}
	dir, err := os.MkdirTemp("", "conformance-")
	scratchDir = dir
	return dir, err
}

func removeScratch() {
	scratchMu.Lock()
	defer scratchMu.Unlock()
	if scratchDir != "" {
		_ = os.RemoveAll(scratchDir) // best effort: it is the system's temporary folder
	}
}
