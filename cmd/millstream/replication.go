package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
)

func newReplication() *cobra.Command {
	var flags clientFlags
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "replication",
		Short: "Show how far the copy is that a server makes elsewhere",
		Long: `Show how far the standbys are that follow a server, and how far one that was started with
--replicate has come: how old the oldest
write is that could not be restored from there, why nothing can be copied, if so, and
for how long what was copied is kept.
With --wait it waits until all that was written before could be restored, and ends with
code 1 when that takes longer.`,
		Example: `  millstream replication
  millstream replication --wait 30s`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			var r *admin.Replication
			var s *admin.Standbys
			var late bool
			began := time.Now()
			for until := time.Now().Add(wait); ; {
				st, err := client.Status(cmd.Context())
				if err != nil {
					return err
				}
				if st.Standby != nil {
					if time.Now().Before(until) && (!st.Standby.Has || st.Standby.LagSeconds > 5) {
						time.Sleep(50 * time.Millisecond)
						continue
					}
					if flags.json {
						return printJSON(cmd.OutOrStdout(), st.Standby)
					}
					return printStandby(cmd.OutOrStdout(), st.Standby)
				}
				r, s = st.Replication, st.Standbys
				if r == nil && s == nil {
					return usagef("this server replicates nothing: start it with --replicate PLACE or --allow-standby")
				}
				late = r != nil && r.LagSeconds > 0 || s != nil && !s.Followed(time.Since(began))
				if !late || !time.Now().Before(until) {
					break
				}
				select {
				case <-cmd.Context().Done():
					return cmd.Context().Err()
				case <-time.After(50 * time.Millisecond):
				}
			}
			out := cmd.OutOrStdout()
			if s != nil && !flags.json {
				printStandbys(out, s)
			}
			switch {
			case flags.json && s != nil && r != nil:
				err = printJSON(out, map[string]any{"replication": r, "standbys": s.Standbys, "kept": s.Kept, "failing": s.Failing})
			case flags.json && s != nil:
				err = printJSON(out, s)
			case flags.json:
				err = printJSON(out, r)
			case r == nil:
			case r.LagSeconds == 0:
				_, err = fmt.Fprintf(out, "All that was written can be restored from %s (backup %s and %d segments).\n", r.Place, r.Backup, r.Segments)
			case r.Backup == "":
				_, err = fmt.Fprintf(out, "The backup with which a restore from %s begins is being made, for %.1f seconds.\n", r.Place, r.LagSeconds)
			default:
				_, err = fmt.Fprintf(out, "What was written in the last %.1f seconds cannot all be restored from %s yet (%d batches).\n", r.LagSeconds, r.Place, r.Waiting)
			}
			if !flags.json && r != nil {
				printKept(out, r)
			}
			if err == nil && wait > 0 && late {
				err = exitError(1)
			}
			return err
		},
	}
	flags.add(cmd)
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long to wait until all can be restored")
	return cmd
}

// printStandbys tells of standbys that follow the server itself.
func printStandbys(out io.Writer, s *admin.Standbys) {
	for _, one := range s.Standbys {
		switch {
		case one.Away:
			fmt.Fprintf(out, "The standby on %s is away, and lacks what was written in the last %.1f seconds.\n", one.Host, one.LagSeconds)
		case one.LagSeconds > 0:
			fmt.Fprintf(out, "The standby on %s lacks what was written in the last %.1f seconds.\n", one.Host, one.LagSeconds)
		default:
			fmt.Fprintf(out, "The standby on %s has all that was written.\n", one.Host)
		}
	}
	if len(s.Standbys) == 0 {
		fmt.Fprintln(out, "No standby follows this server.")
	}
	if s.Failing != "" {
		fmt.Fprintln(out, "What is written cannot be kept for standbys, which is tried again:", s.Failing)
	}
}

// printKept tells what goes wrong, and what is kept.
func printKept(out io.Writer, r *admin.Replication) {
	if r.Failing != "" {
		fmt.Fprintln(out, "It fails, and is tried again:", r.Failing)
	}
	if r.NotRemoved != "" {
		fmt.Fprintln(out, "What is too old to be kept could not be removed, which is tried again:", r.NotRemoved)
	}
	switch keep := inDays(time.Duration(r.KeepSeconds * float64(time.Second))); {
	case r.KeepSeconds == 0:
		fmt.Fprintln(out, "Nothing is removed from there.")
	case r.Oldest.IsZero():
		fmt.Fprintf(out, "What is older than %s is removed from there.\n", keep)
	default:
		fmt.Fprintf(out, "Moments from %s on can be restored; what is older than %s is removed.\n", r.Oldest.Local().Format(time.DateTime), keep)
	}
}
