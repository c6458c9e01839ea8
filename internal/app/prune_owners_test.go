package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/template"
)

// nightly is a schedule of the name night in a group.
func nightly(group string) string {
	return "Resources:\n  Night: {Type: AWS::Scheduler::Schedule, Properties: {Name: night, GroupName: " + group +
		", ScheduleExpression: rate(1 day), FlexibleTimeWindow: {Mode: 'OFF'}, Target: {Arn: 'arn:aws:sqs:us-east-1:000000000000:jobs', RoleArn: 'arn:aws:iam::000000000000:role/r'}}}\n"
}

func groupOf(name string) string {
	return "  G" + name + ": {Type: AWS::Scheduler::ScheduleGroup, Properties: {Name: " + name + "}}\n"
}

// schedules lists the schedules by group and name.
func (f *formation) schedules() string {
	var all []string
	for _, s := range f.app.schedules.All(f.app.scope) {
		all = append(all, fmt.Sprint(s.Group, "/", s.Name))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// A schedule is known by its group and its name: one that moves to another group leaves nothing running, and the one of
// another stack, of the same name in another group, stays.
func TestSchedulesOfOneNameInTwoGroups(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	want := func(schedules string) {
		t.Helper()
		if got := f.schedules(); got != schedules {
			t.Errorf("the schedules are %q, not %q", got, schedules)
		}
	}
	f.well("CreateStack", "StackName", "groups", "TemplateBody", "Resources:\n"+groupOf("g1")+groupOf("g2")+groupOf("g3"))
	f.rest("groups")
	t.Run("deploy", func(t *testing.T) {
		one, two := &deployer{formation: f, stack: "one"}, &deployer{formation: f, stack: "two"}
		one.well(nightly("g1"), true, "", "created Night", "")
		two.well(nightly("g2"), true, "", "created Night", "")
		want("g1/night g2/night")
		one.well(nightly("g3"), true, "", "created Night; removed Night", "")
		want("g2/night g3/night")
		one.well("Resources:\n"+groupOf("g1"), true, "Night g3/night by  stays false", "removed Night", "")
		want("g2/night")
		// Releases before have kept the name alone, which is enough while it is in one group.
		target, err := a.target(a.scope)
		if err != nil {
			t.Fatal(err)
		}
		if err := target.Remove(t.Context(), template.Kept{Type: "AWS::Scheduler::Schedule", ID: "night"}); err != nil {
			t.Fatal(err)
		}
		want("")
		two.well(nightly("g2"), true, "", "created Night", "")
		two.well("Resources:\n"+groupOf("g1"), true, "Night g2/night by  stays false", "removed Night", "")
		want("")
	})
	t.Run("stacks", func(t *testing.T) {
		f.made("one", nightly("g1"))
		f.made("two", nightly("g2"))
		f.updated("one", nightly("g3"), "UPDATE_COMPLETE")
		want("g2/night g3/night")
		if got := f.well("ListStackResources", "StackName", "one").Resources; !slices.Equal(got, []string{"night"}) {
			t.Errorf("its id is %q, and on AWS the name alone", got)
		}
		f.well("DeleteStack", "StackName", "one")
		want("g2/night")
		f.well("DeleteStack", "StackName", "two")
		want("")
	})
}
