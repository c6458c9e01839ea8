package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
)

func newLogs() *cobra.Command {
	var flags clientFlags
	var follow bool
	var lines int
	cmd := &cobra.Command{
		Use:   "logs [FUNCTION]",
		Short: "Print what functions printed",
		Long:  `Print what a function printed, or all functions, newest last.`,
		Example: `  millstream logs on-order
  millstream logs -f                  follow all functions
  millstream logs on-order -n 1000
  millstream logs -f --jsonl          for programs: a line of JSON each`,
		Args: takes("[FUNCTION]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if follow {
				if err := flags.refuseEndless(cmd); err != nil {
					return err
				}
			}
			client, err := flags.client()
			if err != nil {
				return err
			}
			o := admin.LogsOptions{Lines: lines, Follow: follow}
			if len(args) == 1 {
				o.Function = args[0]
			}
			out := cmd.OutOrStdout()
			list := &listPrinter{w: out, lines: flags.jsonl}
			err = client.Logs(cmd.Context(), o, func(l admin.LogLine) error {
				if flags.forPrograms() {
					return list.print(l)
				}
				name := ""
				if o.Function == "" {
					name = l.Function + "  "
				}
				_, err := fmt.Fprintf(out, "%s  %s%s\n", l.Time.Local().Format("15:04:05.000"), name, l.Text)
				return err
			})
			if err == nil && flags.forPrograms() {
				err = list.end()
			}
			return err
		},
	}
	cmd.ValidArgsFunction = completeFirst(&flags, functionWords)
	flags.add(cmd)
	flags.addLines(cmd)
	flags.addScope(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new lines as they are printed")
	cmd.Flags().IntVarP(&lines, "lines", "n", 100, "how many lines of the past to print")
	return cmd
}
