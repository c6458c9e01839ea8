package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/app"
)

func newVerify() *cobra.Command {
	var region string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "verify ENDPOINT", Short: "Find out what a DynamoDB endpoint can do of what nodes need", Args: takes("ENDPOINT"),
		Long: `Find out what an endpoint of DynamoDB can do of what nodes need
(millstream serve --tables): conditional writes under races, transactions, streams
and the order of their records. It makes a table of its own, millstream-verify-
with random letters, and removes it. Signs with the usual credentials of AWS's SDK
where the environment has some. The exit code is 1 when something is missing
without which nodes do not work.`,
		Example: `  millstream verify http://127.0.0.1:8000`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := app.CheckTables(args[0]); err != nil {
				return &usageError{err.Error()}
			}
			lacks := 0
			w := newColumns(cmd.OutOrStdout())
			if !asJSON {
				fmt.Fprintln(w, "PROBE\tFOUND\tWITHOUT IT\tWHY")
			}
			lines := json.NewEncoder(cmd.OutOrStdout())
			var failed error
			err := app.Verify(cmd.Context(), args[0], cmp.Or(region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")), func(f app.Probed) {
				if !f.Has && f.Required {
					lacks++
				}
				switch {
				case asJSON:
					failed = errors.Join(failed, lines.Encode(f))
				case f.Has:
					fmt.Fprintf(w, "%s\tyes\t\t\n", f.What)
				default:
					fmt.Fprintf(w, "%s\tno\t%s\t%s\n", f.What, f.Without, f.Detail)
				}
			})
			if err := errors.Join(failed, w.Flush(), err); err != nil {
				return err
			}
			if lacks > 0 {
				return fmt.Errorf("nodes do not work over %s: %d things are missing that they need", args[0], lacks)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&region, "region", "", "region to sign for (default: AWS_REGION, or us-east-1)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a line of JSON for each probe")
	return cmd
}
