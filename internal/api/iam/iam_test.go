package iam

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/iam"
	"github.com/millstreamdb/millstream/internal/store"
)

// caller calls the door, as an account.
type caller struct {
	*testing.T
	door    http.Handler
	account string
}

func open(t *testing.T, fs vfs.FS) *caller {
	t.Helper()
	s, err := store.Open(store.Options{FS: fs, Dir: "data"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	service, err := iam.Open(iam.Options{Store: s, Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	c := &caller{T: t, account: "000000000000"}
	c.door = New(service, Options{Authenticate: func(*http.Request) (arn.Scope, *awserr.Error) {
		return arn.Scope{Account: c.account, Region: "us-east-1"}, nil
	}})
	return c
}

func (c *caller) call(action string, members ...string) (status int, body string) {
	c.Helper()
	form := url.Values{"Action": {action}}
	for i := 0; i < len(members); i += 2 {
		form.Set(members[i], members[i+1])
	}
	w := httptest.NewRecorder()
	c.door.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader(form.Encode())))
	return w.Code, w.Body.String()
}

func (c *caller) well(action string, members ...string) string {
	c.Helper()
	status, body := c.call(action, members...)
	if status != http.StatusOK {
		c.Fatalf("%s: %d %s", action, status, body)
	}
	return body
}

const trust = `{"Version":"2012-10-17","Statement":[]}`

// What was answered is there after a crash, and other accounts see none of it.
func TestDurable(t *testing.T) {
	fs := vfs.NewCrashableMem()
	c := open(t, fs)
	c.well("CreateRole", "RoleName", "Mine", "AssumeRolePolicyDocument", trust)
	c.well("PutRolePolicy", "RoleName", "Mine", "PolicyName", "in", "PolicyDocument", trust)
	c.well("CreatePolicy", "PolicyName", "Own", "PolicyDocument", trust)
	c.well("AttachRolePolicy", "RoleName", "Mine", "PolicyArn", "arn:aws:iam::000000000000:policy/Own")
	c.well("CreateRole", "RoleName", "Gone", "AssumeRolePolicyDocument", trust)
	c.well("DeleteRole", "RoleName", "Gone")
	before := c.well("ListRoles")
	crashed := open(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	cut := func(s string) string { s, _, _ = strings.Cut(s, "<ResponseMetadata>"); return s }
	if got := crashed.well("ListRoles"); cut(got) != cut(before) || !strings.Contains(got, "<RoleName>Mine</RoleName>") || strings.Contains(got, "Gone") {
		t.Errorf("before the crash there are %s, and then %s", before, got)
	}
	if got := crashed.well("ListAttachedRolePolicies", "RoleName", "Mine"); !strings.Contains(got, "<PolicyName>Own</PolicyName>") {
		t.Errorf("attached are %s", got)
	}
	if got := crashed.well("ListRolePolicies", "RoleName", "Mine"); !strings.Contains(got, "<member>in</member>") {
		t.Errorf("inline are %s", got)
	}
	crashed.account = "111111111111"
	if got := crashed.well("ListRoles") + crashed.well("ListPolicies"); strings.Contains(got, "Mine") || strings.Contains(got, "Own") {
		t.Errorf("another account sees %s", got)
	}
}

func TestRefusals(t *testing.T) {
	c := open(t, vfs.NewMem())
	c.well("CreateRole", "RoleName", "taken", "AssumeRolePolicyDocument", trust)
	c.well("CreatePolicy", "PolicyName", "own", "Path", "/a/", "PolicyDocument", trust)
	many := func(n int) (members []string) {
		for i := range n {
			members = append(members, "Tags.member."+itoa(i+1)+".Key", "k"+itoa(i), "Tags.member."+itoa(i+1)+".Value", "")
		}
		return members
	}
	big := func(n int) string {
		return `{"Version":"2012-10-17","Statement":[{"Sid":"` + strings.Repeat("x", n) + `"}]}`
	}
	for i := range 10 {
		c.well("AttachRolePolicy", "RoleName", "taken", "PolicyArn", "arn:aws:iam::aws:policy/P"+itoa(i))
	}
	for _, row := range []struct {
		status  int
		want    string
		action  string
		members []string
	}{
		{400, "<Code>InvalidAction</Code><Message>Could not find operation CreateUser for version", "CreateUser", nil},
		{409, "<Code>EntityAlreadyExists</Code><Message>Role with name TAKEN already exists.", "CreateRole", []string{"RoleName", "TAKEN", "AssumeRolePolicyDocument", trust}},
		{400, "The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", "CreateRole", []string{"RoleName", "a b", "AssumeRolePolicyDocument", trust}},
		{400, "Member must have length less than or equal to 64", "CreateRole", []string{"RoleName", strings.Repeat("a", 65), "AssumeRolePolicyDocument", trust}},
		{400, "Member must have length greater than or equal to 1", "CreateRole", []string{"AssumeRolePolicyDocument", trust}},
		{400, "The specified value for path is invalid.", "CreateRole", []string{"RoleName", "r", "Path", "a", "AssumeRolePolicyDocument", trust}},
		{400, "<Code>MalformedPolicyDocument</Code><Message>This policy contains invalid Json", "CreateRole", []string{"RoleName", "r", "AssumeRolePolicyDocument", "{"}},
		{400, "Member must have length less than or equal to 131072", "CreateRole", []string{"RoleName", "r", "AssumeRolePolicyDocument", strings.Repeat(" ", 131072) + trust}},
		{400, "<Code>MalformedPolicyDocument</Code><Message>Syntax errors in policy.", "CreateRole", []string{"RoleName", "r", "AssumeRolePolicyDocument", "{}"}},
		{409, "<Code>LimitExceeded</Code><Message>Cannot exceed quota for ACLSizePerRole: 2048", "CreateRole", []string{"RoleName", "r", "AssumeRolePolicyDocument", big(2048)}},
		{400, "Value &#39;1&#39; at &#39;maxSessionDuration&#39;", "CreateRole", []string{"RoleName", "r", "MaxSessionDuration", "1", "AssumeRolePolicyDocument", trust}},
		{400, "<Code>MalformedInput</Code>", "CreateRole", []string{"RoleName", "r", "MaxSessionDuration", "x", "AssumeRolePolicyDocument", trust}},
		{404, "Policy arn:aws:iam::000000000000:policy/none does not exist or is not attachable.", "CreateRole", []string{"RoleName", "r", "PermissionsBoundary", "arn:aws:iam::000000000000:policy/none", "AssumeRolePolicyDocument", trust}},
		{409, "The number of tags has reached the maximum limit.", "CreateRole", append(many(51), "RoleName", "r", "AssumeRolePolicyDocument", trust)},
		{400, "Duplicate tag keys found.", "CreateRole", append(many(1), "Tags.member.2.Key", "K0", "RoleName", "r", "AssumeRolePolicyDocument", trust)},
		{409, "Cannot exceed quota for PoliciesPerRole: 10", "AttachRolePolicy", []string{"RoleName", "taken", "PolicyArn", "arn:aws:iam::aws:policy/more"}},
		{400, "<Code>InvalidInput</Code><Message>ARN x is not valid.", "AttachRolePolicy", []string{"RoleName", "taken", "PolicyArn", "x"}},
		{409, "Maximum policy size of 10240 bytes exceeded for role taken", "PutRolePolicy", []string{"RoleName", "taken", "PolicyName", "p", "PolicyDocument", big(10240)}},
		{404, "The role with name none cannot be found.", "GetRole", []string{"RoleName", "none"}},
		{404, "The role policy with name none cannot be found.", "GetRolePolicy", []string{"RoleName", "taken", "PolicyName", "none"}},
		{409, "A policy called OWN already exists. Duplicate names are not allowed.", "CreatePolicy", []string{"PolicyName", "OWN", "PolicyDocument", trust}},
		{409, "Cannot exceed quota for PolicySize: 6144", "CreatePolicy", []string{"PolicyName", "p", "PolicyDocument", big(6144)}},
		{404, "Policy arn:aws:iam::000000000000:policy/own was not found.", "GetPolicy", []string{"PolicyArn", "arn:aws:iam::000000000000:policy/own"}},
		{404, "it may be attached, but Millstream has no copy of its text", "GetPolicy", []string{"PolicyArn", "arn:aws:iam::aws:policy/ReadOnlyAccess"}},
		{404, "Policy version v9 of policy own was not found.", "GetPolicyVersion", []string{"PolicyArn", "arn:aws:iam::000000000000:policy/a/own", "VersionId", "v9"}},
		{404, "does not have a permissions boundary", "DeleteRolePermissionsBoundary", []string{"RoleName", "taken"}},
		{400, "Invalid Marker.", "ListRoles", []string{"Marker", "%"}},
		{400, "at &#39;maxItems&#39;", "ListRoles", []string{"MaxItems", "0"}},
		{404, "The user with name me cannot be found.", "GetUser", []string{"UserName", "me"}},
	} {
		if status, body := c.call(row.action, row.members...); status != row.status || !strings.Contains(body, row.want) {
			t.Errorf("%s %.80q: %d %s", row.action, row.members, status, body)
		}
	}
	// What was refused has changed nothing.
	if got := c.well("ListRolePolicies", "RoleName", "taken") + c.well("ListRoles"); strings.Contains(got, "<member>p</member>") || strings.Count(got, "<RoleName>") != 1 {
		t.Errorf("there are %s", got)
	}
}
