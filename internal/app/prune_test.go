package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/template"
)

// deployer deploys templates as millstream deploy does, and notes what it is told.
type deployer struct {
	*formation
	stack  string
	ctx    context.Context // unless nil, ends its deployments
	leaves []string        // what was said before anything was touched
	done   []string
}

func (d *deployer) deploy(tpl string, prune bool) error {
	d.Helper()
	d.leaves, d.done = nil, nil
	t, err := template.New("template.yaml", []byte(tpl))
	if err != nil {
		d.Fatal(err)
	}
	target, err := d.app.target(d.app.scope)
	if err != nil {
		d.Fatal(err)
	}
	o := template.Options{Stack: d.stack}
	if err := target.Fill(d.Context(), &o); err != nil {
		d.Fatal(err)
	}
	p, err := t.Plan(o)
	if err != nil {
		d.Fatal(err)
	}
	ctx := d.ctx
	if ctx == nil {
		ctx = d.Context()
	}
	_, err = p.DeployKept(ctx, target, prune, func(all []template.Leaving) {
		for _, l := range all {
			d.leaves = append(d.leaves, fmt.Sprint(l.ID, " ", l.Ref, " by ", l.By, " stays ", l.Stays))
		}
	}, func(c template.Change) {
		if c.Action != template.Unchanged {
			d.done = append(d.done, fmt.Sprint(c.Action, " ", c.ID))
		}
	})
	return err
}

// well is deploy for what must succeed, with what is to be said, done, and there afterwards.
func (d *deployer) well(tpl string, prune bool, leaves, done, tables string) {
	d.Helper()
	if err := d.deploy(tpl, prune); err != nil {
		d.Fatal(err)
	}
	if got := strings.Join(d.leaves, "; "); got != leaves {
		d.Errorf("before, it says %q, not %q", got, leaves)
	}
	if got := strings.Join(d.done, "; "); got != done {
		d.Errorf("it has %q, not %q", got, done)
	}
	if got := d.tables(); got != `{"TableNames":[`+tables+`]}` {
		d.Errorf("there are %s", got)
	}
}

// What a template no longer names is removed when that is asked for: what the stack has made, with its
// policies kept, and nothing else.
func TestDeployPrunes(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	d := &deployer{formation: &formation{t, a}, stack: "shop"}
	d.makeTable("theirs")
	d.makeTable("shop-Found")
	queue := "  Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: jobs}}\n"
	first := more(oneTable, tableOf("Second", "")+tableOf("Found", "")+tableOf("Kept", "DeletionPolicy: Retain,")+queue)
	d.well(first, false, "", "created Second; created Kept; created Q; created Orders", `"shop-Found","shop-Kept","shop-Orders","shop-Second","theirs"`)
	d.well(first, true, "", "", `"shop-Found","shop-Kept","shop-Orders","shop-Second","theirs"`)
	// Without the flag everything stays, and is removed by a later run with it.
	const leaves = "Second shop-Second by  stays %v; Kept shop-Kept by  stays true; Q http://"
	for _, prune := range []bool{false, true} {
		if err := d.deploy(oneTable, prune); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(d.leaves, "; "); !strings.HasPrefix(got, fmt.Sprintf(leaves, !prune)) {
			t.Errorf("before, it says %q", got)
		}
		tables := `"shop-Found","shop-Kept","shop-Orders","shop-Second","theirs"`
		if prune {
			tables = `"shop-Found","shop-Kept","shop-Orders","theirs"`
		}
		if got := d.tables(); got != `{"TableNames":[`+tables+`]}` {
			t.Errorf("there are %s", got)
		}
	}
	if got := strings.Join(d.done, "; "); got != "removed Q; retained Kept; removed Second" {
		t.Errorf("it has %s", got)
	}
	if _, body := d.call("sqs", "AmazonSQS.ListQueues", `{}`); strings.Contains(body, "jobs") {
		t.Errorf("the queues are %s", body)
	}
	d.well(oneTable, true, "", "", `"shop-Found","shop-Kept","shop-Orders","theirs"`)
	// Another stack removes nothing of this one, and a table that it finds is not its own.
	other := &deployer{formation: d.formation, stack: "other"}
	rest := "Resources:\n" + tableOf("Own", "")
	other.well("Resources:\n"+named("Orders", "shop-Orders", "")+tableOf("Own", ""), true, "", "created Own", `"other-Own","shop-Found","shop-Kept","shop-Orders","theirs"`)
	other.well(rest, true, "", "", `"other-Own","shop-Found","shop-Kept","shop-Orders","theirs"`)
}

