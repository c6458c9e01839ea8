package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newConsole() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:   "console",
		Short: "Print a link to the page that shows the loop live",
		Long: `Print a link to the server's console: the page that shows tables, triggers and functions
live, what is stuck and why, and what can be done about it.

The link lets one browser in, once; its session lasts a week from when the page was last
opened. serve and dev print one at their start, too.`,
		Example: `  millstream console
  xdg-open $(millstream console)`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			link, err := client.ConsoleLink(cmd.Context())
			if err != nil {
				return err
			}
			if flags.json {
				return printJSON(cmd.OutOrStdout(), struct {
					URL string `json:"url"`
				}{link})
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), link)
			return err
		},
	}
	flags.add(cmd)
	return cmd
}
