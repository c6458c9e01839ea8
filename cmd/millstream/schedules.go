package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/arn"
)

func newSchedules() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedules",
		Short: "Show schedules, and when each starts next",
		Long: `The rules of EventBridge with a schedule, and the schedules of EventBridge Scheduler,
that the server has. They are made and changed with any AWS SDK or tool, or by a
template.`,
	}
	cmd.AddCommand(newSchedulesList())
	return group(cmd)
}

func newSchedulesList() *cobra.Command {
	return listsQueues(&cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List schedules, with their next and latest starts", Args: takes(),
	}, func(cmd *cobra.Command, flags *clientFlags, client *admin.Client, _ []string) error {
		all, err := client.Schedules(cmd.Context())
		if err != nil {
			return err
		}
		if flags.forPrograms() {
			return printList(cmd.OutOrStdout(), flags, all)
		}
		at := func(t *time.Time) string {
			if t == nil {
				return "-"
			}
			return t.Local().Format(time.DateTime)
		}
		w := newColumns(cmd.OutOrStdout())
		fmt.Fprintln(w, "SCHEDULE\tEXPRESSION\tNEXT\tLATEST\tTARGETS")
		for _, s := range all {
			name, expression, next := s.Name, s.Expression, at(s.Next)
			if s.Group != "" && s.Group != "default" {
				name = s.Group + "/" + name
			}
			if s.Timezone != "" && s.Timezone != "UTC" {
				expression += " " + s.Timezone
			}
			if !s.Enabled {
				next = "disabled"
			}
			var targets []string
			for _, t := range s.Targets {
				a, _ := arn.Parse(t)
				targets = append(targets, strings.TrimPrefix(a.Resource, "function:"))
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", name, expression, next, at(s.Last), strings.Join(targets, ", "))
		}
		return w.Flush()
	})
}
