package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/bundle"
	"github.com/millstreamdb/millstream/internal/template"
)

// templateFlags are what commands share that deploy a template.
type templateFlags struct {
	stack      string
	parameters []string
	skip       bool // what Millstream has none of is left out
	prune      bool // what the template no longer names is removed

	// ask, unless nil, is asked once whether to leave that out.
	ask func(*template.Problems) bool
	// bundler, unless nil, builds from TypeScript again and again.
	bundler *bundle.Builder
	// check, unless nil, may refuse a plan before anything is touched.
	check func(context.Context, *template.Plan) error
	// credentials, unless nil, sign in the place of the environment's.
	credentials aws.CredentialsProvider
}

func (t *templateFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&t.stack, "stack", "", "begins the names that the template leaves open (default: the name of its folder)")
	f.StringArrayVar(&t.parameters, "parameter", nil, "KEY=VALUE of one of the template's parameters (repeatable)")
	f.BoolVar(&t.prune, "prune", false, "remove what earlier deployments of the stack made and the template no longer names, with its data, unless its DeletionPolicy keeps it")
	f.BoolVar(&t.skip, "skip-unsupported", false, "leave out what Millstream has none of, such as buses and state machines, and say what that means")
}

// options reads the flags.
func (t *templateFlags) options() (template.Options, error) {
	o := template.Options{Stack: t.stack, Parameters: map[string]string{}, SkipUnsupported: t.skip, Bundler: t.bundler}
	for _, p := range t.parameters {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return o, usagef("--parameter %q: want KEY=VALUE", p)
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
		Short: "Deploy a template, or what the CDK has written, to a server",
		Long: `Deploy an AWS SAM or CloudFormation template, or the folder that the CDK or the
Serverless Framework has written, to a running server: its tables,
functions, event source mappings, function URLs and HTTP APIs, queues and topics.
Queues and topics may be elsewhere, by AWS_ENDPOINT_URL_SQS and AWS_ENDPOINT_URL_SNS.

What a template holds that is not supported is listed by name and line before
anything is touched. With --skip-unsupported, what AWS has and Millstream has none of
is left out: names of it are made up, and events that will not fire are listed. Deployed again, only what differs is changed; what the template
no longer names stays, or with --prune is removed, if a deployment of this stack has made it. What will be replaced or removed is said before it is done. Roles and policies are accepted and not looked at. Functions in Go and TypeScript are built first; types are not checked.`,
		Example: `  millstream deploy template.yaml
  millstream deploy template.yaml --parameter Stage=dev --endpoint http://127.0.0.1:9000
  millstream deploy cdk.out            # what cdk synth has written: every stack, in its order
  millstream deploy .serverless        # what serverless package has written`,
		Args: takes("TEMPLATE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := flags.options(); err != nil {
				return err
			}
			apps, err := template.ReadAll(args[0])
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
			return deploy(cmd.Context(), cmd.OutOrStdout(), apps, flags, front, account, region, false)
		},
	}
	client.add(cmd)
	client.addScope(cmd)
	flags.add(cmd)
	return cmd
}

// deploy deploys templates, one after the other, to the server of a client and prints what came of it; again: only what
// has changed. All are planned before the first is deployed.
func deploy(ctx context.Context, out io.Writer, apps []*template.Template, flags templateFlags, front *admin.Client, account, region string, again bool) error {
	o, err := flags.options()
	if err != nil {
		return err
	}
	if o.Stack != "" && len(apps) > 1 {
		return usagef("--stack names one stack, and there are %d, which have names of their own", len(apps))
	}
	// The account is the access key's, where that is a number.
	config := aws.Config{Region: region, Credentials: flags.credentials}
	if config.Credentials == nil {
		if config.Credentials, err = signer(ctx, front, account); err != nil {
			return err
		}
	}
	target := template.NewTarget(config, template.Endpoints{
		Main: front.Endpoint(), SQS: os.Getenv("AWS_ENDPOINT_URL_SQS"), SNS: os.Getenv("AWS_ENDPOINT_URL_SNS"),
	})
	target.Front = front
	if err := target.Fill(ctx, &o); err != nil {
		return err
	}
	exports := map[string]string{} // those of the stacks before, likely ones until they are there
	o.Export = func(name string) (string, bool) {
		v, ok := exports[name]
		return v, ok
	}
	var plans []*template.Plan
	for _, t := range apps {
		one := o
		if one.Parameters, err = parametersOf(t, apps, o.Parameters); err != nil {
			return err
		}
		plan, err := planOrAsk(t, &one, &flags)
		if err != nil {
			return err
		}
		maps.Copy(exports, plan.Exports())
		plans = append(plans, plan)
	}
	for _, plan := range plans {
		if flags.check != nil {
			if err := flags.check(ctx, plan); err != nil {
				return err
			}
		}
	}
	for i, plan := range plans {
		if err := deployOne(ctx, out, apps[i], plan, target, exports, flags.prune, again, len(plans) > 1); err != nil {
			return err
		}
	}
	return nil
}

