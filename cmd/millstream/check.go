package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/app"
	"github.com/millstreamdb/millstream/internal/backup"
)

func newCheck() *cobra.Command {
	var data, keys, replica, work string
	var flags clientFlags
	rate := byteSize(checkRate)
	var running, deep, told bool
	cmd := &cobra.Command{
		Use:   "check --data FOLDER | --running | --replica PLACE",
		Short: "Look for damage and disagreement in a data folder",
		Long: `Look at all that a data folder holds, and change nothing: every block of the database
against its checksum, logs against what their last sync promised, every item, index
entry, expiry, count and stream record against each other, packages of functions and
backups of tables against their sums. With --data the server must not run.

With --running it looks at a copy that the server makes of its folder, of links, at --rate, while the
server goes on; on the server's machine. Objects of buckets and the server's own log are not in a copy.

With --replica it looks at a place of backups, or to which a server replicates: every content against
its sum, every segment against the one before it; then it restores the newest state into a folder of its
own in --work, checks that as above, and removes it. With --tell the server learns that the newest backup is whole.

With --deep the order of the database's levels is compared, too, which reads every entry once more.

The code is 0 when all is well, 1 when there are faults, 2 when the folder cannot be
looked at.`,
		Example: `  millstream check --data ./millstream-data
  millstream check --data ./restored --json
  millstream check --running --rate 20MB
  millstream check --replica s3://company-backups/orders --work /mnt/scratch --deep`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ways := 0
			for _, said := range []bool{data != "", running, replica != ""} {
				if said {
					ways++
				}
			}
			switch {
			case ways != 1:
				return usagef("say what to look at: --data FOLDER, of a server that does not run, --running, or --replica PLACE")
			case replica == "" && (told || work != ""):
				return usagef("--tell and --work go with --replica")
			}
			out, faults := cmd.OutOrStdout(), 0
			list := listPrinter{w: out, lines: flags.jsonl}
			var whole backup.Manifest
			check := func(tell func(app.Finding)) error {
				if deep {
					return app.CheckDeep(cmd.Context(), data, keys, tell)
				}
				return app.Check(cmd.Context(), data, keys, tell)
			}
			switch {
			case running:
				check = func(tell func(app.Finding)) (err error) {
					data, err = checkRunning(cmd.Context(), &flags, int64(rate), deep, tell)
					return err
				}
			case replica != "":
				place, err := backup.Open(cmd.Context(), replica)
				if err != nil {
					return err
				}
				o := backup.Options{Progress: progressOf(cmd.ErrOrStderr(), "read")}
				if cmd.Flags().Changed("rate") {
					o.Rate = int64(rate)
				}
				check = func(tell func(app.Finding)) (err error) {
					whole, err = app.CheckPlace(cmd.Context(), place, work, keys, deep, o, tell)
					return err
				}
			}
			err := check(func(f app.Finding) {
				faults += len(f.Faults)
				if flags.forPrograms() {
					_ = list.print(f) // a reader that has gone is met at the end
					return
				}
				state := "ok"
				if len(f.Faults) > 0 {
					state = "FAULTS"
				}
				fmt.Fprintf(out, "%-7s %s (%d)\n", state, f.Part, f.Looked)
				for _, line := range slices.Concat(f.Faults, f.Notes) {
					fmt.Fprintln(out, "        "+strings.ReplaceAll(line, "\n", " "))
				}
			})
			if err != nil {
				return usagef("%v", err)
			}
			if flags.forPrograms() {
				if err := list.end(); err != nil {
					return err
				}
			}
			if faults > 0 && replica != "" {
				return fmt.Errorf("%s has faults: make a new backup there, or replicate to a new place, while the server is whole", replica)
			}
			if told {
				return tellWhole(cmd.Context(), &flags, &whole)
			}
			if faults > 0 {
				return fmt.Errorf("%s has faults; `millstream repair` mends what is derived (indexes, time to live, counts), a backup the rest", data)
			}
			return nil
		},
	}
	flags.add(cmd)
	addStoppedData(cmd, &data)
	cmd.Flags().BoolVar(&running, "running", false, "look at a copy that a running server makes, instead of a folder")
	cmd.Flags().StringVar(&replica, "replica", "", "look at this place of backups or of a replication instead: a folder or s3://BUCKET/PREFIX")
	cmd.Flags().StringVar(&work, "work", "", "with --replica, the folder in which the newest state is restored for the check (default: the system's temporary one)")
	cmd.Flags().BoolVar(&told, "tell", false, "with --replica, tell the server that its newest backup there is whole, for its metrics")
	cmd.Flags().BoolVar(&deep, "deep", false, "compare the levels of the database, too")
	cmd.Flags().Var(&rate, "rate", "bytes a second to read at most with --running (or, when said, --replica), such as 20MB; 0: as fast as it goes")
	cmd.Flags().StringVar(&keys, "key-file", "", "file of the key that seals secrets (default: secrets.key in the data folder)")
	flags.addLines(cmd)
	return cmd
}

