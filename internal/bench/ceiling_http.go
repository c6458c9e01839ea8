package bench

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// ceilingVariable tells a copy of this program to be the empty handler instead of
// the bench; its value is the address to listen on.
const ceilingVariable = "MILLSTREAM_BENCH_EMPTY_HANDLER"

// serveEmptyHandler answers every request with 1 KiB, the size of a GetItem
// answer, having read its body: what net/http itself costs. /healthz answers too.
func serveEmptyHandler(addr string) error {
	answer := []byte(`{"Item":{"pk":{"S":"0000000000000000"},"v":{"S":"` + filler + `"}}}`)
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = w.Write(answer) // a client that has gone is no matter here
	})}
	return server.Serve(listener)
}

// handlerCeiling drives the empty handler, as a process of its own, with the
// GetItem load.
func handlerCeiling(ctx context.Context, clients int, length time.Duration) (perSecond float64, err error) {
	addr, err := freeAddress()
	if err != nil {
		return 0, err
	}
	c, _, err := start(ctx, addr, []string{ceilingVariable + "=" + addr}, os.Args[1:]...)
	if err != nil {
		return 0, err
	}
	defer c.kill()
	n, took, err := load(ctx, c.endpoint, clients, length, func(client int) func(int) []byte {
		return gets(addr, "t", client, 1)
	})
	return float64(n) / took.Seconds(), err
}
