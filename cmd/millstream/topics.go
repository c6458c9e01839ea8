package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
)

func newTopics() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "topics",
		Short: "Show topics, and who is subscribed to them",
		Long: `The topics of SNS that the server has. They are made and changed with any AWS SDK
or tool, or by a template.`,
	}
	cmd.AddCommand(newTopicsList())
	return group(cmd)
}

func newTopicsList() *cobra.Command {
	return listsQueues(&cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List topics with their subscriptions", Args: takes(),
	}, func(cmd *cobra.Command, flags *clientFlags, client *admin.Client, _ []string) error {
		all, err := client.Topics(cmd.Context())
		if err != nil {
			return err
		}
		if flags.forPrograms() {
			return printList(cmd.OutOrStdout(), flags, all)
		}
		w := newColumns(cmd.OutOrStdout())
		fmt.Fprintln(w, "TOPIC\tPROTOCOL\tENDPOINT\tSTATE")
		for _, t := range all {
			if len(t.Subscriptions) == 0 {
				fmt.Fprintf(w, "%s\t-\t-\tno subscriptions\n", t.Name)
			}
			for _, s := range t.Subscriptions {
				state := "confirmed"
				if s.Pending {
					state = "to be confirmed"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.Name, s.Protocol, s.Endpoint, state)
			}
		}
		return w.Flush()
	})
}
