package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/arn"
)

func newQueues() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queues",
		Short: "Show queues, empty them, and move dead letters back",
		Long: `The queues of SQS that the server has. They are made, sent to and read with any AWS
SDK or tool; these commands look into them.`,
	}
	cmd.AddCommand(newQueuesList(), newQueuesPeek(), newQueuesPurge(), newQueuesRedrive())
	return group(cmd)
}

// runOnQueues is what a command about queues, topics or schedules does.
type runOnQueues = func(cmd *cobra.Command, flags *clientFlags, client *admin.Client, args []string) error

// onQueues makes a command that is about queues.
func onQueues(cmd *cobra.Command, run runOnQueues) *cobra.Command {
	return (&clientFlags{}).onQueues(cmd, run)
}

// listsQueues makes one that prints several things.
func listsQueues(cmd *cobra.Command, run runOnQueues) *cobra.Command {
	flags := &clientFlags{}
	flags.addLines(cmd)
	return flags.onQueues(cmd, run)
}

func (flags *clientFlags) onQueues(cmd *cobra.Command, run runOnQueues) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := flags.client()
		if err != nil {
			return err
		}
		return run(cmd, flags, client, args)
	}
	flags.add(cmd)
	flags.addScope(cmd)
	return cmd
}

func newQueuesList() *cobra.Command {
	return listsQueues(&cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List queues, with how many messages they have", Args: takes(),
	}, func(cmd *cobra.Command, flags *clientFlags, client *admin.Client, _ []string) error {
		all, err := client.Queues(cmd.Context())
		if err != nil {
			return err
		}
		if flags.forPrograms() {
			return printList(cmd.OutOrStdout(), flags, all)
		}
		w := newColumns(cmd.OutOrStdout())
		fmt.Fprintln(w, "QUEUE\tVISIBLE\tIN FLIGHT\tDELAYED\tDEAD LETTERS GO TO")
		for _, q := range all {
			_, dead, _ := arn.Queue(q.DeadLetters)
			if dead == "" {
				dead = "-"
			}
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\n", q.Name, q.Visible, q.InFlight, q.Delayed, dead)
		}
		return w.Flush()
	})
}

func newQueuesPeek() *cobra.Command {
	var most int
	cmd := listsQueues(&cobra.Command{
		Use: "peek QUEUE", Short: "Show the first messages of a queue, and leave them as they are",
		Long: `Show the first messages of a queue in the order in which they were sent. Nothing is
received: no visibility timeout begins, and no receive is counted.`,
		Example: `  millstream queues peek orders-dead --max 3`, Args: takes("QUEUE"),
	}, func(cmd *cobra.Command, flags *clientFlags, client *admin.Client, args []string) error {
		all, err := client.PeekQueue(cmd.Context(), args[0], most)
		if err != nil {
			return err
		}
		if flags.forPrograms() {
			return printList(cmd.OutOrStdout(), flags, all)
		}
		w := newColumns(cmd.OutOrStdout())
		fmt.Fprintln(w, "SENT\tRECEIVED\tSTATE\tBODY")
		for _, m := range all {
			state := "visible"
			switch {
			case m.Visible:
			case m.Received > 0:
				state = "in flight"
			default:
				state = "delayed"
			}
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", m.Sent.Local().Format(time.DateTime), m.Received, state, oneLine(m.Body, maxShown))
		}
		return w.Flush()
	})
	cmd.Flags().IntVar(&most, "max", 10, "how many messages at most, 1 to 1000")
	return cmd
}

// maxShown is how much of a body a line has.
const maxShown = 200

func newQueuesPurge() *cobra.Command {
	return onQueues(&cobra.Command{
		Use: "purge QUEUE", Short: "Remove all messages of a queue", Example: `  millstream queues purge orders-dead`, Args: takes("QUEUE"),
	}, func(cmd *cobra.Command, flags *clientFlags, client *admin.Client, args []string) error {
		if err := client.PurgeQueue(cmd.Context(), args[0]); err != nil {
			return err
		}
		if flags.json {
			return printJSON(cmd.OutOrStdout(), struct {
				Queue string `json:"queue"`
			}{args[0]})
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is empty\n", args[0])
		return nil
	})
}

func newQueuesRedrive() *cobra.Command {
	var to string
	cmd := onQueues(&cobra.Command{
		Use: "redrive QUEUE", Short: "Move the messages of a dead-letter queue back to where they came from",
		Example: `  millstream queues redrive orders-dead
  millstream queues redrive orders-dead --to orders-again`, Args: takes("QUEUE"),
	}, func(cmd *cobra.Command, flags *clientFlags, client *admin.Client, args []string) error {
		n, err := client.RedriveQueue(cmd.Context(), args[0], to)
		if err != nil {
			return err
		}
		if flags.json {
			return printJSON(cmd.OutOrStdout(), struct {
				Queue  string `json:"queue"`
				Moving int    `json:"moving"` // messages
			}{args[0], n})
		}
		fmt.Fprintf(cmd.OutOrStdout(), "moving %d messages\n", n)
		return nil
	})
	cmd.Flags().StringVar(&to, "to", "", "the queue to which they go (default those that they came from)")
	return cmd
}