// What another stack has made since, or names in its template, is not removed, though this one made it once.
func TestPruneLeavesWhatOthersHave(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	one, two := &deployer{formation: f, stack: "one"}, &deployer{formation: f, stack: "two"}
	moved, own := named("Moved", "moved", ""), tableOf("Own", "")
	one.well("Resources:\n"+moved+own, false, "", "created Moved; created Own", `"moved","one-Own"`)
	// The other finds it: it stays until neither names it, and goes by who made it.
	two.well("Resources:\n"+moved+own, true, "", "created Own", `"moved","one-Own","two-Own"`)
	one.well("Resources:\n"+own, true, "", "", `"moved","one-Own","two-Own"`)
	two.well("Resources:\n"+own, true, "", "", `"moved","one-Own","two-Own"`)
	one.well("Resources:\n"+own, true, "Moved moved by  stays false", "removed Moved", `"one-Own","two-Own"`)

	// The other makes it anew, after somebody has removed it.
	made := named("Made", "made", "")
	one.well("Resources:\n"+made+own, true, "", "created Made", `"made","one-Own","two-Own"`)
	if status, body := f.call("dynamodb", "DynamoDB_20120810.DeleteTable", `{"TableName":"made"}`); status != 200 {
		t.Fatal(status, body)
	}
	two.well("Resources:\n"+made+own, true, "", "created Made", `"made","one-Own","two-Own"`)
	one.well("Resources:\n"+own, true, "", "", `"made","one-Own","two-Own"`)

	// And so does one of CloudFormation's.
	one.well("Resources:\n"+named("Formed", "formed", "")+own, false, "", "created Formed", `"formed","made","one-Own","two-Own"`)
	if status, body := f.call("dynamodb", "DynamoDB_20120810.DeleteTable", `{"TableName":"formed"}`); status != 200 {
		t.Fatal(status, body)
	}
	f.made("three", "Resources:\n"+named("Formed", "formed", ""))
	one.well("Resources:\n"+own, true, "", "", `"formed","made","one-Own","two-Own"`)
}

// What another one replaces is said before, and removed with the flag only; a resource that has got another name in the
// template is not touched.
func TestDeployReplaces(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	d := &deployer{formation: &formation{t, a}, stack: "shop"}
	of := func(logical, name, extra string) string { return "Resources:\n" + named(logical, name, extra) }
	d.well(of("A", "one", ""), false, "", "created A", `"one"`)
	d.well(of("A", "two", ""), false, "A one by two stays true", "created A", `"one","two"`)
	d.well(of("A", "three", ""), true, "A one by  stays false; A two by three stays false", "created A; removed A; removed A", `"three"`)
	d.well(of("B", "three", ""), true, "", "", `"three"`)
	d.well(of("B", "four", "UpdateReplacePolicy: Retain,"), true, "B three by four stays true", "created B", `"four","three"`)
	// One that comes back is the stack's again.
	d.well("Resources:\n"+tableOf("C", ""), false, "B four by  stays true", "created C", `"four","shop-C","three"`)
	d.well(of("B", "four", "")+tableOf("C", ""), true, "", "", `"four","shop-C","three"`)
	d.well("Resources:\n"+tableOf("C", ""), true, "B four by  stays false", "removed B", `"shop-C","three"`)
}

// A deployment that fails, or is ended by a crash, leaves on the list what it has made, and nothing of others.
func TestDeployPrunesAfterFailures(t *testing.T) {
	fs := vfs.NewCrashableMem()
	a := openForStacks(t, fs)
	d := &deployer{formation: &formation{t, a}, stack: "shop"}
	if err := d.deploy("Resources:\n"+tableOf("First", "")+fails("First"), true); err == nil {
		t.Fatal("a table with a name of one letter was made")
	}
	var crashed *vfs.MemFS
	spoil(a, func(target, body string) bool {
		if strings.HasSuffix(target, "DescribeTable") && strings.Contains(body, "shop-Second") { // once it is asked for, and again when it was made
			crashed = fs.CrashClone(vfs.CrashCloneCfg{})
		}
		return false
	})
	if err := d.deploy("Resources:\n"+tableOf("Second", ""), false); err != nil {
		t.Fatal(err)
	}
	a.onOwnCall.Store(nil)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	b := openForStacks(t, crashed)
	defer b.Close()
	d = &deployer{formation: &formation{t, b}, stack: "shop"}
	d.well("Resources:\n"+tableOf("Second", ""), true, "First shop-First by  stays false", "removed First", `"shop-Second"`)
	d.well("Resources:\n"+tableOf("Third", ""), true, "Second shop-Second by  stays false", "created Third; removed Second", `"shop-Third"`)
	// A removal that fails is told, and tried again by the next run.
	spoil(b, func(target, _ string) bool { return strings.HasSuffix(target, "DeleteTable") })
	if err := d.deploy("Resources:\n"+tableOf("Fourth", ""), true); err == nil || !strings.Contains(err.Error(), "remove Third (AWS::DynamoDB::Table, shop-Third)") {
		t.Errorf("a removal that fails: %v", err)
	}
	b.onOwnCall.Store(nil)
	d.well("Resources:\n"+tableOf("Fourth", ""), true, "Third shop-Third by  stays false", "removed Third", `"shop-Fourth"`)
}

