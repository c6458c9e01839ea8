package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
)

func newStacks() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:   "stacks [STACK]",
		Short: "List stacks, or what one has made",
		Long: `List the stacks that 'deploy' and CloudFormation's clients have made, with how many things are theirs; or
the things of one.`,
		Example: `  millstream stacks
  millstream stacks shop`,
		Args: takes("[STACK]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			all, err := client.Stacks(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) > 0 {
				i := slices.IndexFunc(all, func(s admin.Stack) bool { return s.Name == args[0] })
				if i < 0 {
					return fmt.Errorf("there is no stack %s; `millstream stacks` lists them", args[0])
				}
				all = all[i : i+1]
			}
			if flags.forPrograms() {
				return printList(cmd.OutOrStdout(), &flags, all)
			}
			if len(all) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "No stacks.")
				return nil
			}
			w := newColumns(cmd.OutOrStdout())
			if len(args) > 0 {
				fmt.Fprintln(w, "TYPE\tNAME")
				for _, r := range all[0].Resources {
					fmt.Fprintf(w, "%s\t%s\n", r.Type, r.Ref)
				}
				return w.Flush()
			}
			fmt.Fprintln(w, "STACK\tTHINGS")
			for _, s := range all {
				fmt.Fprintf(w, "%s\t%d\n", s.Name, len(s.Resources))
			}
			return w.Flush()
		},
	}
	flags.add(cmd)
	flags.addLines(cmd)
	flags.addScope(cmd)
	return cmd
}
