package remote_test

import (
	"github.com/millstreamdb/millstream"
	"github.com/millstreamdb/millstream/internal/backend/remote"
)

// The server is not opened by the tests of the package itself, since it has the package in it.
func init() {
	remote.OpenServerIn = func(dir string) (remote.TestServer, error) { return millstream.Open(millstream.Options{Dir: dir}) }
}
