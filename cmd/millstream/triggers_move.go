package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
)

func newTriggersRewind() *cobra.Command {
	return newMove("rewind", "Deliver records again, from a place on", `Deliver the records of a trigger again, from a place on:

  HORIZON               the oldest record that is kept
  2026-01-31T12:00:00Z  the first record of this moment or later; also seconds since 1970
  2h                    the first record of the last two hours
  SEQUENCE NUMBER       this record (and the shards that have come from its shard)

Calls under way count for nothing; the trigger goes on when they have returned. Records that are
held come again with the others; parked ones stay parked. A function that must not do things
twice looks at eventID, which stays the same.`,
		`  millstream triggers rewind on-order --to 2h
  millstream triggers rewind on-order --to HORIZON`,
		"where to go: HORIZON, a time, how long ago, or a sequence number", (*admin.Client).Rewind, (*admin.Client).WouldRewind, "will come again", "would come again")
}

func newTriggersSkip() *cobra.Command {
	return newMove("skip", "Pass records unread, up to a place", `Have a trigger pass records unread:

  LATEST                all that there are
  2026-01-31T12:00:00Z  those before this moment; also seconds since 1970
  2h                    those that are older than two hours
  SEQUENCE NUMBER       up to and with this record (and its shard's parents)

What was skipped is shown by 'triggers show', and comes back with 'rewind' as long as it is kept. A batch that
blocks is in the way of its shard: 'triggers show' names its first record.`,
		`  millstream triggers skip on-order --to LATEST`,
		"where to go: LATEST, a time, how long ago, or the sequence number of the last record to skip", (*admin.Client).Skip, (*admin.Client).WouldSkip, "are skipped", "would be skipped")
}

func newMove(name, short, long, example, usage string, move, would func(*admin.Client, context.Context, string, string) (admin.Moved, error), what, dryWhat string) *cobra.Command {
	var flags clientFlags
	var to string
	var dry bool
	cmd := &cobra.Command{
		Use: name + " TRIGGER --to PLACE", Short: short, Long: long + "\n\n" + triggerHelp, Example: example, Args: takes("TRIGGER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlag(cmd, "to", "2h"); err != nil {
				return err
			}
			client, err := flags.client()
			if err != nil {
				return err
			}
			uuid, err := triggerID(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			if dry {
				move, what = would, dryWhat
			}
			m, err := move(client, cmd.Context(), uuid, to)
			if err != nil {
				return err
			}
			if flags.json {
				return printJSON(cmd.OutOrStdout(), m)
			}
			if m.Shards == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), map[bool]string{false: "It was there already: nothing has changed.", true: "It is there already: nothing would change."}[dry])
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Up to %d records of %d shards %s.\n", m.Records, m.Shards, what)
			return nil
		},
	}
	cmd.Flags().StringVar(&to, "to", "", usage)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "tell how many records it would be, and change nothing")
	cmd.ValidArgsFunction = completeFirst(&flags, triggerWords)
	flags.add(cmd)
	return cmd
}

func newTriggersPause() *cobra.Command {
	return newPause(new(clientFlags), "pause", "Stop a trigger's deliveries for a while", `Stop a trigger's deliveries. Calls under way end and count; the trigger keeps its place and stays
enabled for AWS's API, and records are kept for it (up to serve's --log-cap), until 'resume'.`, (*admin.Client).Pause,
		"Paused. Go on with: millstream triggers resume %s\n")
}

