package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
)

func newTriggers() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "triggers",
		Short: "Show event source mappings and how far they have got",
		Long: `A trigger is an event source mapping: it ties the stream of a table, or a queue, to a function.
Triggers are made with AWS's own API (aws lambda create-event-source-mapping); here
is what AWS does not show of them.`,
	}
	cmd.AddCommand(newTriggersList(), newTriggersShow(), newTriggersRewind(), newTriggersSkip(), newTriggersPause(), newTriggersResume(), newTriggersSet(), newTriggersTry(), newTriggersPassed(), newTriggersFailures())
	return group(cmd)
}

// triggerHelp says how a trigger is named.
const triggerHelp = `TRIGGER is the name of its function, TABLE/FUNCTION, its UUID, or a beginning of
one of these that no other trigger has.`

func newTriggersList() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List triggers: state, lag in records and seconds, last result",
		Example: `  millstream triggers ls
  millstream triggers ls --json | jq '.[] | select(.lagRecords > 1000)'`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			all, err := client.Triggers(cmd.Context())
			if err != nil {
				return err
			}
			if flags.forPrograms() {
				return printList(cmd.OutOrStdout(), &flags, all)
			}
			if len(all) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "No triggers. Make one with: aws lambda create-event-source-mapping \\\n"+
					"  --event-source-arn STREAM-ARN --function-name NAME --starting-position LATEST")
				return nil
			}
			return printTriggers(cmd.OutOrStdout(), all)
		},
	}
	flags.add(cmd)
	flags.addLines(cmd)
	return cmd
}

func newTriggersShow() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:   "show TRIGGER",
		Short: "Show one trigger: its settings, counts, and its place in each shard",
		Long:  "Show one trigger: its settings, counts, and its place in each shard.\n\n" + triggerHelp,
		Example: `  millstream triggers show on-order
  millstream triggers show orders/on-order`,
		Args: takes("TRIGGER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			t, err := findTrigger(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			t, err = client.Trigger(cmd.Context(), t.UUID)
			if err != nil {
				return err
			}
			if flags.json {
				return printJSON(cmd.OutOrStdout(), t)
			}
			return printTrigger(cmd.OutOrStdout(), t)
		},
	}
	cmd.ValidArgsFunction = completeFirst(&flags, triggerWords)
	flags.add(cmd)
	return cmd
}

func printTriggers(out io.Writer, all []admin.Trigger) error {
	w := newColumns(out)
	fmt.Fprintln(w, "UUID\tSOURCE\tFUNCTION\tSTATE\tLAG\tAGE\tHELD\tPARKED\tDROPPED\tLAST RESULT")
	for _, t := range all {
		if t.Unknown != "" {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t?\t?\t?\t?\t?\tnot known: %s\n", w.short(t.UUID), t.Source(), t.Function, stateOf(t), t.Unknown)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%d\t%d\t%d\t%s\n", w.short(t.UUID), t.Source(), t.Function, stateOf(t), t.LagRecords, age(t.LagSeconds),
			t.SetAside.Held, t.SetAside.Parked, t.Counts.Dropped, resultOf(t))
		if strings.HasPrefix(resultOf(t), "FAILED") {
			w.failed()
		}
	}
	return w.Flush()
}

func printTrigger(out io.Writer, t admin.Trigger) error {
	w := newColumns(out)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("Trigger", "%s", t.UUID)
	if t.Queue != "" {
		printOnQueue(row, &t)
		return w.Flush()
	}
	row("Stream", "%s", t.StreamARN)
	row("Function", "%s", t.FunctionARN)
	row("State", "%s; changed at %s", stateOf(t), t.Modified.Local().Format(time.DateTime))
	row("Last result", "%s", resultOf(t))
	if t.Node != "" {
		row("Worked by", "%s", t.Node)
	}
	if t.Unknown != "" {
		row("Lag, counts", "not known: %s", t.Unknown)
	} else {
		row("Lag", "%d records, %s", t.LagRecords, age(t.LagSeconds))
	}
	row("Starts at", "%s", t.StartingPosition)
	row("Batches", "of up to %d records, window %ds, %d at once per shard", t.BatchSize, t.BatchingWindowSeconds, t.ParallelizationFactor)
	row("Retries", "%s, %s", endless(t.MaximumRetryAttempts, "up to %d", "without end"), endless(t.MaximumRecordAge, "records up to %ds old", "records of any age"))
	if t.ReportItemFailures {
		row("Answers", "may name the items that failed")
	}
	if t.BisectOnError {
		row("On an error", "the batch is cut in two")
	}
	if t.TumblingWindowSeconds > 0 {
		row("Windows", "of %ds, tumbling", t.TumblingWindowSeconds)
	}
	row("On failure", "%s", strings.TrimSuffix(t.OnFailure+", "+t.Destination, ", "))
	for _, f := range t.Filters {
		row("Filter", "%s", f)
	}
	for _, why := range t.FilterWarnings {
		row("Filter?", "may not mean what it seems to: %s", why)
	}
	if t.When != "" {
		row("When", "%s", t.When)
	}
	c := t.Counts
	row("Calls", "%d since the server started; %d failed, %d answered that records failed, %d more did not reach the function; %d batches cut in two",
		c.Invocations, c.Errors, c.PartialFailures, c.NotDelivered, c.Bisected)
	row("Records", "%d read, %d filtered out; %d handed over and %d of these failed, each attempt counted", c.Polled, c.FilteredOut, c.Invoked, c.FailedInvoke)
	row("Given up", "%d records DROPPED without a destination being told, %d with; %d parked, %d expired unread, %d skipped; %d deliveries failed",
		c.Dropped, c.Delivered, c.Parked, c.Expired, c.Skipped, c.DestinationFailures)
	if c.Losses > 0 {
		row("Lost?", "%d times records may have left the stream unread; nobody knows how many, and the log says where", c.Losses)
	}
	if a := t.SetAside; a.Held+a.Telling+a.Parked > 0 {
		row("Set aside", "%d held, %d for the destination, %d parked, %d KiB%s", a.Held, a.Telling, a.Parked, a.Bytes/1024,
			map[bool]string{true: "; there is no room for more, so it blocks"}[a.Full])
		if b := a.Blocked; b != nil {
			row("Oldest held", "since %s at %s (%d records of its key, %d attempts): %s",
				b.Since.Local().Format(time.DateTime), blocker(b), b.Records, b.Attempts, b.Error)
		}
	}
	const shown = 5
	if older := len(t.Unread) - shown; older > 0 {
		row("Removed unread", "%d older ranges; --json shows them", older)
	}
	for _, u := range t.Unread[max(0, len(t.Unread)-shown):] {
		row("Removed unread", "%d records of %s, from %s to %s, at %s (%s)", u.Records, u.Shard, u.First, u.Last, u.Removed.Local().Format(time.DateTime), u.Reason)
	}
	for _, n := range t.Notes[max(0, len(t.Notes)-shown):] {
		row("By a person", "%d records %s at %s%s", n.Records, n.What, n.At.Local().Format(time.DateTime), strings.TrimSuffix(": "+n.Reason, ": "))
	}
	if err := w.Flush(); err != nil || len(t.Shards) == 0 {
		return err
	}
	fmt.Fprintln(w, "\nSHARD\tPOSITION\tLAG\tAGE\tSTATE")
	for _, s := range t.Shards {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", s.Shard, s.Position, s.LagRecords, age(s.LagSeconds), shardState(s))
	}
	return w.Flush()
}

