package main

import (
	"encoding/json"
	"fmt"
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
		Example: `  millstream demo                   see it work, from a write to a function call
  millstream serve                  serve http://127.0.0.1:8000 from ./millstream-data
  millstream dev template.yaml      run an application, reloaded as you save, every call shown
  millstream deploy template.yaml   bring up an application from its SAM template
  millstream tail orders            watch the changes of a table
  millstream triggers ls            how far each trigger has got`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return setFromEnvironment(cmd.Flags())
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())
	})
	root.AddCommand(newServe(), newDev(), newDeploy(), newDemo(), newTail(), newTriggers(), newParked(), newShards(), newLogs(), newSettle(), newClock(), newInvoke(), newBench(), newBenchServer(), newVersion())
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
		if e := f.Value.Set(value); e != nil {
			err = fmt.Errorf("environment variable %s: %w", variable(f.Name), e)
		}
	})
	return err
}

// clientFlags are what the commands share that look into a running server.
type clientFlags struct {
	endpoint, account, region string
	json                      bool
}

func (c *clientFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.endpoint, "endpoint", admin.DefaultEndpoint, "address of the server (MILLSTREAM_ENDPOINT)")
	f.BoolVar(&c.json, "json", false, "print JSON, for programs")
}

// addScope adds the flags of commands that name a table or a function.
func (c *clientFlags) addScope(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.account, "account", "", "account of the name (default the server's; MILLSTREAM_ACCOUNT)")
	f.StringVar(&c.region, "region", "", "region of the name (default AWS_REGION, then the server's; MILLSTREAM_REGION)")
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

// printJSON prints v as one line.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
