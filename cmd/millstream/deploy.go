package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/template"
)

// templateFlags are what commands share that deploy a template.
type templateFlags struct {
	stack      string
	parameters []string
	skip       bool // what Millstream has none of is left out

	// ask, unless nil, is asked once whether to leave that out.
	ask func(*template.Problems) bool
	// check, unless nil, may refuse a plan before anything is touched.
	check func(context.Context, *template.Plan) error
}

func (t *templateFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&t.stack, "stack", "", "begins the names that the template leaves open (default: the name of its folder)")
	f.StringArrayVar(&t.parameters, "parameter", nil, "KEY=VALUE of one of the template's parameters (repeatable)")
	f.BoolVar(&t.skip, "skip-unsupported", false, "leave out what Millstream has none of, such as buses and state machines, and say what that means")
}

// options reads the flags.
func (t *templateFlags) options() (template.Options, error) {
	o := template.Options{Stack: t.stack, Parameters: map[string]string{}, SkipUnsupported: t.skip}
	for _, p := range t.parameters {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return o, fmt.Errorf("--parameter %q: want KEY=VALUE", p)
		}
		o.Parameters[name] = value
	}
	return o, nil
}

func newDeploy() *cobra.Command {
	var client clientFlags
	var flags templateFlags
	cmd := &cobra.Command{
		Use:   "deploy TEMPLATE",
		Short: "Deploy an AWS SAM or CloudFormation template to a running server",
		Long: `Deploy an AWS SAM or CloudFormation template to a running server: its tables,
functions, event source mappings, function URLs and HTTP APIs, and queues and topics
where AWS_ENDPOINT_URL_SQS and AWS_ENDPOINT_URL_SNS name servers of them.

What a template holds that is not supported is listed by name and line before
anything is touched. With --skip-unsupported, what AWS has and Millstream has none of
is left out: names of it are made up, and events that will not fire are listed. Deployed again, only what differs is changed; what the template
no longer names stays. Roles and policies are accepted and not looked at.`,
		Example: `  millstream deploy template.yaml
  millstream deploy template.yaml --parameter Stage=dev --endpoint http://127.0.0.1:9000`,
		Args: takes("TEMPLATE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := template.Read(args[0])
			if err != nil {
				return err
			}
			front, err := client.client()
			if err != nil {
				return err
			}
			status, err := front.Status(cmd.Context())
			if err != nil {
				return err
			}
			account, region := client.scope(status)
			if front, err = admin.New(admin.Options{Endpoint: client.endpoint, Account: account, Region: region}); err != nil {
				return err
			}
			return deploy(cmd.Context(), cmd.OutOrStdout(), t, flags, front, account, region, false)
		},
	}
	client.add(cmd)
	client.addScope(cmd)
	flags.add(cmd)
	return cmd
}

// deploy deploys a template to the server of a client and prints what came of it; again: only what has changed.
func deploy(ctx context.Context, out io.Writer, t *template.Template, flags templateFlags, front *admin.Client, account, region string, again bool) error {
	o, err := flags.options()
	if err != nil {
		return err
	}
	// The account is the access key's, where that is a number.
	config := aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider(account, "millstream", "")}
	target := template.NewTarget(config, template.Endpoints{
		Main: front.Endpoint(), SQS: os.Getenv("AWS_ENDPOINT_URL_SQS"), SNS: os.Getenv("AWS_ENDPOINT_URL_SNS"),
	})
	target.Front = front
	if err := target.Fill(ctx, &o); err != nil {
		return err
	}
	plan, err := planOrAsk(t, &o, &flags)
	if err != nil {
		return err
	}
	if !again {
		printLeft(out, t, plan)
	}
	if flags.check != nil {
		if err := flags.check(ctx, plan); err != nil {
			return err
		}
	}
	if left := plan.LeftOut(); len(left) > 0 && !again {
		fmt.Fprintf(out, "Makes no difference here: %s\n", strings.Join(left, ", "))
	}
	result, err := plan.Deploy(ctx, target, func(c template.Change) {
		if !again || c.Action != template.Unchanged {
			printDeployed(out, c)
		}
	})
	if err != nil || again {
		return err
	}
	printResult(out, result)
	fmt.Fprintf(out, "\nDeployed %s: %s\n", t.Path, summary(result.Changes))
	return nil
}

// planOrAsk makes the plan of a template. What Millstream has none of is left out when the flags, or who is asked, say so.
func planOrAsk(t *template.Template, o *template.Options, flags *templateFlags) (*template.Plan, error) {
	plan, err := t.Plan(*o)
	var problems *template.Problems
	if !errors.As(err, &problems) || problems.Lacking() == 0 {
		return plan, err
	}
	if problems.Skippable() && flags.ask != nil && flags.ask(problems) {
		o.SkipUnsupported = true
		return t.Plan(*o)
	}
	return nil, &lackingError{problems}
}

// lackingError is about a template that asks for what Millstream has none of.
type lackingError struct{ problems *template.Problems }

func (e *lackingError) Unwrap() error { return e.problems }

func (e *lackingError) Error() string {
	n := e.problems.Lacking()
	what := "--skip-unsupported leaves them out"
	switch {
	case !e.problems.Skippable():
		what = fmt.Sprintf("--skip-unsupported leaves out %d of these", n)
	case n == 1:
		what = "--skip-unsupported leaves it out"
	}
	return e.problems.Error() + "\n" + what + ", and says what that means."
}

// printLeft says what of a template is not as it is written.
func printLeft(out io.Writer, t *template.Template, plan *template.Plan) {
	for _, w := range t.Warnings {
		fmt.Fprintf(out, "Note: %s:%d: %s.\n", t.Path, w.Line, w.Text)
	}
	left := plan.Unsupported()
	if len(left) == 0 {
		return
	}
	fmt.Fprintln(out, "Left out, since Millstream has none of it:")
	for _, l := range left {
		effect := ""
		if l.Effect != "" {
			effect = ": " + l.Effect
		}
		fmt.Fprintf(out, "  line %d: %s%s\n", l.Line, l.What, effect)
	}
}

// summary counts what was done.
func summary(changes []template.Change) string {
	count := map[template.Action]int{}
	for _, c := range changes {
		count[c.Action]++
	}
	var parts []string
	for _, a := range []template.Action{template.Created, template.Updated, template.Unchanged} {
		if count[a] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[a], a))
		}
	}
	return strings.Join(parts, ", ")
}

func printDeployed(out io.Writer, c template.Change) {
	detail := ""
	if c.Detail != "" {
		detail = " (" + c.Detail + ")"
	}
	fmt.Fprintf(out, "  %-9s  %s  %s%s\n", c.Action, c.ID, c.Name, detail)
}

func printResult(out io.Writer, r *template.Result) {
	for _, api := range r.APIs {
		fmt.Fprintf(out, "\nRoutes at %s\n", api.URL)
		for _, route := range api.Routes {
			fmt.Fprintf(out, "  %-7s %-30s %s\n", route.Method, route.Path, route.Function)
		}
	}
	if len(r.Outputs) > 0 {
		fmt.Fprintln(out, "\nOutputs")
		width := 0
		for _, o := range r.Outputs {
			width = max(width, len(o.Name))
		}
		for _, o := range r.Outputs {
			fmt.Fprintf(out, "  %-*s  %s\n", width, o.Name, o.Value)
		}
	}
	for _, note := range r.Notes {
		fmt.Fprintf(out, "\nNote: %s.\n", note)
	}
}
