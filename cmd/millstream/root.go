package main

import (
	"cmp"
	"encoding/json"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millstreamdb/millstream/internal/admin"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "millstream",
		Short: "DynamoDB tables, streams and Lambda triggers in one program",
		Long: `Millstream serves DynamoDB tables, their streams, and Lambda functions that run
on every change, on one port, for every AWS SDK and tool.

Write an item, answer the caller at once, and let the stream do the rest.`,
		Example: `  millstream demo                  see it work, from a write to a function call
  millstream serve                 listen on 127.0.0.1:8000
  millstream dev template.yaml     run an application, and show every call
  millstream deploy template.yaml  bring up an application from its template
  millstream tail orders           watch the changes of a table
  millstream triggers ls           how far each trigger has got`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       programVersion(),
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return setFromEnvironment(cmd.Flags())
		},
	}
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(newHelp(root))
	group(root)
	root.AddCommand(newServe(), newDev(), newDeploy(), newDemo(), newTail(), newTriggers(), newTables(), newStacks(), newParked(), newShards(), newQueues(), newSchedules(), newTopics(), newNodes(), newVerify(), newConsole(), newLogs(), newSettle(), newClock(), newCredentials(), newInvoke(), newBackup(), newRestore(), newBackups(), newReplication(), newPromote(), newRejoin(), newExport(), newImport(), newCheck(), newRepair(), newBench(), newBenchServer(), newVersion())
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			group(cmd)
		}
	}
	return root
}

// variable is the environment variable that a flag can be set by.
func variable(flag string) string {
	return "MILLSTREAM_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// noVariable annotates flags that have no variable.
const noVariable = "no variable"

// setFromEnvironment gives flags that were not on the command line the value of
// their variable. They do not count as changed: what is on the command line wins.
func setFromEnvironment(flags *pflag.FlagSet) error {
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		value, ok := os.LookupEnv(variable(f.Name))
		if f.Changed || !ok || value == "" || err != nil || f.Name == "help" || f.Annotations[noVariable] != nil {
			return
		}
		if on, ok := switches[strings.ToLower(value)]; ok && f.Value.Type() == "bool" {
			value = on
		}
		if e := f.Value.Set(value); e != nil {
			err = usagef("environment variable %s=%s: want %s", variable(f.Name), value, wanted(f))
		}
	})
	return err
}

// clientFlags are what the commands share that look into a running server.
type clientFlags struct {
	endpoint, account, region string
	json, jsonl               bool
}

func (c *clientFlags) add(cmd *cobra.Command) {
	c.addEndpoint(cmd)
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON, for programs")
}

// addEndpoint adds the flag that names the server.
func (c *clientFlags) addEndpoint(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.endpoint, "endpoint", "", "address of the server (default MILLSTREAM_ENDPOINT, then AWS_ENDPOINT_URL, then "+admin.DefaultEndpoint+")")
}

// addLines adds the flag of commands that print several things: --json prints them as one array, --jsonl as a line each.
func (c *clientFlags) addLines(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.jsonl, "jsonl", false, "print JSON, one line for each")
}

// forPrograms says that JSON is to be printed, in one of the two shapes.
func (c *clientFlags) forPrograms() bool { return c.json || c.jsonl }

// refuseEndless refuses --json where what is printed has no end, and so would the array.
func (c *clientFlags) refuseEndless(cmd *cobra.Command) error {
	if c.json && !c.jsonl {
		return usagef("%s goes on and on, and --json prints one array: say --jsonl, for a line of JSON each", path(cmd))
	}
	return nil
}

// addScope adds the flags of commands that name a table or a function.
func (c *clientFlags) addScope(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.account, "account", "", "account of the name (default the server's; MILLSTREAM_ACCOUNT)")
	f.StringVar(&c.region, "region", "", "region of the name (default AWS_REGION, then the server's; MILLSTREAM_REGION)")
}

// scope is the account and the region that the flags, the environment or else the server names.
func (c *clientFlags) scope(status admin.Status) (account, region string) {
	return cmp.Or(c.account, status.Account), cmp.Or(c.region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), status.Region)
}

// client connects to the server that the flags name.
func (c *clientFlags) client() (*admin.Client, error) {
	region := c.region
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if region == "" {
			region = os.Getenv(name)
		}
	}
	return admin.New(admin.Options{Endpoint: c.endpoint, Account: c.account, Region: region})
}

// printList prints things for programs: as one list, or a line for each.
func printList[T any](w io.Writer, flags *clientFlags, all []T) error {
	if !flags.jsonl {
		if all == nil {
			all = []T{}
		}
		return printJSON(w, all)
	}
	for i := range all {
		if err := printJSON(w, all[i]); err != nil {
			return err
		}
	}
	return nil
}

// listPrinter prints things for programs as they come, in the shapes of printList.
type listPrinter struct {
	w     io.Writer
	lines bool
	n     int
}

func (l *listPrinter) print(v any) error {
	before := ","
	if l.n++; l.n == 1 {
		before = "["
	}
	if !l.lines {
		if _, err := io.WriteString(l.w, before); err != nil {
			return err
		}
	}
	return printJSON(l.w, v)
}

func (l *listPrinter) end() error {
	text := "]\n"
	switch {
	case l.lines:
		return nil
	case l.n == 0:
		text = "[]\n"
	}
	_, err := io.WriteString(l.w, text)
	return err
}

// printJSON prints v as one line.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
