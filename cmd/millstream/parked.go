package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/nearest"
)

func newParked() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "parked",
		Short: "Show records that are set aside, send them again, drop them",
		Long: `A trigger whose tag millstream:on-failure is block-key or park keeps what it gives up,
whole: it is parked. So is what an on-failure destination has not taken for an hour.
Parked records are kept for 14 days.

Records are held while their item waits for retries of its own (block-key), and telling
while the on-failure destination is to be told of them again.`,
	}
	cmd.AddCommand(newParkedList(), newParkedShow(), newParkedRedrive(), newParkedDrop(), newParkedGiveUp())
	return group(cmd)
}

// asideFlags choose records that are set aside.
type asideFlags struct {
	clientFlags
	trigger, id, key, err, after, before string
}

func (f *asideFlags) add(cmd *cobra.Command) {
	f.clientFlags.add(cmd)
	cmd.Flags().StringVar(&f.trigger, "trigger", "", "of this trigger, by its function's name, TABLE/FUNCTION or UUID (default of all)")
	_ = cmd.RegisterFlagCompletionFunc("trigger", func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return complete(cmd, &f.clientFlags, triggerWords, typed)
	}) // it fails for a flag that is not there
	cmd.Flags().StringVar(&f.id, "id", "", "this record")
	cmd.Flags().StringVar(&f.key, "key", "", "of this item: an attribute of its key, or the whole key as JSON")
	cmd.Flags().StringVar(&f.err, "error", "", "whose reason or error has this in it")
	cmd.Flags().StringVar(&f.after, "after", "", "set aside after a time (2026-01-02T15:04:05Z), or less than a duration ago (2h)")
	cmd.Flags().StringVar(&f.before, "before", "", "set aside before a time, or more than a duration ago")
}

func (f *asideFlags) filter(now time.Time) (admin.AsideFilter, error) {
	out := admin.AsideFilter{ID: f.id, Key: f.key, Error: f.err}
	var err error
	if out.After, err = moment(now, "--after", f.after); err != nil {
		return out, err
	}
	out.Before, err = moment(now, "--before", f.before)
	return out, err
}

// moment reads a time, or a duration before now; zero for the empty text.
func moment(now time.Time, flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usagef("%s %q: want a time such as 2026-01-02T15:04:05Z, or a duration such as 2h", flag, text)
	}
	return t, nil
}

// triggers are those that the flags name.
func (f *asideFlags) triggers(ctx context.Context, client *admin.Client) ([]admin.Trigger, error) {
	if f.trigger != "" {
		t, err := findTrigger(ctx, client, f.trigger)
		return []admin.Trigger{t}, err
	}
	return client.Triggers(ctx)
}

func newParkedList() *cobra.Command {
	var flags asideFlags
	var kind string
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List records that are set aside",
		Example: `  millstream parked ls
  millstream parked ls --trigger on-order --key order-17 --kind held`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := flags.filter(time.Now())
			if err != nil {
				return err
			}
			if kinds := []string{"parked", "held", "telling", "all"}; !slices.Contains(kinds, kind) {
				return usagef("--kind %q: want parked, held, telling or all%s", kind, nearest.Hint(kind, kinds))
			}
			filter.Kind = kind
			if kind == "all" {
				filter.Kind = ""
			}
			client, err := flags.client()
			if err != nil {
				return err
			}
			triggers, err := flags.triggers(cmd.Context(), client)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			w := newColumns(out)
			n := 0
			list := &listPrinter{w: out, lines: flags.jsonl}
			for _, t := range triggers {
				err := client.AsideRecords(cmd.Context(), t.UUID, filter, func(r admin.AsideRecord) error {
					if n++; flags.forPrograms() {
						return list.print(struct {
							Trigger string `json:"trigger"`
							admin.AsideRecord
						}{t.UUID, r})
					}
					if n == 1 {
						fmt.Fprintln(w, "KIND\tSINCE\tFUNCTION\tKEY\tATTEMPTS\tERROR\tTRIGGER\tID")
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", r.Kind, r.Since.Local().Format(time.DateTime), t.Function, r.Keys,
						r.Attempts, oneLine(cmp.Or(r.Error, r.Reason, "-"), 60), w.short(t.UUID), r.ID)
					return nil
				})
				if err != nil {
					return err
				}
			}
			switch {
			case flags.forPrograms():
				return list.end()
			case n == 0:
				fmt.Fprintln(out, "No records."+waiting(triggers, kind))
			}
			return w.Flush()
		},
	}
	flags.add(cmd)
	flags.addLines(cmd)
	cmd.Flags().StringVar(&kind, "kind", "parked", "parked, held, telling or all")
	return cmd
}

