package examples

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// With EXAMPLES_NODES=3 an application runs on three nodes over one server's tables. The first of them is the endpoint of everything; the others
// work the streams, and the one that works one is what a test kills.
var overNodes = os.Getenv("EXAMPLES_NODES") == "3"

// nodes are those beside the one that the application calls.
type nodes struct {
	a      *app
	others []*process
	args   [][]string
	killed int // the one that is to be started again; -1: none
}

// beNode makes an application's server a node, over a server of its own, and starts two others.
func beNode(a *app, flags []string) *nodes {
	t := a.t
	if slices.Contains(flags, "--clock") {
		absent(t, "a node has no clock of its own (EXAMPLES_NODES)")
	}
	tables, dir := freeAddr(t), t.TempDir()
	primary := run(t, "the server of the tables", a.dir, a.env, a.bin, "serve", "--listen", tables, "--http-listen", freeAddr(t), "--data", filepath.Join(dir, "tables"), "--console-listen", "off")
	primary.await("serves http://")
	shared := []string{"--tables", "http://" + tables, "--key-file", filepath.Join(dir, "shared.key"), "--lease", "2s", "--checkpoint-every", "300ms", "--console-listen", "off"}
	a.args = append(a.args, shared...)
	n := &nodes{a: a, killed: -1}
	for _, name := range []string{"second", "third"} {
		args := slices.Concat([]string{"serve", "--listen", freeAddr(t), "--http-listen", freeAddr(t), "--data", filepath.Join(dir, name)}, shared)
		n.args, n.others = append(n.args, args), append(n.others, n.run(args))
	}
	return n
}

func (n *nodes) run(args []string) *process {
	p := run(n.a.t, "node "+args[2], n.a.dir, n.a.env, n.a.bin, args...)
	p.await("serves http://")
	return p
}

type nodeLine struct {
	ID, Name, State string
	Streams         []string
}

func (n *nodes) list() (all []nodeLine) {
	n.a.t.Helper()
	if err := json.Unmarshal([]byte(n.a.command("nodes", "ls", "--json")), &all); err != nil {
		n.a.t.Fatal(err)
	}
	return all
}

// spread has the streams worked by the others.
func (n *nodes) spread() {
	n.a.t.Helper()
	for _, one := range n.list() {
		if strings.HasSuffix(one.Name, n.a.endpoint[strings.LastIndex(n.a.endpoint, ":"):]) {
			n.a.command("nodes", "drain", one.ID)
		}
	}
}

// killOwner kills a node that works a stream.
func (n *nodes) killOwner() {
	n.a.t.Helper()
	await(n.a.t, "a node works a stream", func() bool {
		for _, one := range n.list() {
			for i, args := range n.args {
				if len(one.Streams) > 0 && one.State != "over" && strings.HasSuffix(one.Name, args[2][strings.LastIndex(args[2], ":"):]) {
					n.a.t.Logf("the node that works %v is killed", one.Streams)
					n.others[i].kill()
					n.killed = i
					return true
				}
			}
		}
		return false
	})
}

// startAgain starts the node that was killed.
func (n *nodes) startAgain() {
	n.a.t.Helper()
	n.others[n.killed] = n.run(n.args[n.killed])
}
