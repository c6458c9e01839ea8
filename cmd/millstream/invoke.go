package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
)

// printNotes prints what the server says of a function as it was deployed: it may be why a call failed.
func printNotes(ctx context.Context, out io.Writer, client *admin.Client, function string) {
	const lines = 1000
	// Without an answer there is nothing to add to the call's own error.
	_ = client.Logs(ctx, admin.LogsOptions{Function: function, Lines: lines}, func(l admin.LogLine) error {
		if l.Note {
			fmt.Fprintln(out, "Note:", l.Text)
		}
		return nil
	})
}

func newInvoke() *cobra.Command {
	var flags clientFlags
	var event, file string
	cmd := &cobra.Command{
		Use:   "invoke FUNCTION",
		Short: "Run a function once and print its answer",
		Long: `Run a function once and print its answer, and on stderr the end of what it printed.
Ends with code 1 when the function failed.`,
		Example: `  millstream invoke on-order --event '{"id":"o-1"}'
  millstream invoke on-order --event-file event.json
  millstream tail orders --jsonl --limit 1 | millstream invoke on-order --event-file -`,
		Args: takes("FUNCTION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("event") && cmd.Flags().Changed("event-file") {
				return usagef("say either --event or --event-file, not both")
			}
			client, err := flags.client()
			if err != nil {
				return err
			}
			payload := []byte(event)
			switch file {
			case "":
			case "-":
				payload, err = io.ReadAll(cmd.InOrStdin())
			default:
				payload, err = os.ReadFile(file)
			}
			if err != nil {
				return fmt.Errorf("read the event: %w", err)
			}
			inv, err := client.Invoke(cmd.Context(), args[0], payload)
			if err != nil {
				return err
			}
			if flags.json {
				err = printJSON(cmd.OutOrStdout(), inv)
			} else {
				if inv.Log != "" {
					fmt.Fprintln(cmd.ErrOrStderr(), strings.TrimRight(inv.Log, "\n"))
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), string(inv.Payload))
			}
			if err == nil && inv.Error != "" {
				printNotes(cmd.Context(), cmd.ErrOrStderr(), client, args[0])
				err = exitError(1)
			}
			return err
		},
	}
	cmd.ValidArgsFunction = completeFirst(&flags, functionWords)
	flags.add(cmd)
	flags.addScope(cmd)
	cmd.Flags().StringVar(&event, "event", "{}", "the event, JSON")
	cmd.Flags().StringVar(&file, "event-file", "", "file that holds the event; - is the standard input")
	return cmd
}