func newTriggersResume() *cobra.Command {
	var flags clientFlags
	cmd := newPause(&flags, "resume", "Go on with a paused trigger, or with a restored folder", `Go on with a trigger that 'pause' has stopped, from where it was.

With --all a folder that was restored goes on: its triggers run from where they were when the
copy was made, accepted events, messages of topics and schedules are worked on, and what is due
by age is removed (time to live, retention). Triggers that somebody has paused stay paused, and are named.`, (*admin.Client).Resume, "Trigger %s goes on.\n")
	cmd.Use = "resume TRIGGER | --all"
	cmd.Example += "\n  millstream triggers resume --all"
	one, all := cmd.RunE, false
	cmd.Flags().BoolVar(&all, "all", false, "let a folder go on that was restored from a backup")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if all && len(args) > 0 {
			return usagef("say either --all or a trigger, not both: --all is for a folder that was restored")
		}
		if all {
			return nil
		}
		return takes("TRIGGER, or --all")(cmd, args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !all {
			return one(cmd, args)
		}
		client, err := flags.client()
		if err != nil {
			return err
		}
		r, err := client.GoOn(cmd.Context())
		if err != nil {
			return err
		}
		if flags.json {
			return printJSON(cmd.OutOrStdout(), r)
		}
		printResumed(cmd.OutOrStdout(), r)
		return nil
	}
	return cmd
}

// printResumed tells what goes on, and what does not.
func printResumed(out io.Writer, r admin.Resumed) {
	if r.Restored {
		fmt.Fprintln(out, "The restored folder goes on: events, messages of topics and schedules that waited are worked on, and what is due by age is removed.")
	} else {
		fmt.Fprintln(out, "Nothing was held: the server's folder was not restored, or goes on already.")
	}
	for _, t := range r.Triggers {
		name := t.Source() + "/" + t.Function
		switch {
		case t.Paused:
			fmt.Fprintf(out, "Trigger %s stays paused, as somebody has paused it. Go on with: millstream triggers resume %[1]s\n", name)
		case t.State != "Enabled" && r.Restored:
			fmt.Fprintf(out, "Trigger %s is %s, as it was.\n", name, strings.ToLower(t.State))
		case r.Restored:
			fmt.Fprintf(out, "Trigger %s goes on.\n", name)
		}
	}
}

func newPause(flags *clientFlags, name, short, long string, do func(*admin.Client, context.Context, string) (admin.Trigger, error), text string) *cobra.Command {
	cmd := &cobra.Command{
		Use: name + " TRIGGER", Short: short, Long: long + "\n\n" + triggerHelp, Args: takes("TRIGGER"),
		Example: "  millstream triggers " + name + " on-order",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			uuid, err := triggerID(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			t, err := do(client, cmd.Context(), uuid)
			if err != nil {
				return err
			}
			if flags.json {
				return printJSON(cmd.OutOrStdout(), t)
			}
			fmt.Fprintf(cmd.OutOrStdout(), text, t.Source()+"/"+t.Function)
			return nil
		},
	}
	cmd.ValidArgsFunction = completeFirst(flags, triggerWords)
	flags.add(cmd)
	return cmd
}

func newTriggersSet() *cobra.Command {
	var flags clientFlags
	var when string
	cmd := &cobra.Command{
		Use:   "set TRIGGER --when CONDITION",
		Short: "Give a trigger a condition on what has changed",
		Long: `Give a trigger a condition on what has changed, beside its filters. It is DynamoDB's condition language over
OLD and NEW, the item before and after the change:

  OLD.status <> NEW.status               whose status has changed, and new items
  attribute_not_exists(OLD)              new items only
  NEW.total > 100 AND NEW.kind = 'order'
  NEW."odd name"[0] = true               names with other characters are in double quotes

Text is in single quotes; numbers, true, false and null are written as they are. What is missing is equal to nothing,
and <> of it holds. A stream that does not carry old images has no OLD. An empty condition takes it away.

` + triggerHelp,
		Example: `  millstream triggers set on-order --when 'OLD.status <> NEW.status'`,
		Args:    takes("TRIGGER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlag(cmd, "when", "'OLD.status <> NEW.status'"); err != nil {
				return err
			}
			client, err := flags.client()
			if err != nil {
				return err
			}
			uuid, err := triggerID(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			t, err := client.SetWhen(cmd.Context(), uuid, when)
			if err != nil {
				return err
			}
			if flags.json {
				return printJSON(cmd.OutOrStdout(), t)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "Set.")
			return nil
		},
	}
	cmd.Flags().StringVar(&when, "when", "", "the condition")
	cmd.ValidArgsFunction = completeFirst(&flags, triggerWords)
	flags.add(cmd)
	return cmd
}
