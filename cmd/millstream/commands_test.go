package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write docs/commands.md anew")

// TestCommandsPage holds docs/commands.md against the program: "go test -run TestCommandsPage ./cmd/millstream -update"
// writes it.
func TestCommandsPage(t *testing.T) {
	const path = "../../docs/commands.md"
	var page strings.Builder
	page.WriteString("# Commands\n\nGenerated from the program by `go test -run TestCommandsPage ./cmd/millstream -update`; a test fails when it is not current.\n" +
		"`millstream COMMAND --help` prints the same.\n")
	root := newRoot()
	writeFlags(&page, "Flags of every command", root.PersistentFlags())
	writeCommands(&page, root)
	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != page.String() {
		t.Errorf("%s is not current: go test -run TestCommandsPage ./cmd/millstream -update", path)
	}
}

// What lists things prints JSON in both shapes.
func TestListsHaveBothShapes(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if json := c.Flags().Lookup("json") != nil; c.Name() == "ls" && (!json || c.Flags().Lookup("jsonl") == nil) {
			t.Errorf("%s has not both --json and --jsonl", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(newRoot())
}

// The first help fits a terminal of 80 characters.
func TestHelpFitsTheTerminal(t *testing.T) {
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs([]string{"--help"})
	root.SetOut(&out)
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 81 {
			t.Errorf("%d characters: %s", len(line)-1, line)
		}
	}
}

func writeCommands(page *strings.Builder, parent *cobra.Command) {
	for _, c := range parent.Commands() {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		if c.Runnable() {
			text := c.Long
			if text == "" {
				text = c.Short
			}
			fmt.Fprintf(page, "\n## %s\n\n    %s\n\n%s\n", strings.TrimPrefix(c.CommandPath(), "millstream "), c.UseLine(), strings.TrimSpace(text))
			writeFlags(page, "", c.LocalNonPersistentFlags())
		}
		writeCommands(page, c)
	}
}

func writeFlags(page *strings.Builder, title string, flags *pflag.FlagSet) {
	var rows strings.Builder
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value := f.DefValue
		if value == "[]" || value == "false" || value == "0s" {
			value = ""
		}
		if value != "" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&rows, "| `--%s` | %s | %s |\n", f.Name, value, strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
	if rows.Len() == 0 {
		return
	}
	if title != "" {
		fmt.Fprintf(page, "\n## %s\n", title)
	}
	fmt.Fprintf(page, "\n| flag | default | |\n|---|---|---|\n%s", rows.String())
}
