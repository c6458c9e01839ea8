package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/app"
)

func newVerify() *cobra.Command {
	var region string
	var asJSON bool
	o := app.VerifyOptions{}
	cmd := &cobra.Command{
		Use: "verify ENDPOINT", Short: "Find out whether nodes work over a DynamoDB endpoint", Args: takes("ENDPOINT"),
		Long: `Find out whether nodes (millstream serve --tables) work over an endpoint of DynamoDB.

First it probes what they need: conditional writes under races, transactions,
streams and the order of their records. Unless something is missing without which
nodes do not work, a storm follows: three nodes in this process work a table's stream
while items are written, and are killed and cut off from the endpoint at random, with
requests that arrive late and answers that do not come. One call in twenty of a function
fails, and so do all with some of the items until the storm is over. Then it says
whether a record was lost or came out of order for its item, whether what failed was
held or parked and came later, whether exactly-once writes have counted all, how long
calls stopped when a node was lost, and what the nodes have asked of the endpoint. Over
a Millstream shards of the stream are split meanwhile.

It makes tables of its own, millstream-verify- with random letters, and removes them,
also after Ctrl-C or when the terminal is closed. After a kill -9 or a second Ctrl-C
they are left. Remove those whose names begin as it said when the storm began, with
DeleteTable; the nodes' own have deletion protection, which UpdateTable with
DeletionProtectionEnabled false takes away first. Before the storm begins it says what
that would cost on Amazon DynamoDB, and in the end what was counted. It signs with the
usual credentials of AWS's SDK where the environment has some. The exit code is 1 when
something is missing without which nodes do not work, and when the storm has found a
fault.`,
		Example: `  millstream verify http://127.0.0.1:8000
  millstream verify http://127.0.0.1:8000 --storm 30s --rate 200
  millstream verify http://127.0.0.1:8000 --storm 0`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := app.CheckTables(args[0]); err != nil {
				return &usageError{err.Error()}
			}
			switch {
			case o.Storm < 0 || o.Storm > 0 && o.Storm < time.Second:
				return &usageError{"--storm: want a second or more, or 0 for none"}
			case o.Rate < 1 || o.Rate > 10_000:
				return &usageError{"--rate: want 1 to 10,000 writes a second"}
			case o.Lease < time.Second || o.Lease > 5*time.Minute:
				return &usageError{"--lease: want a second to five minutes"}
			}
			o.URL, o.Region = args[0], cmp.Or(region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
			w := newColumns(cmd.OutOrStdout())
			if !asJSON {
				fmt.Fprintln(w, "PROBE\tFOUND\tWITHOUT IT\tWHY")
			}
			lines := json.NewEncoder(cmd.OutOrStdout())
			var failed error
			o.Probed = func(f app.Probed) {
				switch {
				case asJSON:
					failed = errors.Join(failed, lines.Encode(f))
				case f.Has:
					fmt.Fprintf(w, "%s\tyes\t\t\n", f.What)
				default:
					fmt.Fprintf(w, "%s\tno\t%s\t%s\n", f.What, f.Without, f.Detail)
				}
			}
			told := cmd.ErrOrStderr()
			o.Begins = func(prefix string, dollars float64) {
				if !asJSON {
					failed = errors.Join(failed, w.Flush())
				}
				fmt.Fprintf(told, "a storm of %v begins, over tables %s...; on Amazon DynamoDB it costs some $%.2f (%s)\n", o.Storm, prefix, dollars, app.StormPrices)
			}
			o.Progress = func(p app.StormProgress) {
				what := "of the storm"
				if p.Over {
					what = "and the storm is over: waiting for what is still to come"
				}
				fmt.Fprintf(told, "%v %s: %d records written, %d handled; nodes were killed %d times and cut off %d times\n", p.For.Round(time.Second), what, p.Written, p.Handled, p.Kills, p.Pauses)
			}
			ctx := cmd.Context()
			if !signal.Ignored(syscall.SIGHUP) { // as under nohup
				var stop func()
				ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
				defer stop()
			}
			lacks, report, err := app.Verify(ctx, o)
			err = errors.Join(failed, err)
			if !asJSON {
				err = errors.Join(w.Flush(), err)
			}
			if report != nil {
				return errors.Join(tellStorm(cmd.OutOrStdout(), report, asJSON, args[0]), err)
			}
			if err == nil && lacks > 0 {
				err = fmt.Errorf("nodes do not work over %s: %d things are missing that they need", args[0], lacks)
			}
			return err
		},
	}
	cmd.Flags().DurationVar(&o.Storm, "storm", 5*time.Minute, "how long nodes are killed and cut off under writes; 0: only probes")
	cmd.Flags().IntVar(&o.Rate, "rate", 500, "writes a second in the storm")
	cmd.Flags().DurationVar(&o.Lease, "lease", 2*time.Second, "of the storm's nodes, as of serve: the silence after which one counts as dead")
	cmd.Flags().StringVar(&region, "region", "", "region to sign for (default: AWS_REGION, or us-east-1)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a line of JSON for each probe, and one for the storm")
	return cmd
}

