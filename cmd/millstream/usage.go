package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millstreamdb/millstream/internal/nearest"
)

// usageError is a command line that is not one. The program ends with code 2, as the shell's own commands do.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// path is a command as it is typed, without the program's name.
func path(cmd *cobra.Command) string { return strings.TrimPrefix(cmd.CommandPath(), "millstream ") }

// see ends a message with where there is more.
func see(cmd *cobra.Command) string { return " (see " + cmd.CommandPath() + " --help)" }

// takes checks the number of arguments and names the ones that are missing: those in brackets may be.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > len(names) {
			if cmd.HasAvailableSubCommands() {
				return noCommand(cmd, args[len(names)])
			}
			return usagef("%s: %q is too much%s", path(cmd), args[len(names)], see(cmd))
		}
		for _, name := range names[len(args):] {
			if !strings.HasPrefix(name, "[") {
				return usagef("%s: say which %s%s", path(cmd), name, see(cmd))
			}
		}
		return nil
	}
}

// group makes a command of one that has subcommands only: it shows its help, and refuses what is none of them.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return noCommand(cmd, args[0])
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// newHelp is `millstream help COMMAND`, which refuses what is no command.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		ValidArgsFunction: func(_ *cobra.Command, words []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			if about, err := find(root, words); err == nil {
				for _, sub := range about.Commands() {
					if sub.IsAvailableCommand() {
						names = append(names, sub.Name())
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, words []string) error {
			about, err := find(root, words)
			if err != nil {
				return err
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// find goes down from a command by names.
func find(cmd *cobra.Command, names []string) (*cobra.Command, error) {
	for _, name := range names {
		i := slices.IndexFunc(cmd.Commands(), func(sub *cobra.Command) bool { return sub.Name() == name || sub.HasAlias(name) })
		if i < 0 {
			return nil, noCommand(cmd, name)
		}
		cmd = cmd.Commands()[i]
	}
	return cmd, nil
}

// noCommand says that a command has no such subcommand, and which it may have been.
func noCommand(cmd *cobra.Command, word string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(append(names, sub.Name()), sub.Aliases...)
		}
	}
	hint := nearest.Hint(word, names)
	if hint == "" {
		hint = "; there are " + strings.Join(slices.DeleteFunc(names, func(n string) bool { return n == "list" }), ", ")
	}
	if !cmd.HasParent() {
		return usagef("there is no command %s%s", word, hint)
	}
	return usagef("%s has no command %s%s", path(cmd), word, hint)
}

// flagError says in this program's words what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	see := see(cmd)
	var unknown *pflag.NotExistError
	var empty *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			return usagef("there is no flag -%s%s", name[:1], see)
		}
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		return usagef("there is no flag --%s%s%s", name, nearest.Hint("--"+name, names), see)
	case errors.As(err, &empty):
		return usagef("the flag --%s needs a value%s", empty.GetFlag().Name, see)
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		return usagef("--%s %q: want %s%s", f.Name, invalid.GetValue(), wanted(f), see)
	}
	return usagef("%s%s", err, see)
}

// wanted says what values a flag takes.
func wanted(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "bool":
		return "true or false"
	case "duration":
		return "a duration such as 30s or 2h"
	case "int", "int64", "uint64":
		return "a whole number"
	case "float64":
		return "a number"
	case "bytes":
		return "a number of bytes such as 500MB"
	}
	return "a " + f.Value.Type()
}

// needFlag refuses a command line without a flag that has to be there.
func needFlag(cmd *cobra.Command, name, example string) error {
	if cmd.Flags().Changed(name) {
		return nil
	}
	return usagef("%s: say --%s, as in --%[2]s %s", path(cmd), name, example)
}

// switches are what a flag that is on or off takes from its variable.
var switches = map[string]string{"yes": "true", "on": "true", "no": "false", "off": "false"}

// foreignVariables are the MILLSTREAM_ variables that are not of flags: of Millstream's own tests, and those that
// container platforms make for a service of that name.
var foreignVariables = []string{"BIN", "ENDPOINT", "CRASHES", "MODULES", "HISTORIES", "PLANTED_BUG", "MOVES_RUNS", "MODEL_RUNS", "TEST_CHILD", "BENCH_EMPTY_HANDLER", "SERVICE_HOST"}

// warnOfVariables names the variables of the environment that look like ones of flags and are not: what they were to
// set is not set.
func warnOfVariables(root *cobra.Command, environment []string, out io.Writer) {
	var known []string
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Annotations[noVariable] == nil && f.Name != "help" {
				known = append(known, variable(f.Name))
			}
		})
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(root)
	for _, name := range foreignVariables {
		known = append(known, "MILLSTREAM_"+name)
	}
	slices.Sort(environment)
	for _, kv := range environment {
		name, value, _ := strings.Cut(kv, "=")
		rest, ours := strings.CutPrefix(name, "MILLSTREAM_")
		if !ours || value == "" || slices.Contains(known, name) || strings.HasPrefix(rest, "SERVICE_PORT") || strings.HasPrefix(rest, "PORT") {
			continue
		}
		fmt.Fprintf(out, "WARNING: the environment variable %s sets nothing: there is no flag of that name%s\n", name, nearest.Hint(name, known))
	}
}

// environ is the environment; a variable, for tests.
var environ = os.Environ
