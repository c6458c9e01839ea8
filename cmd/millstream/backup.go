package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/app"
	"github.com/millstreamdb/millstream/internal/backup"
)

// backupRate is the rate of backups unless one is said: at it, writers keep some nine tenths of theirs.
const backupRate = 20 << 20

const placeHelp = `a folder, or s3://BUCKET/PREFIX by the settings of AWS's SDK (AWS_PROFILE,
AWS_REGION, AWS_ENDPOINT_URL_S3 for another endpoint, and so on)`

func newBackup() *cobra.Command {
	var flags clientFlags
	var to, data string
	rate := byteSize(backupRate)
	cmd := &cobra.Command{
		Use:   "backup --to PLACE",
		Short: "Copy all that a server holds, while it serves",
		Long: `Copy all that a server holds, while it serves: tables, streams, triggers with their
positions, functions with their code. What the place has from an earlier backup is not
copied again. With --data the folder of a server that does not run is copied.

The place is ` + placeHelp + `.
A backup is there when the command has ended well; one that was cut short leaves none. The
key that seals secrets (secrets.key) is in none: the command says where it is.`,
		Example: `  millstream backup --to /mnt/backups
  millstream backup --to s3://company-backups/orders --rate 50MB
  millstream backup --data ./millstream-data --to /mnt/backups`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if to == "" {
				return usagef("say where to: --to FOLDER or --to s3://BUCKET/PREFIX")
			}
			ctx := cmd.Context()
			place, err := backup.Open(ctx, to)
			if err != nil {
				return err
			}
			var src backup.Source
			var client *admin.Client
			key := "" // file of what seals
			if data != "" {
				if err := outside(data, to); err != nil {
					return err
				}
				lock, err := lockStopped(data)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, lock.Close()) }()
				src, key = backup.Folder(data), app.KeyFileThere(data, "")
			} else {
				if client, err = flags.client(); err != nil {
					return err
				}
				status, err := client.Status(ctx)
				if err != nil {
					return err
				}
				if status.Data != "" {
					if err := outside(status.Data, to); err != nil {
						return err
					}
				}
				st, err := client.Stage(ctx)
				if err != nil {
					return err
				}
				defer func() { // also when ctx has ended
					err = errors.Join(err, client.Unstage(context.WithoutCancel(ctx), st.ID))
				}()
				src, key = staged{client, st}, status.KeyFile
			}
			m, done, err := backup.Take(ctx, src, place, backup.Options{Rate: int64(rate), Program: programVersion(), Check: app.CheckTable, Progress: progressOf(cmd.ErrOrStderr(), "backed up"), Warn: func(err error) {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", err)
			}})
			if err != nil {
				return err
			}
			if client != nil {
				if err := client.TellBackup(ctx, admin.Backup{ID: m.ID, Made: m.Made}); err != nil {
					fmt.Fprintln(cmd.ErrOrStderr(), "warning: the backup is there, and the server could not be told of it for its metrics:", err)
				}
			}
			if flags.json {
				return printJSON(cmd.OutOrStdout(), backupLine{m.ID, m.Made, m.Bytes, done.Copied, len(m.Files), m.Quarantined, m.Damaged, key})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "backup %s: %s in %d files, %s of it new\n", m.ID, inBytes(m.Bytes), len(m.Files), inBytes(done.Copied))
			if m.Quarantined {
				fmt.Fprintln(cmd.OutOrStdout(), "the folder has ranges of keys that were lost to damage, and so has this backup: keep an older one")
			}
			if key != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "it does not hold the key that seals access keys, variables of functions and secret parameters: keep a copy of %s elsewhere, once\n", key)
			}
			return nil
		},
	}
	flags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&to, "to", "", "where to: a folder or s3://BUCKET/PREFIX")
	f.StringVar(&data, "data", "", "the data folder of a server that does not run, instead of a running server")
	if err := f.SetAnnotation("data", noVariable, []string{}); err != nil {
		panic(err) // the flag is there
	}
	f.Var(&rate, "rate", "bytes a second to copy at most, such as 50MB; 0: as fast as it goes")
	return cmd
}

type backupLine struct {
	ID          string    `json:"id"`
	Made        time.Time `json:"made"`
	Bytes       int64     `json:"bytes"`
	Copied      int64     `json:"copied,omitempty"`
	Files       int       `json:"files"`
	Quarantined bool      `json:"quarantined,omitempty"`
	Damaged     bool      `json:"damaged,omitempty"`
	KeyFile     string    `json:"keyFile,omitempty"` // it is not in the backup
}

// staged is the copy that a server has made for a backup.
type staged struct {
	client *admin.Client
	st     admin.Stage
}

func (s staged) List(context.Context) (files []backup.File, err error) {
	for _, f := range s.st.Files {
		files = append(files, backup.File{Name: f.Name, Size: f.Size})
	}
	return files, nil
}

func (s staged) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	return s.client.StagedFile(ctx, s.st.ID, name)
}