// waiting tells of records that are set aside and not of the kind that was asked for: what is tried again may come back.
func waiting(triggers []admin.Trigger, kind string) string {
	held, telling := 0, 0
	for i := range triggers {
		held += triggers[i].SetAside.Held
		telling += triggers[i].SetAside.Telling
	}
	var text string
	if held > 0 && (kind == "parked" || kind == "telling") {
		text += fmt.Sprintf(" %d wait to be tried again (--kind held).", held)
	}
	if telling > 0 && (kind == "parked" || kind == "held") {
		text += fmt.Sprintf(" The destination is to be told of %d (--kind telling).", telling)
	}
	return text
}

// oneLine cuts a text to a line of a table.
func oneLine(s string, most int) string {
	s, _, more := strings.Cut(strings.ReplaceAll(s, "\t", " "), "\n")
	if r := []rune(s); len(r) > most {
		s, more = string(r[:most]), true
	}
	if more {
		s += "..."
	}
	return s
}

func newParkedShow() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:     "show TRIGGER ID",
		Short:   "Show one record that is set aside, whole",
		Long:    "Show one record that is set aside, whole. `parked ls` shows the IDs; a beginning that no other has will do.\n\n" + triggerHelp,
		Example: `  millstream parked show on-order ID --json | jq .record`,
		Args:    takes("[TRIGGER]", "[ID]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			if len(args) < 2 {
				return whichRecord(cmd.Context(), client, args)
			}
			uuid, err := triggerID(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			id, err := recordID(cmd.Context(), client, uuid, args[1])
			if err != nil {
				return err
			}
			r, err := client.AsideRecord(cmd.Context(), uuid, id)
			if err != nil {
				return err
			}
			if flags.json {
				return printJSON(cmd.OutOrStdout(), r)
			}
			w := newColumns(cmd.OutOrStdout())
			for _, row := range [][2]string{
				{"ID", r.ID}, {"Kind", r.Kind + ", since " + r.Since.Local().Format(time.DateTime)}, {"Shard", r.Shard},
				{"Number", r.SequenceNumber}, {"Written", r.Written.Local().Format(time.DateTime)}, {"Keys", string(r.Keys)},
				{"Attempts", fmt.Sprint(r.Attempts)}, {"Reason", r.Reason}, {"Error", r.Error}, {"Function", r.Function}, {"Record", string(r.Record)},
			} {
				if row[1] != "" {
					fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
				}
			}
			return w.Flush()
		},
	}
	cmd.ValidArgsFunction = completeFirst(&flags, triggerWords)
	flags.add(cmd)
	return cmd
}