// checkRate leaves most of a disk to the server.
const checkRate = 50 << 20

// checkRunning looks at a copy that the server makes of its folder, and returns that folder's name.
func checkRunning(ctx context.Context, flags *clientFlags, rate int64, deep bool, tell func(app.Finding)) (data string, err error) {
	client, err := flags.client()
	if err != nil {
		return "", err
	}
	status, err := client.Status(ctx)
	if err != nil {
		return "", err
	}
	st, err := client.Stage(ctx)
	if err != nil {
		return "", err
	}
	defer func() { // also when ctx has ended
		err = errors.Join(err, client.Unstage(context.WithoutCancel(ctx), st.ID))
	}()
	kept := make(chan struct{})
	defer close(kept)
	go func() { // the server removes a copy of which nothing has been asked for an hour
		tick := time.NewTicker(10 * time.Minute)
		defer tick.Stop()
		for {
			select {
			case <-kept:
				return
			case <-tick.C:
			}
			if r, err := client.StagedFile(ctx, st.ID, "VERSION"); err == nil {
				_ = r.Close()
			}
		}
	}()
	return status.Data, app.CheckCopy(ctx, status.Data, st.ID, status.KeyFile, rate, deep, tell)
}

func newRepair() *cobra.Command {
	var data string
	var yes bool
	cmd := &cobra.Command{
		Use:   "repair --data FOLDER --yes",
		Short: "Make indexes, expiries and counts of a data folder anew",
		Long: `Make anew what millstream check finds wrong and what is derived from items: entries of
indexes and of time to live, and counts. Items, stream records and definitions are not
derived: a backup brings them back. The server must not run. A copy of the folder of
before is kept in it, as links: remove it when all is well. A repair that was cut short
leaves a folder that no server opens; run it again.`,
		Example: `  millstream repair --data ./millstream-data --yes`,
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case data == "":
				return usagef("say which folder: --data FOLDER")
			case !yes:
				return usagef("repair changes the folder: run `millstream check --data %s` to see what is wrong, then repair with --yes", data)
			}
			mended, kept, err := app.Repair(cmd.Context(), data)
			out := cmd.OutOrStdout()
			for _, name := range mended {
				fmt.Fprintf(out, "made anew: indexes, expiries and counts of table %s\n", name)
			}
			if len(mended) == 0 && err == nil {
				fmt.Fprintln(out, "nothing that is derived is wrong")
			}
			if kept != "" {
				fmt.Fprintf(out, "a copy of before is in %s; remove it when all is well\n", kept)
			}
			return err
		},
	}
	addStoppedData(cmd, &data)
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

// addStoppedData adds the flag that names the folder of a server that does not run.
func addStoppedData(cmd *cobra.Command, data *string) {
	f := cmd.Flags()
	f.StringVar(data, "data", "", "the data folder of a server that does not run")
	if err := f.SetAnnotation("data", noVariable, []string{}); err != nil {
		panic(err) // the flag is there
	}
}