// tellStorm prints what a storm over an endpoint has found. Faults are an error.
func tellStorm(out io.Writer, r *app.StormReport, asJSON bool, endpoint string) (err error) {
	if asJSON {
		err = json.NewEncoder(out).Encode(map[string]any{"storm": r})
	} else {
		err = printStorm(out, r)
	}
	if err == nil && len(r.Faults) > 0 {
		err = fmt.Errorf("nodes do not work right over %s: the storm has found %d faults", endpoint, len(r.Faults))
	}
	return err
}

// printStorm prints what a storm has found.
func printStorm(out io.Writer, r *app.StormReport) error {
	w := newColumns(out)
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)).Round(time.Millisecond) }
	row := func(what, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", what, fmt.Sprintf(format, args...)) }
	row("\nSTORM", "FOUND")
	row("records", "%d, %.0f a second", r.Records, float64(r.Records)/r.Seconds)
	row("lost", "%d", r.Lost)
	row("out of order for their item", "%d", r.OutOfOrder)
	row("again", "%d, %d of them at most by one takeover", r.Again, r.MostAgain)
	row("nodes killed, cut off", "%d, %d", r.Kills, r.Pauses)
	if r.Takeovers > 0 {
		row("calls went on after", "%v, the median of %d times; %v at most", seconds(r.MedianTakeover), r.Takeovers, seconds(r.LongestTakeover))
	}
	row("longest time between two calls", "%v", seconds(r.LongestGap))
	row("records whose calls fail", "%d; held by one function: %d; parked by another: %d", r.Faulty, r.Held, r.Parked)
	if r.Counted == nil {
		row("exactly-once writes", "not tried: the endpoint has no transactions")
	} else {
		row("exactly-once writes", "have counted %d records", *r.Counted)
	}
	switch {
	case r.NewShards == 0:
		row("shards that end", "not tried: %s", cmp.Or(r.NotSplit, "the storm was over before one was split"))
	case r.NotSplit != "":
		row("shards that end", "%d new ones; more were not tried: %s", r.NewShards, r.NotSplit)
	default:
		row("shards that end", "%d were split; %d new ones", r.Splits, r.NewShards)
	}
	row("cost on Amazon DynamoDB", "$%.2f: %d write units, %d read units, %d GetRecords (%s)", r.Cost.Dollars, r.Cost.WriteUnits, r.Cost.ReadUnits, r.Cost.StreamReads, app.StormPrices)
	for _, fault := range r.Faults {
		row("FAULT", "%s", fault)
		w.failed()
	}
	if err := w.Flush(); err != nil {
		return err
	}
	w = newColumns(out)
	fmt.Fprintln(w, "\nTHE NODES' CALLS\tA SECOND\tIN ALL\tREFUSED\tFAILED")
	for _, c := range r.Calls {
		fmt.Fprintf(w, "%s\t%.1f\t%d\t%d\t%d\n", c.Operation, c.PerSecond, c.Calls, c.Refused, c.Failed)
	}
	return w.Flush()
}
