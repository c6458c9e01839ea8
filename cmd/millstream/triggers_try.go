package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
)

func newTriggersTry() *cobra.Command {
	var flags clientFlags
	var filters []string
	var last int
	cmd := &cobra.Command{
		Use:   "try TABLE --filter PATTERN",
		Short: "Show which of a table's last changes filters would take",
		Long: `Match filters of a trigger (FilterCriteria) with the last records of a table's stream, as
they lie there. Of several filters one must match, as of a trigger's. Nothing is
delivered. A filter that can never match is told of.`,
		Example: `  millstream triggers try orders --filter '{"eventName":["INSERT"]}'
  millstream triggers try orders --filter '{"dynamodb":{"NewImage":{"state":{"S":[{"prefix":"re"}]}}}}' --last 1000
  millstream triggers try orders --filter "$(cat filter.json)" --jsonl | jq 'select(.matches).record.dynamodb.Keys'`,
		Args: takes("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlag(cmd, "filter", `'{"eventName":["INSERT"]}'`); err != nil {
				return err
			}
			client, err := flags.client()
			if err != nil {
				return err
			}
			out, matched, all := cmd.OutOrStdout(), 0, 0
			list := &listPrinter{w: out, lines: flags.jsonl}
			err = client.Try(cmd.Context(), args[0], filters, last, func(t admin.Trial) error {
				for _, w := range t.Warnings {
					fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+w)
				}
				if t.Record == nil {
					return nil
				}
				all++
				if t.Matches {
					matched++
				}
				switch {
				case flags.forPrograms():
					return list.print(t)
				case t.Matches:
					fmt.Fprint(out, "match  ")
				default:
					fmt.Fprint(out, "-      ")
				}
				return printKeys(out, t.Record)
			})
			if err != nil {
				return err
			}
			if flags.forPrograms() {
				return list.end()
			}
			_, err = fmt.Fprintf(out, "%d of the last %d records match.\n", matched, all)
			return err
		},
	}
	cmd.ValidArgsFunction = completeFirst(&flags, tableWords)
	flags.add(cmd)
	flags.addLines(cmd)
	flags.addScope(cmd)
	cmd.Flags().StringArrayVar(&filters, "filter", nil, "a filter; given more than once, one of them must match")
	cmd.Flags().IntVar(&last, "last", 100, "how many records to look at, up to 1000")
	return cmd
}
