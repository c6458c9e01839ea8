package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func newSettle() *cobra.Command {
	var flags clientFlags
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "settle",
		Short: "Wait until every trigger has handled what has been written so far",
		Long: `Wait until every enabled trigger has passed the head that its stream has now. In a
test: write, settle, look at what the functions did. Ends with code 1 when the time
is over before that. With a manual clock it ends at once when only a later time brings the
rest, such as the end of a window or a retry: clock advance does.`,
		Example: `  aws dynamodb put-item ... && millstream settle && ./check-results
  millstream settle --timeout 2m`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			s, err := client.Settle(cmd.Context(), timeout)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			switch {
			case flags.json:
				err = printJSON(out, s)
			case s.Settled:
				_, err = fmt.Fprintf(out, "Settled after %d ms.\n", s.WaitedMS)
			default:
				why := fmt.Sprintf("after %s", timeout)
				if s.TimeStands {
					why = "while the clock stands still (millstream clock advance moves it)"
				}
				fmt.Fprintf(out, "Not settled %s. Behind are:\n", why)
				err = printTriggers(out, s.Behind)
			}
			if err == nil && !s.Settled {
				err = exitError(1)
			}
			return err
		},
	}
	flags.add(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "how long to wait")
	return cmd
}