// whichRecord asks which record is meant, and lists a few that are set aside.
func whichRecord(ctx context.Context, client *admin.Client, args []string) error {
	all, err := client.Triggers(ctx)
	if err == nil && len(args) > 0 {
		var t admin.Trigger
		t, err = chooseTrigger(all, args[0])
		all = []admin.Trigger{t}
	}
	if err != nil {
		return err
	}
	const shown = 10
	var rows []string
	for _, t := range all {
		err := client.AsideRecords(ctx, t.UUID, admin.AsideFilter{}, func(r admin.AsideRecord) error {
			if len(rows) < shown {
				rows = append(rows, fmt.Sprintf("\n  millstream parked show %s/%s %s   %s %s", t.Table, t.Function, r.ID, r.Kind, plain(r.Keys)))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		return usagef("say which record, as in millstream parked show TRIGGER ID; none is set aside now")
	}
	return usagef("say which record, such as:%s", strings.Join(rows, ""))
}

// recordID finds the record that a person means by its ID or a beginning of it.
func recordID(ctx context.Context, client *admin.Client, uuid, word string) (string, error) {
	var found []string
	exact := false
	err := client.AsideRecords(ctx, uuid, admin.AsideFilter{}, func(r admin.AsideRecord) error {
		exact = exact || r.ID == word
		if strings.HasPrefix(r.ID, word) {
			found = append(found, r.ID)
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case exact || len(found) == 0:
		return word, nil // the server says that there is none
	case len(found) > 1:
		return "", fmt.Errorf("%s may be one of %d records, say which: `millstream parked ls` shows them", word, len(found))
	}
	return found[0], nil
}

func newParkedRedrive() *cobra.Command {
	var flags asideFlags
	var o admin.RedriveOptions
	cmd := &cobra.Command{
		Use:   "redrive {--trigger TRIGGER | --all}",
		Short: "Send parked records again, to their function or to another one",
		Long: `Send parked records again, each through its item's lane: later records of the item
that have not been sent wait until it has ended. Records of the item that were sent
since it was parked were sent before it; the function must be able to take that.`,
		Example: `  millstream parked redrive --trigger on-order --key order-17
  millstream parked redrive --trigger on-order --function repair --rate 10`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.each(cmd, "handed over", func(client *admin.Client, trigger string, f admin.AsideFilter) (int, error) {
				o.AsideFilter = f
				r, err := client.Redrive(cmd.Context(), trigger, o)
				return r.Records, err
			})
		},
	}
	flags.add(cmd)
	all(cmd)
	cmd.Flags().StringVar(&o.Function, "function", "", "another function that is to have them")
	cmd.Flags().Float64Var(&o.Rate, "rate", 0, "records a second (default as fast as it goes)")
	cmd.Flags().IntVar(&o.Limit, "limit", 0, "at most so many of a trigger (default all)")
	return cmd
}

func newParkedDrop() *cobra.Command {
	return newUnset("drop", "Remove parked records for good", `Remove parked records for good. A reason is logged, and 'triggers show' tells it later.`,
		`  millstream parked drop --trigger on-order --before 72h --reason "test data"`, "dropped", (*admin.Client).DropParked)
}

func newParkedGiveUp() *cobra.Command {
	return newUnset("give-up", "Stop trying held records", `Stop trying held records, and let later changes of their items go on. They are parked, as what has had its
attempts; or the trigger's on-failure destination is told of them. Records with which a call
is under way are left as they are.`, `  millstream parked give-up --trigger on-order --key order-17 --reason "known to be broken"`, "given up", (*admin.Client).GiveUp)
}

func newUnset(name, short, long, example, what string, do func(*admin.Client, context.Context, string, admin.AsideFilter, string) (admin.Redriven, error)) *cobra.Command {
	var flags asideFlags
	var reason string
	cmd := &cobra.Command{
		Use: name + " {--trigger TRIGGER | --all}", Short: short, Long: long, Example: example, Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.each(cmd, what, func(client *admin.Client, trigger string, f admin.AsideFilter) (int, error) {
				r, err := do(client, cmd.Context(), trigger, f, reason)
				return r.Records, err
			})
		},
	}
	flags.add(cmd)
	all(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who ask later")
	return cmd
}

func all(cmd *cobra.Command) { cmd.Flags().Bool("all", false, "of all triggers") }

// each does something to the chosen records of each trigger, and tells how many they were.
func (f *asideFlags) each(cmd *cobra.Command, what string, do func(*admin.Client, string, admin.AsideFilter) (int, error)) error {
	if all, _ := cmd.Flags().GetBool("all"); all == (f.trigger != "") {
		return usagef("say either --trigger TRIGGER or --all")
	}
	filter, err := f.filter(time.Now())
	if err != nil {
		return err
	}
	client, err := f.client()
	if err != nil {
		return err
	}
	triggers, err := f.triggers(cmd.Context(), client)
	if err != nil {
		return err
	}
	sum := admin.Redriven{}
	for _, t := range triggers {
		n, err := do(client, t.UUID, filter)
		if sum.Records += n; err != nil {
			return err
		}
	}
	if f.json {
		return printJSON(cmd.OutOrStdout(), sum)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d records %s.\n", sum.Records, what)
	return nil
}