// outside refuses a place within the data folder: it would be backed up into itself, and be lost with it.
func outside(data, to string) error {
	if strings.Contains(to, "://") {
		return nil
	}
	data, err := filepath.Abs(data)
	if err == nil {
		to, err = filepath.Abs(to)
	}
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(data, to); err == nil && filepath.IsLocal(rel) {
		return usagef("%s is in the data folder itself, and would be lost with it: name another place with --to", to)
	}
	return nil
}

// lockStopped takes the lock of a data folder, so that no server opens it.
func lockStopped(data string) (io.Closer, error) {
	if _, err := os.Stat(filepath.Join(data, "VERSION")); err != nil {
		return nil, fmt.Errorf("%s is no data folder: %w", data, err)
	}
	lock, err := vfs.Default.Lock(filepath.Join(data, "LOCK"))
	if err != nil {
		return nil, fmt.Errorf("%s is in use: leave --data away to ask the server that has it open (%w)", data, err)
	}
	return lock, nil
}

func newRestore() *cobra.Command {
	var from, data, id, to string
	var rate byteSize
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "restore --from PLACE --data FOLDER",
		Short: "Make a new data folder of a backup",
		Long: `Make a new data folder of a backup: the newest, or the one that --backup names. Where
a server replicates to (serve --replicate), what came after the backup is added: up to
the last that was copied, or to the moment that --to-time says. The folder must be new
or empty; a restore never writes over one. Every byte is checked against its sum.

A server started on a restored folder keeps its triggers paused, and nothing in it
expires, until millstream triggers resume --all, or a start with --triggers run: so
that a look at an old copy calls nobody's functions.`,
		Example: `  millstream restore --from /mnt/backups --data ./restored
  millstream restore --from /mnt/replica --to-time 2026-11-29T10:00:00Z --data ./restored
  millstream serve --data ./restored                 look at it, triggers paused
  millstream triggers resume --all                   go on with it
  millstream serve --data ./restored --triggers run  the same, at the start`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" || data == "" {
				return usagef("say where from and where to: --from PLACE --data FOLDER")
			}
			place, err := backup.Open(cmd.Context(), from)
			if err != nil {
				return err
			}
			o := backup.Options{Rate: int64(rate), Progress: progressOf(cmd.ErrOrStderr(), "restored")}
			chained := to != ""
			if !chained && id == "" {
				if chained, err = app.Replicated(cmd.Context(), place); err != nil {
					return err
				}
			}
			if chained {
				at, err := momentOf(to)
				if err != nil {
					return err
				}
				if id != "" {
					return usagef("say either --backup or --to-time, not both")
				}
				return restoreMoment(cmd, place, at, data, o, asJSON)
			}
			m, err := backup.Find(cmd.Context(), place, id)
			if err != nil {
				return err
			}
			if err := backup.Restore(cmd.Context(), place, m, data, o); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), backupLine{m.ID, m.Made, m.Bytes, 0, len(m.Files), m.Quarantined, m.Damaged, ""})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "restored backup %s of %s to %s: %s in %d files\n", m.ID, m.Made.Local().Format(time.DateTime), data, inBytes(m.Bytes), len(m.Files))
			if m.Damaged {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning: tables of this backup were damaged when it was taken: `millstream check --data "+data+"` says which; an older backup may have them whole")
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "where the backups are: a folder or s3://BUCKET/PREFIX")
	f.StringVar(&data, "data", "", "the folder to make")
	if err := f.SetAnnotation("data", noVariable, []string{}); err != nil {
		panic(err) // the flag is there
	}
	f.StringVar(&id, "backup", "", "the backup (default the newest)")
	f.StringVar(&to, "to-time", "", "of a place that a server replicates to: latest (the default), or a moment such as 2026-11-29T10:00:00Z")
	f.Var(&rate, "rate", "bytes a second to copy at most, such as 50MB; 0: as fast as it goes")
	f.BoolVar(&asJSON, "json", false, "print JSON, for programs")
	return cmd
}

// momentOf reads --to-time; zero: the latest.
func momentOf(text string) (time.Time, error) {
	if text == "" || text == "latest" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return at, usagef("--to-time %q: want latest, or a moment such as 2026-11-29T10:00:00Z or 2026-11-29T11:00:00.5+01:00", text)
	}
	return at, nil
}

type restoredLine struct {
	ID      string    `json:"id"` // of the backup
	To      time.Time `json:"to"`
	Batches int       `json:"batches"`
	Short   string    `json:"short,omitempty"`
	Over    string    `json:"over,omitempty"` // by what the server that replicated says that another goes on elsewhere
}

// restoreMoment restores what a server had at a moment.
func restoreMoment(cmd *cobra.Command, place backup.Place, at time.Time, data string, o backup.Options, asJSON bool) error {
	r, err := app.RestoreMoment(cmd.Context(), place, at, data, o)
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(cmd.OutOrStdout(), restoredLine{r.Backup.ID, r.To.UTC(), r.Batches, r.Short, r.Over})
	} else {
		fmt.Fprintf(cmd.OutOrStdout(), "restored to %s, as of %s: backup %s and %d later commits\n", data, r.To.UTC().Format(time.RFC3339Nano), r.Backup.ID, r.Batches)
	}
	if d := r.Backup.Doubts(); d != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: the backup %s has %s: `millstream check --data %s` says which\n", r.Backup.ID, d, data)
	}
	if r.Short != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning:", r.Short)
	}
	if r.Over != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: the server that replicated to %s has said there: %s. Two that go on would not know of each other: go on with %s only when that one is lost as well\n", place, r.Over, data)
	}
	return err
}

