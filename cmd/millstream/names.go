package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/nearest"
	"github.com/millstreamdb/millstream/internal/template"
)

// findTrigger finds the trigger that a person means: by its UUID, its function's name, TABLE/FUNCTION, or a beginning of one
// of these that no other trigger has.
func findTrigger(ctx context.Context, client *admin.Client, word string) (admin.Trigger, error) {
	all, err := client.Triggers(ctx)
	if err != nil {
		return admin.Trigger{}, err
	}
	return chooseTrigger(all, word)
}

// triggerID is the UUID of the trigger that a person means.
func triggerID(ctx context.Context, client *admin.Client, word string) (string, error) {
	t, err := findTrigger(ctx, client, word)
	return t.UUID, err
}

func chooseTrigger(all []admin.Trigger, word string) (admin.Trigger, error) {
	for _, matches := range []func(name string) bool{
		func(name string) bool { return name == word },
		func(name string) bool { return word != "" && strings.HasPrefix(name, word) },
	} {
		var found []admin.Trigger
		for _, t := range all {
			if slices.ContainsFunc(triggerNames(t), matches) {
				found = append(found, t)
			}
		}
		switch len(found) {
		case 0:
			continue
		case 1:
			return found[0], nil
		}
		var names []string
		for _, t := range found {
			names = append(names, fmt.Sprintf("\n  %s  %s/%s", t.UUID, t.Source(), t.Function))
		}
		return admin.Trigger{}, fmt.Errorf("%s may be one of these triggers, say which:%s", word, strings.Join(names, ""))
	}
	var names []string
	for _, t := range all {
		names = append(names, t.Function, t.Source()+"/"+t.Function)
	}
	hint := nearest.Hint(word, names)
	if hint == "" {
		hint = "; `millstream triggers ls` lists them"
	}
	return admin.Trigger{}, fmt.Errorf("there is no trigger %s%s", word, hint)
}

// triggerNames are what a trigger may be called.
func triggerNames(t admin.Trigger) []string {
	return []string{t.UUID, t.Function, t.Source() + "/" + t.Function}
}

// completion lists the names of a kind of thing, for the shell.
type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// completeFirst completes the first argument of a command.
func completeFirst(flags *clientFlags, list func(context.Context, *clientFlags) ([]string, error)) completion {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, flags, list, typed)
	}
}

func complete(cmd *cobra.Command, flags *clientFlags, list func(context.Context, *clientFlags) ([]string, error), typed string) ([]string, cobra.ShellCompDirective) {
	if setFromEnvironment(cmd.Flags()) != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names, err := list(cmd.Context(), flags)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, typed) })
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}

// triggerWords are functions' names where one has one trigger, and TABLE/FUNCTION otherwise.
func triggerWords(ctx context.Context, flags *clientFlags) (words []string, err error) {
	client, err := flags.client()
	if err != nil {
		return nil, err
	}
	all, err := client.Triggers(ctx)
	for _, t := range all {
		if n := slices.IndexFunc(all, func(x admin.Trigger) bool { return x.Function == t.Function && x.UUID != t.UUID }); n >= 0 {
			words = append(words, t.Source()+"/"+t.Function)
		} else {
			words = append(words, t.Function)
		}
	}
	return words, err
}

// awsClients are clients of AWS's protocols for what the flags name.
func (c *clientFlags) awsClients(ctx context.Context) (*template.Target, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	if err := notBySocket(client); err != nil {
		return nil, err
	}
	status, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	account, region := c.scope(status)
	config := aws.Config{Region: region, Credentials: signerFor(status, account)}
	return template.NewTarget(config, template.Endpoints{Main: client.Endpoint()}), nil
}

func tableWords(ctx context.Context, flags *clientFlags) (names []string, err error) {
	target, err := flags.awsClients(ctx)
	if err != nil {
		return nil, err
	}
	for pages := dynamodb.NewListTablesPaginator(target.Tables, &dynamodb.ListTablesInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		names = append(names, page.TableNames...)
	}
	return names, nil
}

func functionWords(ctx context.Context, flags *clientFlags) (names []string, err error) {
	target, err := flags.awsClients(ctx)
	if err != nil {
		return nil, err
	}
	for pages := lambda.NewListFunctionsPaginator(target.Functions, &lambda.ListFunctionsInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, f := range page.Functions {
			names = append(names, aws.ToString(f.FunctionName))
		}
	}
	return names, nil
}
