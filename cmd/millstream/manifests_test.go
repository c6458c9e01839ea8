package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

type object map[string]any

// at is what a path of names and numbers leads to; nil: nothing.
func (o object) at(path ...any) any {
	var v any = map[string]any(o)
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func words(t *testing.T, v any) (all []string) {
	t.Helper()
	list, is := v.([]any)
	for _, w := range list {
		text, isText := w.(string)
		is = is && isText
		all = append(all, text)
	}
	if !is || len(all) == 0 {
		t.Errorf("%v is no list of words", v)
	}
	return all
}

// checkArgs wants arguments that serve takes, and returns its flags.
func checkArgs(t *testing.T, args []string) map[string]string {
	t.Helper()
	if len(args) == 0 || args[0] != "serve" {
		t.Errorf("%q does not serve", args)
		return nil
	}
	cmd := newServe()
	if err := cmd.ParseFlags(args[1:]); err != nil {
		t.Errorf("%q: %v", args, err)
	}
	if rest := cmd.Flags().Args(); len(rest) > 0 {
		t.Errorf("%q has %q besides flags", args, rest)
	}
	set := map[string]string{}
	for _, name := range []string{"listen", "tables", "advertise", "drain", "key-file", "insecure-listen", "allowed-host"} {
		set[name] = cmd.Flags().Lookup(name).Value.String()
	}
	if set["listen"] != "0.0.0.0:8000" || set["insecure-listen"] != "true" {
		t.Errorf("%q is not reached from outside its container", args)
	}
	return set
}

// The manifests for Kubernetes start what serve takes, and their parts name each other.
func TestKubernetesManifests(t *testing.T) {
	text, err := os.ReadFile("../../docs/operators/nodes.kubernetes.yml")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]object{}
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var o map[string]any
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name, _ := object(o).at("metadata", "name").(string)
		kind, _ := object(o).at("kind").(string)
		found[kind+" "+name] = o
	}
	for _, want := range []string{"Service millstream-tables", "StatefulSet millstream-tables", "Service millstream-nodes", "Deployment millstream-nodes", "PodDisruptionBudget millstream-nodes", "NetworkPolicy millstream"} {
		if found[want] == nil {
			t.Errorf("there is no %s", want)
		}
	}
	nodes, tables := found["Deployment millstream-nodes"], found["StatefulSet millstream-tables"]
	for name, o := range map[string]object{"millstream-nodes": nodes, "millstream-tables": tables} {
		for what, v := range map[string]any{
			"its pods": o.at("spec", "template", "metadata", "labels", "app"), "its selector": o.at("spec", "selector", "matchLabels", "app"),
			"its service": found["Service "+name].at("spec", "selector", "app"),
		} {
			if v != name {
				t.Errorf("%s: %s has the label %v", name, what, v)
			}
		}
		var container object
		container, _ = o.at("spec", "template", "spec", "containers", 0).(map[string]any)
		for _, probe := range []string{"readinessProbe", "livenessProbe"} {
			if container.at(probe, "httpGet", "path") != "/healthz" || container.at(probe, "httpGet", "port") != 8000 {
				t.Errorf("%s: the %s is %v", name, probe, container.at(probe))
			}
		}
		flags := checkArgs(t, words(t, container.at("args")))
		if !strings.Contains(flags["allowed-host"], "millstream-nodes") {
			t.Errorf("%s does not answer to the name by which clients call nodes", name)
		}
		grace, _ := o.at("spec", "template", "spec", "terminationGracePeriodSeconds").(int)
		if drain, err := time.ParseDuration(flags["drain"]); err != nil || time.Duration(grace)*time.Second < drain+20*time.Second {
			t.Errorf("%s is killed after %d seconds, and hands over for %s: %v", name, grace, flags["drain"], err)
		}
		if name == "millstream-nodes" && (flags["tables"] != "http://millstream-tables:8000" || flags["key-file"] == "" || !strings.Contains(flags["advertise"], "$(POD_IP)") || container.at("env", 0, "name") != "POD_IP") {
			t.Errorf("nodes are started with %v", flags)
		}
	}
	if found["PodDisruptionBudget millstream-nodes"].at("spec", "selector", "matchLabels", "app") != "millstream-nodes" {
		t.Error("the budget is of other pods")
	}
}

// So does the file for compose.
func TestComposeFile(t *testing.T) {
	text, err := os.ReadFile("../../docs/operators/nodes.compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	o := object(all)
	tables, node := checkArgs(t, words(t, o.at("services", "tables", "command"))), checkArgs(t, words(t, o.at("services", "node", "command")))
	if node["tables"] != "http://tables:8000" || !strings.Contains(tables["allowed-host"], "node") || !slices.Contains(words(t, o.at("services", "node", "depends_on")), "tables") {
		t.Errorf("the services are started with %v and %v", tables, node)
	}
}