// A deployment that somebody ends finishes the resource that is under way, makes no other, and the next one goes on: the first
// is the stack's own.
func TestDeployIsEnded(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	d := &deployer{formation: &formation{t, a}, stack: "shop"}
	var end context.CancelFunc
	d.ctx, end = context.WithCancel(t.Context())
	spoil(a, func(target, _ string) bool {
		if strings.HasSuffix(target, "CreateTable") {
			end()
		}
		return false
	})
	both := "Resources:\n" + tableOf("First", "") + tableOf("Second", "")
	if err := d.deploy(both, false); err == nil || !strings.Contains(err.Error(), "Second (AWS::DynamoDB::Table): the deployment was ended before this one. What is deployed stays") {
		t.Errorf("ended amid a table: %v", err)
	}
	a.onOwnCall.Store(nil)
	if got := a.stacks.Deployed(a.scope, "shop").Resources; len(got) != 1 || got[0].Ref != "shop-First" || got[0].Making || got[0].Used {
		t.Errorf("the list says %+v", got)
	}
	d.ctx = nil
	d.well(both, true, "", "created Second", `"shop-First","shop-Second"`)
	d.well("Resources:\n"+tableOf("Second", ""), true, "First shop-First by  stays false", "removed First", `"shop-Second"`)
}

// A list replaces the one that was read, and no other's.
func TestDeployedListsAreCompared(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	d := &deployer{formation: &formation{t, a}, stack: "shop"}
	d.well("Resources:\n"+tableOf("First", ""), false, "", "created First", `"shop-First"`)
	late := a.stacks.Deployed(a.scope, "shop")
	d.well("Resources:\n"+tableOf("First", "")+tableOf("Second", ""), false, "", "created Second", `"shop-First","shop-Second"`)
	is := a.stacks.Deployed(a.scope, "shop")
	if _, err := a.stacks.PutDeployed(a.scope, "shop", late); err == nil || err.Error() != "the stack shop was deployed by somebody else meanwhile: deploy it again" {
		t.Errorf("a list from before: %v", err)
	}
	if _, err := a.stacks.PutDeployed(a.scope, "shop", wire.Deployment{Resources: late.Resources}); err == nil {
		t.Error("a list of no version was put over one")
	}
	if now := a.stacks.Deployed(a.scope, "shop"); now.Version != is.Version || len(now.Resources) != 2 {
		t.Errorf("the list is %+v", now)
	}
	if again, err := a.stacks.PutDeployed(a.scope, "shop", is); err != nil || again != is.Version {
		t.Errorf("the list itself: %s, %v", again, err)
	}
}

// A stack's templates are rows of their own, written once, and gone with what they were for; rows of before are read.
func TestStackTemplatesStandApart(t *testing.T) {
	fs := vfs.NewCrashableMem()
	a := openForStacks(t, fs)
	f := &formation{t, a}
	rows := func(a *App) (stacks, templates int) {
		t.Helper()
		err := a.store.Each([]byte{store.SpaceStack}, func(key, value []byte) error {
			switch key[1] {
			case 's':
				if stacks++; strings.Contains(string(value), "AttributeDefinitions") || value[0] != 2 {
					t.Errorf("a stack's row has a template, or is of version %d", value[0])
				}
			case 't':
				templates++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return stacks, templates
	}
	want := func(a *App, stacks, templates int) {
		t.Helper()
		if s, n := rows(a); s != stacks || n != templates {
			t.Errorf("there are %d stacks and %d templates, not %d and %d", s, n, stacks, templates)
		}
	}
	f.made("shop", oneTable)
	want(a, 1, 1)
	next := more(oneTable, tableOf("Second", ""))
	f.well("CreateChangeSet", "StackName", "shop", "ChangeSetName", "c", "TemplateBody", next)
	want(a, 1, 2)
	b := openForStacks(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	g := &formation{t, b}
	g.well("ExecuteChangeSet", "StackName", "shop", "ChangeSetName", "c")
	if got := g.rest("shop"); got != "UPDATE_COMPLETE" {
		t.Fatalf("the stack is %s", got)
	}
	if got := g.well("GetTemplate", "StackName", "shop").Template; got != next {
		t.Errorf("its template is %q", got)
	}
	want(b, 1, 1)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	f.well("DeleteChangeSet", "StackName", "shop", "ChangeSetName", "c")
	want(a, 1, 1)
	// As releases before have written it.
	old := `{"ID":"arn:aws:cloudformation:us-east-1:000000000000:stack/old/1","Name":"old","Scope":{"Account":"000000000000","Region":"us-east-1"},"Status":"CREATE_COMPLETE","Now":{"Template":"Resources: {}"},"Before":{"Template":"Resources:   {}"}}`
	batch := a.store.NewBatch()
	batch.Set([]byte("\x13sarn:aws:cloudformation:us-east-1:000000000000:stack/old/1"), []byte("\x01"+old))
	err := a.store.Write(batch)
	batch.Close()
	if err = errors.Join(err, a.Close()); err != nil {
		t.Fatal(err)
	}
	c := openForStacks(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	defer c.Close()
	h := &formation{t, c}
	if got := h.well("GetTemplate", "StackName", "old").Template; got != "Resources: {}" {
		t.Errorf("the template of before is %q", got)
	}
	h.well("UpdateTerminationProtection", "StackName", "old", "EnableTerminationProtection", "true")
	want(c, 2, 3)
}
