// Failingdisk is a server on a disk in memory that can be told to be full, slow, or to fail, for the tests of alerts in
// test/conformance/alerts. It prints its address, and then reads commands, a line each:
//
//	free BYTES    so much is free on the disk from now on
//	slow MILLIS   a sync of the log takes so long from now on
//	fail          syncs of the disk fail from now on
//
// It ends as `millstream serve` does when the disk fails, or with its input.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/app"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	disk := crashtest.New()
	server, err := app.Open(app.Options{}, disk.FS())
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	fmt.Printf("AWS_ENDPOINT_URL=http://%s\n", ln.Addr())
	go func() {
		defer cancel()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			word, number, _ := strings.Cut(lines.Text(), " ")
			n, _ := strconv.ParseUint(number, 10, 63)
			switch word {
			case "free":
				disk.Mem().TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: n, TotalBytes: 1 << 40})
			case "slow":
				disk.Fail(func(op, file string) error {
					if op == "sync" && strings.HasSuffix(file, ".log") {
						time.Sleep(time.Duration(n) * time.Millisecond)
					}
					return nil
				})
			case "fail":
				disk.Fail(func(op, _ string) error {
					if op == "sync" {
						return errors.New("the disk is gone")
					}
					return nil
				})
			}
		}
	}()
	return errors.Join(server.Serve(ctx, ln), server.Close())
}
