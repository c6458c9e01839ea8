package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" { // this program is one of the functions, too
		lambda.Start(handle)
		return
	}
	bin := flag.String("bin", os.Getenv("MILLSTREAM_BIN"), "the program to run")
	length := flag.Duration("length", 2*time.Hour, "how long")
	out := flag.String("out", "soak", "folder for the figures")
	rate := flag.Int("rate", 40, "operations a second on tables")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := soak(ctx, *bin, *out, *length, *rate); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func soak(ctx context.Context, bin, out string, length time.Duration, rate int) (err error) {
	if bin == "" {
		return errors.New("say which program to run: -bin")
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "millstream-soak")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	s, err := startServer(bin, filepath.Join(work, "data"), filepath.Join(out, "server.log"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	l := newLoad(s, bin, work, rate)
	if err := l.prepare(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- l.run(ctx)
		cancel() // there is nothing to watch when the load has failed
	}()
	samples, err := s.watch(ctx, length)
	if e := <-ended; err == nil {
		err = e
	}
	if e := write(out, samples); err == nil {
		err = e
	}
	fmt.Println(l.summary())
	if err != nil {
		return err
	}
	return judge(samples)
}