// printOnQueue prints a trigger on a queue.
func printOnQueue(row func(name, format string, args ...any), t *admin.Trigger) {
	row("Queue", "%s", t.StreamARN)
	row("Function", "%s", t.FunctionARN)
	row("State", "%s; changed at %s", stateOf(*t), t.Modified.Local().Format(time.DateTime))
	row("Last result", "%s", resultOf(*t))
	row("Backlog", "%d messages, the oldest sent %s ago; %d calls under way", t.LagRecords, age(t.LagSeconds), t.InFlight)
	row("Batches", "of up to %d messages, window %ds", t.BatchSize, t.BatchingWindowSeconds)
	if t.ReportItemFailures {
		row("Answers", "may name the messages that failed")
	}
	for _, f := range t.Filters {
		row("Filter", "%s", f)
	}
	c := t.Counts
	row("Calls", "%d since the server started; %d failed, %d answered that messages failed, %d more did not reach the function",
		c.Invocations, c.Errors, c.PartialFailures, c.NotDelivered)
	row("Messages", "%d received, %d filtered out; %d handed over and %d of these failed, each attempt counted", c.Polled, c.FilteredOut, c.Invoked, c.FailedInvoke)
}

// stateOf is AWS's state of a trigger, or what AWS does not tell: that it is blocked, paused, or waits in a restored folder.
func stateOf(t admin.Trigger) string {
	switch {
	case t.Paused:
		return t.State + ", paused"
	case t.Restored && t.State == "Enabled":
		return t.State + ", not resumed"
	case t.State == "Enabled" && blockedBy(t) != nil:
		return "blocked"
	}
	return t.State
}

// blockedBy is the oldest trouble that holds up a shard of a trigger; nil when none does.
func blockedBy(t admin.Trigger) (oldest *admin.Blocked) {
	for _, s := range t.Shards {
		if b := s.Blocked; b != nil && (oldest == nil || b.Since.Before(oldest.Since)) {
			oldest = b
		}
	}
	return oldest
}

// resultOf is the last result, and where something fails now, why: a call that succeeded may have named records that failed.
func resultOf(t admin.Trigger) string {
	if b := blockedBy(t); b != nil {
		return oneLine("FAILED on "+blocker(b)+": "+b.Error, 100)
	}
	if b := t.SetAside.Blocked; b != nil {
		return oneLine("FAILED on "+blocker(b)+", held: "+b.Error, 100)
	}
	if t.Error != "" {
		return oneLine("FAILED: "+t.Error, 100)
	}
	return t.LastResult
}

// blocker names the record that is in the way: by its item's key, and by its number where that is all that is known.
func blocker(b *admin.Blocked) string {
	if len(b.Keys) == 0 {
		return b.SequenceNumber
	}
	return plain(b.Keys)
}

// shardState says in a few words what a trigger does on a shard.
func shardState(s admin.TriggerShard) string {
	switch b := s.Blocked; {
	case s.Done:
		return "finished"
	case s.WaitsForParent:
		return "waits for its parent"
	case b != nil:
		next := "being tried again"
		if !b.RetryAt.IsZero() {
			next = "next attempt at " + b.RetryAt.Local().Format(time.TimeOnly)
		}
		at := blocker(b)
		if len(b.Keys) > 0 {
			at += ", number " + b.SequenceNumber
		}
		return fmt.Sprintf("blocked since %s at %s (%d records, %d attempts, %s): %s",
			b.Since.Local().Format(time.DateTime), at, b.Records, b.Attempts, next, b.Error)
	case s.Error != "":
		return "blocked: " + s.Error
	case s.InFlight > 0:
		return fmt.Sprintf("%d calls under way", s.InFlight)
	}
	return "waiting for records"
}

func endless(n int, format, otherwise string) string {
	if n < 0 {
		return otherwise
	}
	return strings.TrimSpace(fmt.Sprintf(format, n))
}

// age prints a number of seconds as 12ms, 3.4s or 2h5m0s.
func age(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
