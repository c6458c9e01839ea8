package app

import (
	"bytes"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Config returns a configuration with which the AWS SDK's clients of DynamoDB,
// DynamoDB Streams and Lambda reach this server without a network:
//
//	db := dynamodb.NewFromConfig(srv.Config())
//
// It is good until Close.
func (s *App) Config() aws.Config {
	return aws.Config{
		Region:       s.opts.Region,
		BaseEndpoint: aws.String("http://localhost"),
		Credentials:  s.credentialsOf(s.opts.Account, true),
		HTTPClient:   inProcess{s.door},
	}
}

// inProcess is an HTTP client whose requests are handled in the caller's goroutine.
type inProcess struct{ handler http.Handler }

// Do implements aws.HTTPClient.
func (c inProcess) Do(out *http.Request) (*http.Response, error) {
	in := out.Clone(out.Context())
	in.RequestURI = out.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:0"
	if in.Host == "" {
		in.Host = out.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &recorded{header: http.Header{}, status: http.StatusOK}
	c.handler.ServeHTTP(w, in)
	if err := out.Context().Err(); err != nil {
		return nil, err
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: out,
	}, nil
}

// recorded is the answer of one request.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorded) Header() http.Header         { return w.header }
func (w *recorded) WriteHeader(status int)      { w.status = status }
func (w *recorded) Write(b []byte) (int, error) { return w.body.Write(b) }
