package differences

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// StartOther starts dynoxide, in memory. stop ends it. What it prints goes to log.
func StartOther(ctx context.Context, binary string, log io.Writer) (url string, stop func(), err error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	return start(ctx, port, log, binary, "--log", "quiet", "--host", "127.0.0.1", "--port", port)
}

// StartMillstream starts the server of a binary, in memory.
func StartMillstream(ctx context.Context, binary string, log io.Writer) (url string, stop func(), err error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	return start(ctx, port, log, binary, "serve", "--in-memory", "--log-level", "warn", "--listen", "127.0.0.1:"+port)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

func start(ctx context.Context, port string, log io.Writer, command string, args ...string) (url string, stop func(), err error) {
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = os.Environ()
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed at the end; how it ended does not matter
		close(ended)
	}()
	stop = func() {
		_ = cmd.Process.Kill() // gone already: ended is closed
		<-ended
	}
	url = "http://127.0.0.1:" + port
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		if resp, err := http.Post(url+"/", "application/x-amz-json-1.0", bytes.NewReader(nil)); err == nil {
			resp.Body.Close()
			return url, stop, nil
		}
		select {
		case <-poll.C:
		case <-ended:
			return "", nil, fmt.Errorf("%s ended before it answered", command)
		case <-limit.C:
			stop()
			return "", nil, errors.New(command + " did not answer within a minute")
		}
	}
}
