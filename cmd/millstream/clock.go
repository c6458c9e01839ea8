package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func newClock() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:   "clock",
		Short: "Show the server's time, accept it, or advance it in a test",
		Long: `Show the server's time, and whether it is believed. A server whose clock has jumped
ahead, while it ran or since the run before, removes nothing by age until ` + "`clock accept`" + ` says
that the clock is right, or until the clock has agreed with itself for as long. A server that was
started with --in-memory --clock manual has its time stand still; ` + "`clock advance`" + ` moves it on.`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			clock, err := client.Clock(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if flags.json {
				return printJSON(out, clock)
			}
			kind := "goes by itself"
			if clock.Manual {
				kind = "manual"
			}
			fmt.Fprintf(out, "%s (%s)\n", clock.Now.Format(clockForm), kind)
			ahead := time.Duration(clock.AheadMS) * time.Millisecond
			switch {
			case ahead > 0:
				fmt.Fprintf(out, "It is %s ahead of what it should be. Until %s nothing expires, is aged out or trimmed.\n"+
					"When the time above is right, say so: millstream clock accept\n", ahead, clock.Until.Format(time.RFC3339))
			case ahead < 0:
				fmt.Fprintf(out, "It has gone back by %s. Until it has caught up, new stream records carry the time of the newest.\n", -ahead)
			}
			return nil
		},
	}
	flags.add(cmd)
	cmd.AddCommand(newAccept(), newAdvance())
	return cmd
}

func newAccept() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:   "accept",
		Short: "Say that the server's clock is right",
		Long: `Say that the server's clock is right although it has jumped ahead. What is due by age then
goes on at once: items' time to live, ages of records, retention. Look at ` + "`millstream clock`" + ` first:
what a wrong clock removes is gone.`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			a, err := client.AcceptClock(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			switch {
			case flags.json:
				return printJSON(out, a)
			case a.WasAheadMS == 0:
				_, err = fmt.Fprintf(out, "It is %s. The clock was not doubted.\n", a.Now.Format(clockForm))
			default:
				_, err = fmt.Fprintf(out, "It is %s. The clock is accepted.\n", a.Now.Format(clockForm))
			}
			return err
		},
	}
	flags.add(cmd)
	return cmd
}

// clockForm shows a time to the millisecond, in UTC.
const clockForm = "2006-01-02T15:04:05.000Z"

func newAdvance() *cobra.Command {
	var flags clientFlags
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "advance DURATION",
		Short: "Move the time of a server with a manual clock on",
		Long: `Move the time of a server with a manual clock on, from one moment at which something is
due to the next: ends of windows, retries, ages of records, items' time to live, retention. At
each it waits until the triggers have done what there is to do. Functions run in real time;
when they have not answered within --timeout, time stands where it is, and the command ends with
code 1. A DURATION of 0s only waits.`,
		Example: `  millstream serve --in-memory --clock manual
  millstream clock advance 20m`,
		Args: takes("DURATION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := time.ParseDuration(args[0])
			if err != nil || d < 0 {
				return usagef("%q: want a duration such as 20m or 24h", args[0])
			}
			client, err := flags.client()
			if err != nil {
				return err
			}
			a, err := client.Advance(cmd.Context(), d, timeout)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			switch {
			case flags.json:
				err = printJSON(out, a)
			case a.Quiet:
				_, err = fmt.Fprintf(out, "It is %s.\n", a.Now.Format(clockForm))
			default:
				_, err = fmt.Fprintf(out, "It is %s: advanced by %s only, since functions have not answered within %s.\n",
					a.Now.Format(clockForm), time.Duration(a.AdvancedMS)*time.Millisecond, timeout)
			}
			if err == nil && !a.Quiet {
				err = exitError(1)
			}
			return err
		},
	}
	flags.add(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "how long to wait for functions, in real time")
	return cmd
}
