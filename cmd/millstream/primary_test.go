package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/admin"
)

// TestACopyThatTakesLong: a server may take minutes to copy its folder for a standby, and nobody has it begin again; who only asks what it is does not
// wait as long.
func TestACopyThatTakesLong(t *testing.T) {
	for name, row := range map[string]struct {
		takes time.Duration
		ask   func(context.Context, *admin.Client) error
		ends  string // empty: with an answer
	}{
		"copy":           {9 * time.Minute, func(ctx context.Context, c *admin.Client) error { _, err := c.Seed(ctx, "a", "host"); return err }, ""},
		"copy, for ever": {time.Hour, func(ctx context.Context, c *admin.Client) error { _, err := c.Seed(ctx, "a", "host"); return err }, "deadline"},
		"question":       {2 * time.Minute, func(ctx context.Context, c *admin.Client) error { _, err := c.Here(ctx); return err }, "nothing has come for 1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var server sync.WaitGroup
				defer server.Wait()
				flags := serveFlags{standbyOf: "http://127.0.0.1:1"}
				to := flags.toPrimary(flags.standbyOf)
				to.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
					here, there := net.Pipe()
					server.Go(func() {
						if _, err := http.ReadRequest(bufio.NewReader(there)); err != nil {
							t.Error(err)
						}
						time.Sleep(row.takes)
						_, _ = io.WriteString(there, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") // who asked may have gone
						_ = there.Close()
					})
					return here, nil
				}
				c, err := admin.New(admin.Options{Endpoint: flags.standbyOf, HTTP: to})
				if err != nil {
					t.Fatal(err)
				}
				if err := row.ask(t.Context(), c); (err == nil) != (row.ends == "") || err != nil && !strings.Contains(err.Error(), row.ends) {
					t.Error(err)
				}
			})
		})
	}
}
