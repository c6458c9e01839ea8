package app

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// Values that a template hides are in no answer: neither given ones, nor defaults, nor those of a change set.
func TestStackHidesNoEcho(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	tpl := strings.Replace(oneTable, "Parameters: {", "Parameters: {Password: {Type: String, NoEcho: true}, Default: {Type: String, NoEcho: 'true', Default: secret}, ", 1)
	raw := func(action string, members ...string) string {
		form := url.Values{"Action": {action}, "StackName": {"shop"}}
		for i := 0; i < len(members); i += 2 {
			form.Set(members[i], members[i+1])
		}
		_, body := f.call("cloudformation", "", form.Encode())
		return body
	}
	f.well("CreateChangeSet", "StackName", "shop", "ChangeSetName", "c", "ChangeSetType", "CREATE", "TemplateBody", tpl, "Parameters.member.1.ParameterKey", "Password", "Parameters.member.1.ParameterValue", "secret")
	set := raw("DescribeChangeSet", "ChangeSetName", "c")
	f.well("ExecuteChangeSet", "StackName", "shop", "ChangeSetName", "c")
	if got := f.rest("shop"); got != "CREATE_COMPLETE" {
		t.Fatalf("the stack is %s", got)
	}
	stack := raw("DescribeStacks")
	if !strings.Contains(stack, "<ParameterValue>PAY_PER_REQUEST</ParameterValue>") {
		t.Errorf("what is not hidden is missing: %s", stack)
	}
	for name, body := range map[string]string{"the change set": set, "the stack": stack} {
		if strings.Contains(body, "secret") || !strings.Contains(body, "<ParameterKey>Password</ParameterKey><ParameterValue>****</ParameterValue>") {
			t.Errorf("%s is %s", name, body)
		}
	}
	// The value stays for the next update.
	f.well("UpdateStack", "StackName", "shop", "TemplateBody", more(tpl, tableOf("Second", "")), "Parameters.member.1.ParameterKey", "Password", "Parameters.member.1.UsePreviousValue", "true")
	if got := f.rest("shop"); got != "UPDATE_COMPLETE" {
		t.Errorf("the stack is %s", got)
	}
}

// A stack has a bounded number of change sets; those that found no change make room.
func TestStackBoundsItsChangeSets(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	f.made("shop", oneTable)
	for i := range 25 {
		f.well("CreateChangeSet", "StackName", "shop", "ChangeSetName", fmt.Sprint("same", i), "TemplateBody", oneTable)
	}
	if got := f.do("DescribeChangeSet", "StackName", "shop", "ChangeSetName", "same4").Error.Code; got != "ChangeSetNotFound" {
		t.Errorf("the oldest: %q", got)
	}
	f.well("DescribeChangeSet", "StackName", "shop", "ChangeSetName", "same5")
	next := more(oneTable, tableOf("Second", ""))
	for i := range 20 {
		f.well("CreateChangeSet", "StackName", "shop", "ChangeSetName", fmt.Sprint("next", i), "TemplateBody", next)
	}
	if got := f.do("CreateChangeSet", "StackName", "shop", "ChangeSetName", "more", "TemplateBody", next).Error; got.Code != "LimitExceededException" {
		t.Errorf("one too many: %+v", got)
	}
	f.well("DeleteChangeSet", "StackName", "shop", "ChangeSetName", "next0")
	f.well("CreateChangeSet", "StackName", "shop", "ChangeSetName", "more", "TemplateBody", next)
}
