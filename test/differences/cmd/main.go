// Command cmd compares Millstream with dynoxide, answer by answer; see
// package differences.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/millstreamdb/millstream/test/differences"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "differences:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var o differences.Options
	features := flag.String("features", "landed", "what to ask for: a comma-separated list of streams, indexes, transactions, legacy, partiql, ttl, tags, landed, all")
	binary := flag.String("millstream", os.Getenv("MILLSTREAM_BIN"), "the program of Millstream, to be started in memory")
	other := flag.String("other", cmp.Or(os.Getenv("DYNOXIDE_BIN"), "dynoxide"), "the program dynoxide, to be started in memory")
	flag.StringVar(&o.Millstream, "millstream-url", "", "a Millstream that runs already")
	otherURL := flag.String("other-url", "", "a dynoxide that runs already; takes -workers 1")
	flag.Uint64Var(&o.Seed, "seed", 1, "decides every request")
	flag.IntVar(&o.Requests, "requests", 200_000, "how many to send")
	flag.IntVar(&o.Workers, "workers", 4, "episodes at once")
	flag.IntVar(&o.Stop, "stop", 0, "end after so many unexplained differences")
	show := flag.Int("show", 20, "how many unexplained differences to print")
	episode := flag.Int("episode", -1, "replay this episode alone")
	index := flag.Int("request", -1, "of the episode: up to this request")
	shrink := flag.Bool("shrink", false, "with -episode and -request: leave out what the difference does not need")
	strict := flag.Bool("coverage", false, "print how often each error was answered, and fail when one was too seldom")
	verbose := flag.Bool("verbose", false, "show what the servers print")
	flag.Parse()
	var err error
	if o.Features, err = differences.ParseFeatures(*features); err != nil {
		return err
	}
	var log io.Writer
	if *verbose {
		log = os.Stderr
	}
	if *otherURL != "" {
		if o.Workers != 1 {
			return errors.New("-other-url takes -workers 1: dynoxide knows no accounts")
		}
		o.Others = []string{*otherURL}
	}
	for range o.Workers - len(o.Others) {
		url, stop, err := differences.StartOther(ctx, *other, log)
		if err != nil {
			return err
		}
		defer stop()
		o.Others = append(o.Others, url)
	}
	if o.Millstream == "" {
		url, stop, err := differences.StartMillstream(ctx, *binary, log)
		if err != nil {
			return err
		}
		defer stop()
		o.Millstream = url
	}
	if *episode >= 0 {
		return replay(ctx, o, *episode, *index, *shrink)
	}
	began := time.Now()
	report, err := differences.Run(ctx, o)
	for i, d := range report.Unexplained {
		if i == *show {
			break
		}
		fmt.Println(d)
	}
	report.Print(os.Stdout, *strict)
	fmt.Printf("seed %d, features %s, %s\n", o.Seed, o.Features, time.Since(began).Round(time.Second))
	if err != nil {
		return err
	}
	c := report.Counts()
	if c.Unexplained > 0 {
		d := report.Unexplained[0]
		return fmt.Errorf("%d unexplained differences; the first again: -seed %d -features %s -episode %d -request %d -shrink", c.Unexplained, o.Seed, o.Features, d.Episode, d.Index)
	}
	if *strict && c.RowsHit < c.Rows {
		return fmt.Errorf("%d of %d errors were answered too seldom", c.Rows-c.RowsHit, c.Rows)
	}
	return nil
}

func replay(ctx context.Context, o differences.Options, episode, index int, shrink bool) error {
	found, err := differences.Replay(ctx, o, episode, index)
	if err != nil {
		return err
	}
	var last *differences.Difference
	for _, d := range found {
		if len(d.Classes) == 0 {
			d.Episode, last = episode, d
			fmt.Println(d)
		}
	}
	if last == nil {
		fmt.Println("no unexplained difference")
		return nil
	}
	if shrink {
		left, d, err := differences.Shrink(ctx, o, last)
		if err != nil {
			return err
		}
		fmt.Println("needs only:")
		for _, r := range left {
			fmt.Println(r)
		}
		fmt.Println(d)
	}
	return errors.New("unexplained differences")
}
