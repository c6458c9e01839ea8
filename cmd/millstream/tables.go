package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"
)

func newTables() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:   "tables [NAME]",
		Short: "List tables: items, size, stream, time to live",
		Long: `List the tables of an account and region, or those whose names have NAME in them, with what their streams have had: CHANGES counts
the records that the stream ever got, so the difference of two looks is what was changed meanwhile.`,
		Example: `  millstream tables
  millstream tables order --json | jq '.tables[].items'`,
		Args: takes("[NAME]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			find := ""
			if len(args) > 0 {
				find = args[0]
			}
			all, err := client.Tables(cmd.Context(), find)
			if err != nil {
				return err
			}
			if flags.json {
				return printJSON(cmd.OutOrStdout(), all)
			}
			if len(all.Tables) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "No tables.")
				return nil
			}
			w := newColumns(cmd.OutOrStdout())
			fmt.Fprintln(w, "TABLE\tKEY\tITEMS\tBYTES\tINDEXES\tSTREAM\tKEPT\tCHANGES\tTTL\tSTATUS")
			for _, t := range all.Tables {
				key := t.Hash.Name
				if t.Range != nil {
					key += ", " + t.Range.Name
				}
				kept := "-"
				if t.Stream != "" {
					kept = fmt.Sprintf("%dh", t.RetentionHours)
				}
				fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\t%s\t%d\t%s\t%s\n", t.Name, key, t.Items, t.Bytes, t.Indexes, cmp.Or(t.Stream, "-"), kept, t.Changes, cmp.Or(t.TTL, "-"), t.Status)
			}
			if err := w.Flush(); err != nil || all.All == len(all.Tables) {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "There are %d; the first %d are shown: give a part of the name.\n", all.All, len(all.Tables))
			return err
		},
	}
	flags.add(cmd)
	flags.addScope(cmd)
	return cmd
}
