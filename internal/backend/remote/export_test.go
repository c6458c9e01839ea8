package remote

import (
	"context"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestServer is a Millstream in memory.
type TestServer interface {
	Handler() http.Handler
	Serve(ctx context.Context, ln net.Listener) error
	Config() aws.Config
	RegisterFunction(name string, run func(ctx context.Context, event []byte) ([]byte, error)) error
	Close() error
}

// OpenServerIn opens one over a folder, or in memory without one; see server_test.go.
var OpenServerIn func(dir string) (TestServer, error)

// OpenServer opens one in memory.
func OpenServer() (TestServer, error) { return OpenServerIn("") }
