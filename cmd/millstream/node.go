package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/app"
	"github.com/millstreamdb/millstream/internal/arn"
)

// nodeFlags are those of serve that need --tables.
var nodeFlags = []string{"table-prefix", "lease", "drain", "checkpoint-every", "poll-idle", "advertise", "function-credentials"}

// notOfNodes are about tables and what else a node does not keep.
var notOfNodes = []string{
	"durability", "log-cap", "recovery-cap", "shard-roll", "status-delay", "clock", "accept-loss", "replicate", "replicate-every", "replicate-keep", "replicate-only", "standby-of", "allow-standby", "standby-spool", "triggers",
	"root-access-key-id", "root-secret-access-key-file",
}

func (s *serveFlags) addNode(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.tables, "tables", "", "run functions and triggers over the tables at this URL, of a Millstream or another engine, together with all other such nodes, and keep none here")
	f.StringVar(&s.tablePrefix, "table-prefix", app.DefaultTablePrefix, "with --tables: how the names of the nodes' own tables begin; nodes with the same work together")
	f.DurationVar(&s.lease, "lease", app.DefaultLease, "with --tables: the silence after which a node counts as dead, and others take its work over; the same on all nodes")
	f.DurationVar(&s.drain, "drain", app.DefaultDrain, "with --tables: how long calls under way may take when this node ends or hands work over")
	f.DurationVar(&s.checkpointEvery, "checkpoint-every", app.DefaultCheckpointEvery, "with --tables: how long the end of records waits to be stored; after a crash what ended since is delivered again")
	f.DurationVar(&s.pollIdle, "poll-idle", app.DefaultPollIdle, "with --tables at another engine than Millstream: the longest time between two looks at a shard where nothing comes")
	f.StringVar(&s.functionCredentials, "function-credentials", "none", "with --tables: what functions sign their calls with: none, for a server that verifies no signatures, or inherit: this node's access key, with which they can do whatever it can, also to the nodes' own tables")
	f.StringVar(&s.advertise, "advertise", "", "with --tables: the URL at which others reach this node, for what they cannot know or have no room for")
}

// checkNode looks at the flags of a node.
func (s *serveFlags) checkNode(cmd *cobra.Command) error {
	if err := app.CheckTables(s.tables); err != nil {
		return &usageError{"--" + err.Error()}
	}
	if err := refuseFlags(cmd, notOfNodes, "does not go with --tables: a node keeps no tables, and no access keys"); err != nil {
		return err
	}
	if c := s.functionCredentials; c != "none" && c != "inherit" {
		return usagef("--function-credentials %q: want none or inherit", c)
	}
	const shortest = 2 * time.Second
	if s.lease < shortest {
		return usagef("--lease %s: want %s or more", s.lease, shortest)
	}
	if s.drain < 0 || s.checkpointEvery <= 0 || s.pollIdle <= 0 {
		return usagef("--drain %s, --checkpoint-every %s, --poll-idle %s: want 0 or more, and more than 0 of the others", s.drain, s.checkpointEvery, s.pollIdle)
	}
	if u, err := url.Parse(s.advertise); s.advertise != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return usagef("--advertise %q: want a URL, such as http://10.0.0.7:8000", s.advertise)
	}
	return nil
}

// refuseFlags refuses flags that have another value than without them, whether by the command line or by their variables.
func refuseFlags(cmd *cobra.Command, names []string, why string) error {
	for _, name := range names {
		if f := cmd.Flags().Lookup(name); f.Value.String() != f.DefValue {
			return usagef("--%s %s", name, why)
		}
	}
	return nil
}

func newNodes() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nodes",
		Short: "Show the nodes that work over one server's tables",
		Long: `The nodes that run functions and triggers over the tables of one server
(millstream serve --tables URL). Any of them tells of all.`,
	}
	cmd.AddCommand(newNodesList(), newNodesDrain())
	return group(cmd)
}

func newNodesList() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List nodes with the streams that each works", Args: takes(),
		Long: `List nodes with the streams that each works. A node that is over has left, or was
silent for longer than --lease; it is shown for a while.`,
		Example: `  millstream nodes ls --endpoint http://127.0.0.1:8010`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			all, err := client.Nodes(cmd.Context())
			if err != nil {
				return err
			}
			if flags.forPrograms() {
				return printList(cmd.OutOrStdout(), &flags, all)
			}
			w := newColumns(cmd.OutOrStdout())
			fmt.Fprintln(w, "NODE\tNAME\tURL\tSTATE\tSINCE\tVERSION\tSTREAMS OF")
			for _, n := range all {
				tables := make([]string, len(n.Streams))
				for i, stream := range n.Streams {
					tables[i] = arn.TableOf(stream)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.ID, n.Name, cmp.Or(n.URL, "-"), n.State, n.Began.Local().Format(time.DateTime), n.Version, cmp.Or(strings.Join(tables, " "), "-"))
			}
			return w.Flush()
		},
	}
	flags.add(cmd)
	flags.addLines(cmd)
	return cmd
}

func newNodesDrain() *cobra.Command {
	var flags clientFlags
	var off bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "drain NODE", Short: "Have a node give its streams up and take no more", Args: takes("node"),
		Long: `Have a node, by its id or name, give its streams up in order and take no more, as
before its machine is worked on: nothing is delivered twice, and calls that come to
it still run. Returns once it works none. It holds until that process ends, or
--off.`,
		Example: `  millstream nodes drain worker-3:8010 --endpoint http://127.0.0.1:8010`,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			if err := client.DrainNode(ctx, args[0], off); err != nil || off {
				return err
			}
			for {
				all, err := client.Nodes(ctx)
				if err != nil {
					return err
				}
				left := 0
				for _, n := range all {
					if n.State == "draining" && (n.ID == args[0] || n.Name == args[0]) {
						left = len(n.Streams)
					}
				}
				if left == 0 {
					fmt.Fprintf(cmd.OutOrStdout(), "%s works no stream.\n", args[0])
					return nil
				}
				select {
				case <-time.After(200 * time.Millisecond):
				case <-ctx.Done():
					return fmt.Errorf("%s still works %d streams after %s: `millstream nodes ls` shows when it does not", args[0], left, wait)
				}
			}
		},
	}
	cmd.Flags().BoolVar(&off, "off", false, "have it take its part again")
	cmd.Flags().DurationVar(&wait, "wait", 2*time.Minute, "how long to wait until it works no stream")
	flags.add(cmd)
	return cmd
}