func newBackups() *cobra.Command {
	cmd := &cobra.Command{Use: "backups", Short: "List backups, and check that they are whole"}
	cmd.AddCommand(newBackupsList(), newBackupsVerify())
	return group(cmd)
}

func newBackupsList() *cobra.Command {
	var flags clientFlags
	var at string
	cmd := &cobra.Command{
		Use: "ls --at PLACE", Aliases: []string{"list"},
		Short:   "List the backups of a place, the oldest first",
		Example: `  millstream backups ls --at /mnt/backups`,
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if at == "" {
				return usagef("say where: --at FOLDER or --at s3://BUCKET/PREFIX")
			}
			place, err := backup.Open(cmd.Context(), at)
			if err != nil {
				return err
			}
			all, faults, err := backup.List(cmd.Context(), place)
			if err != nil {
				return err
			}
			for _, f := range faults {
				fmt.Fprintln(cmd.ErrOrStderr(), "a backup cannot be used:", f)
			}
			if flags.json || flags.jsonl {
				var lines []backupLine
				for _, m := range all {
					lines = append(lines, backupLine{m.ID, m.Made, m.Bytes, 0, len(m.Files), m.Quarantined, m.Damaged, ""})
				}
				return printList(cmd.OutOrStdout(), &flags, lines)
			}
			w := newColumns(cmd.OutOrStdout())
			fmt.Fprintln(w, "BACKUP\tMADE\tSIZE\tFILES\tSTATE")
			for _, m := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", m.ID, m.Made.Local().Format(time.DateTime), inBytes(m.Bytes), len(m.Files), cmp.Or(m.Doubts(), "complete"))
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "where the backups are: a folder or s3://BUCKET/PREFIX")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print JSON, for programs")
	flags.addLines(cmd)
	return cmd
}

func newBackupsVerify() *cobra.Command {
	var flags clientFlags
	var at, id string
	var rate byteSize
	var tell bool
	cmd := &cobra.Command{
		Use:   "verify --at PLACE",
		Short: "Read a backup whole, and compare every file with its sum",
		Long: `Read a backup whole, the newest unless --backup names one, and compare every file with its sum.
No server is asked. With --tell the server whose backup it is learns that it is whole: its metrics
show how old the newest such backup is.`,
		Example: `  millstream backups verify --at s3://company-backups/orders
  millstream backups verify --at /mnt/backups --tell`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if at == "" {
				return usagef("say where: --at FOLDER or --at s3://BUCKET/PREFIX")
			}
			place, err := backup.Open(cmd.Context(), at)
			if err != nil {
				return err
			}
			m, err := backup.Find(cmd.Context(), place, id)
			if err != nil {
				return err
			}
			faults, err := backup.Verify(cmd.Context(), place, m, backup.Options{Rate: int64(rate), Progress: progressOf(cmd.ErrOrStderr(), "verified")})
			if err != nil {
				return err
			}
			for _, f := range faults {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			if len(faults) > 0 {
				return fmt.Errorf("backup %s has %d damaged or missing files", m.ID, len(faults))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "backup %s is whole: %s in %d files\n", m.ID, inBytes(m.Bytes), len(m.Files))
			if !tell {
				return nil
			}
			return tellWhole(cmd.Context(), &flags, &m)
		},
	}
	flags.addEndpoint(cmd)
	f := cmd.Flags()
	f.BoolVar(&tell, "tell", false, "tell the server whose backup it is, for its metrics")
	f.StringVar(&at, "at", "", "where the backups are: a folder or s3://BUCKET/PREFIX")
	f.StringVar(&id, "backup", "", "the backup (default the newest)")
	f.Var(&rate, "rate", "bytes a second to read at most, such as 50MB; 0: as fast as it goes")
	return cmd
}

// tellWhole tells the server whose backup it is that it was found whole.
func tellWhole(ctx context.Context, flags *clientFlags, m *backup.Manifest) error {
	client, err := flags.client()
	if err == nil {
		err = client.TellBackup(ctx, admin.Backup{ID: m.ID, Made: m.Made, Chained: m.Chained, Verified: true})
	}
	if err != nil {
		return fmt.Errorf("the backup %s is whole, and the server could not be told: %w", m.ID, err)
	}
	return nil
}

// progressOf tells every ten seconds how far a copy has come.
func progressOf(w io.Writer, verb string) func(backup.Progress) {
	last := time.Now()
	return func(p backup.Progress) {
		if time.Since(last) < 10*time.Second {
			return
		}
		last = time.Now()
		fmt.Fprintf(w, "%s %s of %s\n", verb, inBytes(p.Done), inBytes(p.Total))
	}
}

func inBytes(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
