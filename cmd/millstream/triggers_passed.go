package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
)

func newTriggersPassed() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:   "passed TABLE NUMBER",
		Short: "Show what each trigger has made of one record",
		Long: `Show what each trigger of a table has made of one record of its stream. 'tail' prints the sequence NUMBERs.

  waits         for its turn, or for a call under way
  fails         it is tried again, and what comes after it waits
  taken         by the function
  filtered out  by the filters, as they are now
  held, telling or parked: it is set aside ('parked ls')
  dropped       given up, and nobody was told; or dropped by a person
  destination   given up, and the on-failure destination was told
  skipped, or removed before the trigger had read it
  ended         before the server's start: how is not known any more`,
		Example: `  millstream triggers passed orders 18446762520453625325551618`,
		Args:    takes("TABLE", "NUMBER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			p, err := client.Passed(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			if flags.json {
				return printJSON(cmd.OutOrStdout(), p)
			}
			if len(p.Triggers) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "The table has no triggers.")
				return nil
			}
			w := newColumns(cmd.OutOrStdout())
			fmt.Fprintln(w, "FUNCTION\tOUTCOME\tATTEMPTS\tWHY\tTRIGGER")
			for _, o := range p.Triggers {
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", o.Function, o.Outcome, o.Attempts, oneLine(whyOf(o), 60), w.short(o.UUID))
			}
			return w.Flush()
		},
	}
	cmd.ValidArgsFunction = completeFirst(&flags, tableWords)
	flags.add(cmd)
	flags.addScope(cmd)
	return cmd
}

func whyOf(o admin.Outcome) string {
	var parts []string
	for _, part := range []string{o.Reason, o.Error} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ": ")
}

func newTriggersFailures() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:   "failures TRIGGER",
		Short: "List a trigger's newest calls that have failed",
		Long: `List the newest calls of a trigger's function that have failed since the server started, the newest
first: at most 50, with the first record that failed, the attempt, and what became of the records.

` + triggerHelp,
		Example: `  millstream triggers failures on-order`,
		Args:    takes("TRIGGER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			uuid, err := triggerID(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			all, err := client.Failures(cmd.Context(), uuid)
			if err != nil {
				return err
			}
			if flags.forPrograms() {
				return printList(cmd.OutOrStdout(), &flags, all)
			}
			if len(all) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "No call has failed since the server started.")
				return nil
			}
			w := newColumns(cmd.OutOrStdout())
			fmt.Fprintln(w, "AT\tKEY\tFAILED\tATTEMPT\tTHEN\tERROR\tREQUEST")
			for i := range all {
				f := &all[i]
				attempt := fmt.Sprint(f.Attempt)
				if f.Of > 0 {
					attempt += fmt.Sprintf(" of %d", f.Of)
				}
				key := f.SequenceNumber
				if len(f.Keys) > 0 {
					key = plain(f.Keys)
				}
				fmt.Fprintf(w, "%s\t%s\t%d of %d\t%s\t%s\t%s\t%s\n", f.At.Local().Format(time.DateTime), key, f.Failed, f.Records, attempt, f.Then, oneLine(f.Error, 60), f.RequestID)
			}
			return w.Flush()
		},
	}
	cmd.ValidArgsFunction = completeFirst(&flags, triggerWords)
	flags.add(cmd)
	flags.addLines(cmd)
	return cmd
}