// parametersOf are those of the parameters given that a template has. One that no template has is left for the template to
// complain of.
func parametersOf(t *template.Template, apps []*template.Template, given map[string]string) (map[string]string, error) {
	if len(apps) == 1 {
		return given, nil
	}
	own := map[string]string{}
	for name, value := range given {
		if t.Has(name) {
			own[name] = value
		} else if !slices.ContainsFunc(apps, func(o *template.Template) bool { return o.Has(name) }) {
			return nil, usagef("--parameter %s: none of the %d stacks has such a parameter", name, len(apps))
		}
	}
	return own, nil
}

func deployOne(ctx context.Context, out io.Writer, t *template.Template, plan *template.Plan, target *template.Target, exports map[string]string, prune, again, several bool) error {
	release, err := target.Front.HoldDeployment(ctx, plan.Stack(), func() {
		fmt.Fprintf(out, "The stack %s is being deployed by somebody else: waiting until that has ended.\n", plan.Stack())
	})
	if err != nil {
		return err
	}
	defer release()
	if !again {
		if several {
			fmt.Fprintf(out, "\nStack %s\n", plan.Stack())
		}
		printLeft(out, t, plan)
		printBundled(out, plan)
		if left := plan.LeftOut(); len(left) > 0 {
			fmt.Fprintf(out, "Makes no difference here: %s\n", strings.Join(left, ", "))
		}
	}
	result, err := plan.DeployKept(ctx, target, prune, func(all []template.Leaving) { printLeaving(out, all, again) }, func(c template.Change) {
		if !again || c.Action != template.Unchanged {
			printDeployed(out, c)
		}
	})
	if err != nil {
		return err
	}
	for _, o := range result.Outputs {
		if o.Export != "" {
			exports[o.Export] = o.Value
		}
	}
	if again {
		return nil
	}
	printResult(out, result)
	fmt.Fprintf(out, "\nDeployed %s: %s\n", t.Path, summary(result.Changes))
	return nil
}

// printLeaving says what will be replaced or removed, before it is. again: only what is news in a loop of deployments.
func printLeaving(out io.Writer, all []template.Leaving, again bool) {
	for _, l := range all {
		what := fmt.Sprintf("%s (%s) %s", l.ID, l.Type, l.Ref)
		switch {
		case l.By != "" && l.Stays:
			fmt.Fprintf(out, "Will be replaced by %s: %s, which stays\n", l.By, what)
		case l.By != "":
			fmt.Fprintf(out, "Will be replaced by %s, and removed with what it holds: %s\n", l.By, what)
		case !l.Stays:
			fmt.Fprintf(out, "Will be removed with what it holds: %s\n", what)
		case !again:
			fmt.Fprintf(out, "Not in the template any more, and stays: %s\n", what)
		}
	}
}

// printBundled says which functions are built here, and what that does not do.
func printBundled(out io.Writer, plan *template.Plan) {
	var names []string
	for _, f := range plan.Functions() {
		if f.Bundled {
			names = append(names, f.ID)
		}
	}
	if len(names) > 0 {
		fmt.Fprintf(out, "Built by esbuild, without a look at types (tsc --noEmit checks them): %s\n", strings.Join(names, ", "))
	}
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
	for _, a := range []template.Action{template.Created, template.Updated, template.Unchanged, template.Removed, template.Retained} {
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

// functionOf is a function's name, with its alias, in its ARN.
func functionOf(name string) string {
	if _, after, ok := strings.Cut(name, ":function:"); ok {
		return after
	}
	return name
}

func printResult(out io.Writer, r *template.Result) {
	for _, api := range r.APIs {
		fmt.Fprintf(out, "\nRoutes at %s\n", api.URL)
		for _, route := range api.Routes {
			fmt.Fprintf(out, "  %-7s %-30s %s\n", route.Method, route.Path, functionOf(route.Function))
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
