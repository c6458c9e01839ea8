package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
)

func newShards() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shards",
		Short: "Show the shards of a table's stream, and split them",
		Long: `A shard is a segment of a stream's log: records of one item are in one shard, and
after it has ended in its children. More shards are more sequences that consumers can
read at once; the order of one item's changes stays.`,
	}
	cmd.AddCommand(newShardsList(), newShardsSplit())
	return group(cmd)
}

func newShardsList() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:     "ls TABLE",
		Aliases: []string{"list"},
		Short:   "List the shards of a table's newest stream, parents first",
		Example: `  millstream shards ls orders`,
		Args:    takes("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			s, err := client.Shards(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return showShards(cmd.OutOrStdout(), &flags, s)
		},
	}
	cmd.ValidArgsFunction = completeFirst(&flags, tableWords)
	flags.add(cmd)
	flags.addLines(cmd)
	flags.addScope(cmd)
	return cmd
}

func newShardsSplit() *cobra.Command {
	var flags clientFlags
	var shard string
	var into int
	cmd := &cobra.Command{
		Use:   "split TABLE {--shard ID | --into N}",
		Short: "Split shards: one that is named in two, or the widest until there are N",
		Long: `Split an open shard: it ends, and two children go on, each with half of its keys.
Consumers read a shard to its end before its children. Shards are never merged.`,
		Example: `  millstream shards split orders --into 4
  millstream shards split orders --shard shardId-00000001414576573621-f55eea83`,
		Args: takes("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (shard == "") == (into == 0) {
				return usagef("say either --shard ID or --into N")
			}
			client, err := flags.client()
			if err != nil {
				return err
			}
			var s admin.Shards
			if shard != "" {
				s, err = client.SplitShard(cmd.Context(), args[0], shard)
			} else {
				s, err = client.SplitShards(cmd.Context(), args[0], into)
			}
			if err != nil {
				return err
			}
			return showShards(cmd.OutOrStdout(), &flags, s)
		},
	}
	cmd.ValidArgsFunction = completeFirst(&flags, tableWords)
	flags.add(cmd)
	flags.addLines(cmd)
	flags.addScope(cmd)
	cmd.Flags().StringVar(&shard, "shard", "", "the open shard to split in two")
	cmd.Flags().IntVar(&into, "into", 0, "how many open shards the table is to have, up to 256")
	return cmd
}

func showShards(out io.Writer, flags *clientFlags, s admin.Shards) error {
	if flags.forPrograms() {
		return printList(out, flags, s.Shards)
	}
	w := newColumns(out)
	fmt.Fprintln(w, "SHARD\tPARENT\tOPENED\tRECORDS\tSTATE")
	for _, sh := range s.Shards {
		parent, state := sh.Parent, "open"
		if parent == "" {
			parent = "-"
		}
		if sh.Closed {
			state = "ended at " + sh.End
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", sh.ID, parent, sh.Opened.Local().Format(time.DateTime), sh.Records, state)
	}
	return w.Flush()
}
