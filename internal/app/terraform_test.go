package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// provider makes the calls of Terraform's AWS provider, in its order, as its public source
// has them. Each test takes a resource through its life: create, read, a plan that finds
// nothing to do, update, the same again, delete, and gone.
type provider struct {
	*testing.T
	ctx    context.Context
	tables *dynamodb.Client
	lambda *lambda.Client
	logs   *cloudwatchlogs.Client
	iam    *iam.Client
	s3     *s3.Client
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	server := httptest.NewServer(openApp(t).Handler())
	t.Cleanup(server.Close)
	at, once := &server.URL, aws.NopRetryer{}
	return &provider{T: t, ctx: t.Context(),
		tables: dynamodb.New(dynamodb.Options{BaseEndpoint: at, Region: "us-east-1", Credentials: testCredentials, Retryer: once}),
		lambda: lambda.New(lambda.Options{BaseEndpoint: at, Region: "us-east-1", Credentials: testCredentials, Retryer: once}),
		logs:   cloudwatchlogs.New(cloudwatchlogs.Options{BaseEndpoint: at, Region: "us-east-1", Credentials: testCredentials, Retryer: once}),
		iam:    iam.New(iam.Options{BaseEndpoint: at, Region: "us-east-1", Credentials: testCredentials, Retryer: once}),
		s3:     s3.New(s3.Options{BaseEndpoint: at, Region: "us-east-1", Credentials: testCredentials, Retryer: once, UsePathStyle: true}),
	}
}

// must fails the test for a call that failed.
func (p *provider) must(_ any, err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// code is that of a call's error; empty without one.
func code(_ any, err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// refused fails the test for a call that was not refused with a code.
func (p *provider) refused(want string) func(any, error) {
	p.Helper()
	return func(_ any, err error) {
		p.Helper()
		if got := code(nil, err); got != want {
			p.Errorf("%s was wanted, and it is %q", want, got)
		}
	}
}

// until looks until there is one of the states that are waited for. Any state that is
// neither that nor a pending one fails the test, as it fails an apply.
func (p *provider) until(what string, look func() string, pending []string, target ...string) {
	p.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		switch is := look(); {
		case slices.Contains(target, is):
			return
		case !slices.Contains(pending, is):
			p.Fatalf("%s is %s, where %v or at last %v is waited for", what, is, pending, target)
		case time.Now().After(end):
			p.Fatalf("%s is still %s", what, is)
		}
	}
}

// undrifted compares what is read with what is configured.
func undrifted[T any](p *provider, when string, is, want T) {
	p.Helper()
	if !reflect.DeepEqual(is, want) {
		p.Errorf("%s a plan would change what is there:\n%+v\ninto:\n%+v", when, is, want)
	}
}

// same is a policy as the provider compares it: by what it means.
func policyOf(p *provider, document *string) string {
	p.Helper()
	text, err := url.QueryUnescape(aws.ToString(document))
	if err != nil {
		p.Fatal(err)
	}
	var d any
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		p.Fatalf("%v in %s", err, text)
	}
	body, err := json.Marshal(d)
	p.must(body, err)
	return string(body)
}

const (
	lambdaTrust = `{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"}}],"Version":"2012-10-17"}`
	edgeTrust   = `{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["edgelambda.amazonaws.com","lambda.amazonaws.com"]}}],"Version":"2012-10-17"}`
	readTables  = `{"Statement":[{"Action":["dynamodb:Get*","dynamodb:Query"],"Effect":"Allow","Resource":"*"}],"Version":"2012-10-17"}`
	writeTables = `{"Statement":[{"Action":"dynamodb:*","Effect":"Allow","Resource":"arn:aws:dynamodb:*:*:table/a+b c"}],"Version":"2012-10-17"}`
	basicPolicy = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
)

// roleConfig is an aws_iam_role.
type roleConfig struct {
	name, path, description, trust, boundary string
	session                                  int32
	inline                                   map[string]string
	attached                                 []string
	tags                                     map[string]string
}

func tagsOf(all []iamtypes.Tag) map[string]string {
	m := map[string]string{}
	for _, t := range all {
		m[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return m
}

func iamTags(m map[string]string) (all []iamtypes.Tag) {
	for k, v := range m {
		all = append(all, iamtypes.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	return all
}

func (p *provider) createRole(c roleConfig) {
	p.Helper()
	in := &iam.CreateRoleInput{RoleName: &c.name, Path: &c.path, AssumeRolePolicyDocument: &c.trust, MaxSessionDuration: &c.session, Tags: iamTags(c.tags)}
	if c.description != "" {
		in.Description = &c.description
	}
	if c.boundary != "" {
		in.PermissionsBoundary = &c.boundary
	}
	p.must(p.iam.CreateRole(p.ctx, in))
	for name, text := range c.inline {
		p.must(p.iam.PutRolePolicy(p.ctx, &iam.PutRolePolicyInput{RoleName: &c.name, PolicyName: &name, PolicyDocument: &text}))
	}
	for _, policy := range c.attached {
		p.must(p.iam.AttachRolePolicy(p.ctx, &iam.AttachRolePolicyInput{RoleName: &c.name, PolicyArn: &policy}))
	}
}

func (p *provider) readRole(name string) (c roleConfig) {
	p.Helper()
	out, err := p.iam.GetRole(p.ctx, &iam.GetRoleInput{RoleName: &name})
	p.must(out, err)
	r := out.Role
	if want := "arn:aws:iam::000000000000:role" + aws.ToString(r.Path) + name; aws.ToString(r.Arn) != want || len(aws.ToString(r.RoleId)) != 21 || r.CreateDate == nil {
		p.Errorf("the role is %s %s %v", aws.ToString(r.Arn), aws.ToString(r.RoleId), r.CreateDate)
	}
	c = roleConfig{name: aws.ToString(r.RoleName), path: aws.ToString(r.Path), description: aws.ToString(r.Description), trust: policyOf(p, r.AssumeRolePolicyDocument),
		session: aws.ToInt32(r.MaxSessionDuration), inline: map[string]string{}, tags: tagsOf(r.Tags)}
	if r.PermissionsBoundary != nil {
		c.boundary = aws.ToString(r.PermissionsBoundary.PermissionsBoundaryArn)
	}
	names, err := p.iam.ListRolePolicies(p.ctx, &iam.ListRolePoliciesInput{RoleName: &name})
	p.must(names, err)
	for _, policy := range names.PolicyNames {
		one, err := p.iam.GetRolePolicy(p.ctx, &iam.GetRolePolicyInput{RoleName: &name, PolicyName: &policy})
		p.must(one, err)
		c.inline[policy] = policyOf(p, one.PolicyDocument)
	}
	pages := iam.NewListAttachedRolePoliciesPaginator(p.iam, &iam.ListAttachedRolePoliciesInput{RoleName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(p.ctx)
		p.must(page, err)
		for _, a := range page.AttachedPolicies {
			c.attached = append(c.attached, aws.ToString(a.PolicyArn))
		}
	}
	return c
}

func (p *provider) updateRole(is, c roleConfig) {
	p.Helper()
	if is.trust != c.trust {
		p.must(p.iam.UpdateAssumeRolePolicy(p.ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: &c.name, PolicyDocument: &c.trust}))
	}
	if is.description != c.description {
		p.must(p.iam.UpdateRoleDescription(p.ctx, &iam.UpdateRoleDescriptionInput{RoleName: &c.name, Description: &c.description}))
	}
	if is.session != c.session {
		p.must(p.iam.UpdateRole(p.ctx, &iam.UpdateRoleInput{RoleName: &c.name, MaxSessionDuration: &c.session}))
	}
	switch {
	case is.boundary == c.boundary:
	case c.boundary == "":
		p.must(p.iam.DeleteRolePermissionsBoundary(p.ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: &c.name}))
	default:
		p.must(p.iam.PutRolePermissionsBoundary(p.ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: &c.name, PermissionsBoundary: &c.boundary}))
	}
	for name, text := range is.inline {
		if c.inline[name] != text {
			p.must(p.iam.DeleteRolePolicy(p.ctx, &iam.DeleteRolePolicyInput{RoleName: &c.name, PolicyName: &name}))
		}
	}
	for name, text := range c.inline {
		if is.inline[name] != text {
			p.must(p.iam.PutRolePolicy(p.ctx, &iam.PutRolePolicyInput{RoleName: &c.name, PolicyName: &name, PolicyDocument: &text}))
		}
	}
	for _, policy := range is.attached {
		if !slices.Contains(c.attached, policy) {
			p.must(p.iam.DetachRolePolicy(p.ctx, &iam.DetachRolePolicyInput{RoleName: &c.name, PolicyArn: &policy}))
		}
	}
	for _, policy := range c.attached {
		if !slices.Contains(is.attached, policy) {
			p.must(p.iam.AttachRolePolicy(p.ctx, &iam.AttachRolePolicyInput{RoleName: &c.name, PolicyArn: &policy}))
		}
	}
	var gone []string
	for k := range is.tags {
		if _, ok := c.tags[k]; !ok {
			gone = append(gone, k)
		}
	}
	if len(gone) > 0 {
		p.must(p.iam.UntagRole(p.ctx, &iam.UntagRoleInput{RoleName: &c.name, TagKeys: gone}))
	}
	if len(c.tags) > 0 {
		p.must(p.iam.TagRole(p.ctx, &iam.TagRoleInput{RoleName: &c.name, Tags: iamTags(c.tags)}))
	}
}

func (p *provider) deleteRole(c roleConfig) {
	p.Helper()
	profiles, err := p.iam.ListInstanceProfilesForRole(p.ctx, &iam.ListInstanceProfilesForRoleInput{RoleName: &c.name})
	if err != nil || len(profiles.InstanceProfiles) != 0 {
		p.Fatal(profiles, err)
	}
	if len(c.attached)+len(c.inline) > 0 { // force_detach_policies, or what the role itself lists
		p.refused("DeleteConflict")(p.iam.DeleteRole(p.ctx, &iam.DeleteRoleInput{RoleName: &c.name}))
	}
	for _, policy := range c.attached {
		p.must(p.iam.DetachRolePolicy(p.ctx, &iam.DetachRolePolicyInput{RoleName: &c.name, PolicyArn: &policy}))
	}
	for name := range c.inline {
		p.must(p.iam.DeleteRolePolicy(p.ctx, &iam.DeleteRolePolicyInput{RoleName: &c.name, PolicyName: &name}))
	}
	p.must(p.iam.DeleteRole(p.ctx, &iam.DeleteRoleInput{RoleName: &c.name}))
	p.refused("NoSuchEntity")(p.iam.GetRole(p.ctx, &iam.GetRoleInput{RoleName: &c.name}))
}

func TestTerraformRole(t *testing.T) {
	p := newProvider(t)
	boundary, err := p.iam.CreatePolicy(p.ctx, &iam.CreatePolicyInput{PolicyName: aws.String("boundary"), PolicyDocument: aws.String(readTables)})
	p.must(boundary, err)
	smallest := roleConfig{name: "smallest", path: "/", trust: lambdaTrust, session: 3600, inline: map[string]string{}, tags: map[string]string{}}
	whole := roleConfig{name: "r", path: "/service/", description: "runs it", trust: lambdaTrust, session: 7200, boundary: aws.ToString(boundary.Policy.Arn),
		inline: map[string]string{"tables": readTables, "more": writeTables}, attached: []string{basicPolicy}, tags: map[string]string{"a": "b", "team": "x & y"}}
	other := roleConfig{name: "r", path: "/service/", trust: edgeTrust, session: 3600, inline: map[string]string{"tables": writeTables},
		attached: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}, tags: map[string]string{"a": "c", "d": ""}}
	p.refused("NoSuchEntity")(p.iam.GetRole(p.ctx, &iam.GetRoleInput{RoleName: aws.String("r")}))
	for _, c := range []roleConfig{smallest, whole} {
		p.createRole(c)
		undrifted(p, "after its creation", p.readRole(c.name), c)
		p.refused("EntityAlreadyExists")(p.iam.CreateRole(p.ctx, &iam.CreateRoleInput{RoleName: &c.name, AssumeRolePolicyDocument: &c.trust}))
	}
	p.updateRole(whole, other)
	undrifted(p, "after its update", p.readRole("r"), other)
	p.updateRole(other, whole)
	undrifted(p, "after another update", p.readRole("r"), whole)
	roles, err := p.iam.ListRoles(p.ctx, &iam.ListRolesInput{MaxItems: aws.Int32(1)})
	if err != nil || len(roles.Roles) != 1 || !roles.IsTruncated || aws.ToString(roles.Roles[0].RoleName) != "r" {
		t.Errorf("the first role is %+v %v", roles, err)
	}
	roles, err = p.iam.ListRoles(p.ctx, &iam.ListRolesInput{MaxItems: aws.Int32(1), Marker: roles.Marker})
	if err != nil || len(roles.Roles) != 1 || roles.IsTruncated || aws.ToString(roles.Roles[0].RoleName) != "smallest" {
		t.Errorf("the second role is %+v %v", roles, err)
	}
	p.refused("DeleteConflict")(p.iam.DeletePolicy(p.ctx, &iam.DeletePolicyInput{PolicyArn: boundary.Policy.Arn}))
	p.deleteRole(whole)
	p.deleteRole(smallest)
	p.must(p.iam.DeletePolicy(p.ctx, &iam.DeletePolicyInput{PolicyArn: boundary.Policy.Arn}))
}

func TestTerraformRolePolicy(t *testing.T) {
	p := newProvider(t)
	role, name := aws.String("r"), aws.String("p")
	in := &iam.PutRolePolicyInput{RoleName: role, PolicyName: name, PolicyDocument: aws.String(readTables)}
	p.refused("NoSuchEntity")(p.iam.PutRolePolicy(p.ctx, in))
	p.createRole(roleConfig{name: "r", path: "/", trust: lambdaTrust, session: 3600})
	for _, text := range []string{readTables, writeTables} {
		in.PolicyDocument = aws.String(text)
		p.must(p.iam.PutRolePolicy(p.ctx, in))
		out, err := p.iam.GetRolePolicy(p.ctx, &iam.GetRolePolicyInput{RoleName: role, PolicyName: name})
		p.must(out, err)
		undrifted(p, "after a put", policyOf(p, out.PolicyDocument), text)
		if aws.ToString(out.RoleName) != "r" || aws.ToString(out.PolicyName) != "p" {
			t.Errorf("it is of %s, and called %s", aws.ToString(out.RoleName), aws.ToString(out.PolicyName))
		}
	}
	in.PolicyDocument = aws.String("{")
	p.refused("MalformedPolicyDocument")(p.iam.PutRolePolicy(p.ctx, in))
	p.must(p.iam.DeleteRolePolicy(p.ctx, &iam.DeleteRolePolicyInput{RoleName: role, PolicyName: name}))
	p.refused("NoSuchEntity")(p.iam.GetRolePolicy(p.ctx, &iam.GetRolePolicyInput{RoleName: role, PolicyName: name}))
	p.refused("NoSuchEntity")(p.iam.DeleteRolePolicy(p.ctx, &iam.DeleteRolePolicyInput{RoleName: role, PolicyName: name}))
	p.deleteRole(roleConfig{name: "r"})
}

func TestTerraformRolePolicyAttachment(t *testing.T) {
	p := newProvider(t)
	p.createRole(roleConfig{name: "r", path: "/", trust: lambdaTrust, session: 3600})
	own, err := p.iam.CreatePolicy(p.ctx, &iam.CreatePolicyInput{PolicyName: aws.String("own"), Path: aws.String("/team/"), PolicyDocument: aws.String(readTables)})
	p.must(own, err)
	attached := func() []string { return p.readRole("r").attached }
	for _, policy := range []string{aws.ToString(own.Policy.Arn), basicPolicy} {
		p.must(p.iam.AttachRolePolicy(p.ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("r"), PolicyArn: &policy}))
		p.must(p.iam.AttachRolePolicy(p.ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("r"), PolicyArn: &policy})) // again: no error
		undrifted(p, "after its creation", attached(), []string{policy})
		p.must(p.iam.DetachRolePolicy(p.ctx, &iam.DetachRolePolicyInput{RoleName: aws.String("r"), PolicyArn: &policy}))
		undrifted(p, "after its end", attached(), nil)
		p.refused("NoSuchEntity")(p.iam.DetachRolePolicy(p.ctx, &iam.DetachRolePolicyInput{RoleName: aws.String("r"), PolicyArn: &policy}))
	}
	p.refused("NoSuchEntity")(p.iam.AttachRolePolicy(p.ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("r"), PolicyArn: aws.String("arn:aws:iam::000000000000:policy/none")}))
	p.deleteRole(roleConfig{name: "r"})
}

func TestTerraformPolicy(t *testing.T) {
	p := newProvider(t)
	made, err := p.iam.CreatePolicy(p.ctx, &iam.CreatePolicyInput{PolicyName: aws.String("p"), Path: aws.String("/team/"), Description: aws.String("reads"),
		PolicyDocument: aws.String(readTables), Tags: iamTags(map[string]string{"a": "b"})})
	p.must(made, err)
	policy := made.Policy.Arn
	check := func(when, version, text string, tags map[string]string) {
		t.Helper()
		out, err := p.iam.GetPolicy(p.ctx, &iam.GetPolicyInput{PolicyArn: policy})
		p.must(out, err)
		is := out.Policy
		if aws.ToString(is.Arn) != "arn:aws:iam::000000000000:policy/team/p" || aws.ToString(is.Description) != "reads" || aws.ToString(is.Path) != "/team/" ||
			len(aws.ToString(is.PolicyId)) != 21 || aws.ToString(is.DefaultVersionId) != version || aws.ToInt32(is.AttachmentCount) != 0 {
			t.Errorf("%s the policy is %+v", when, is)
		}
		undrifted(p, when, tagsOf(is.Tags), tags)
		v, err := p.iam.GetPolicyVersion(p.ctx, &iam.GetPolicyVersionInput{PolicyArn: policy, VersionId: is.DefaultVersionId})
		p.must(v, err)
		undrifted(p, when, policyOf(p, v.PolicyVersion.Document), text)
	}
	check("after its creation", "v1", readTables, map[string]string{"a": "b"})
	versions := func() (ids []string, oldest *string) {
		t.Helper()
		out, err := p.iam.ListPolicyVersions(p.ctx, &iam.ListPolicyVersionsInput{PolicyArn: policy})
		p.must(out, err)
		for _, v := range out.Versions {
			ids = append(ids, aws.ToString(v.VersionId))
			if !v.IsDefaultVersion {
				oldest = v.VersionId
			}
		}
		return ids, oldest
	}
	for i := range 6 { // the provider removes the oldest one when there are five
		text := []string{writeTables, readTables}[i%2]
		if ids, oldest := versions(); len(ids) == 5 {
			p.refused("LimitExceeded")(p.iam.CreatePolicyVersion(p.ctx, &iam.CreatePolicyVersionInput{PolicyArn: policy, PolicyDocument: &text, SetAsDefault: true}))
			p.must(p.iam.DeletePolicyVersion(p.ctx, &iam.DeletePolicyVersionInput{PolicyArn: policy, VersionId: oldest}))
		}
		p.must(p.iam.CreatePolicyVersion(p.ctx, &iam.CreatePolicyVersionInput{PolicyArn: policy, PolicyDocument: &text, SetAsDefault: true}))
		check("after an update", []string{"v2", "v3", "v4", "v5", "v6", "v7"}[i], text, map[string]string{"a": "b"})
	}
	p.must(p.iam.TagPolicy(p.ctx, &iam.TagPolicyInput{PolicyArn: policy, Tags: iamTags(map[string]string{"c": "d"})}))
	p.must(p.iam.UntagPolicy(p.ctx, &iam.UntagPolicyInput{PolicyArn: policy, TagKeys: []string{"a"}}))
	p.must(p.iam.SetDefaultPolicyVersion(p.ctx, &iam.SetDefaultPolicyVersionInput{PolicyArn: policy, VersionId: aws.String("v6")}))
	check("after another version was chosen", "v6", writeTables, map[string]string{"c": "d"})
	p.refused("DeleteConflict")(p.iam.DeletePolicyVersion(p.ctx, &iam.DeletePolicyVersionInput{PolicyArn: policy, VersionId: aws.String("v6")}))
	p.refused("DeleteConflict")(p.iam.DeletePolicy(p.ctx, &iam.DeletePolicyInput{PolicyArn: policy}))
	ids, _ := versions()
	undrifted(p, "at the end", ids, []string{"v7", "v6", "v5", "v4", "v3"})
	for _, id := range ids {
		if id != "v6" {
			p.must(p.iam.DeletePolicyVersion(p.ctx, &iam.DeletePolicyVersionInput{PolicyArn: policy, VersionId: &id}))
		}
	}
	p.must(p.iam.DeletePolicy(p.ctx, &iam.DeletePolicyInput{PolicyArn: policy}))
	p.refused("NoSuchEntity")(p.iam.GetPolicy(p.ctx, &iam.GetPolicyInput{PolicyArn: policy}))
}

// The provider's start, where it may not ask for its credentials' worth.
func TestTerraformAsksWhoItIs(t *testing.T) {
	p := newProvider(t)
	user, err := p.iam.GetUser(p.ctx, &iam.GetUserInput{})
	if err != nil || aws.ToString(user.User.Arn) != "arn:aws:iam::000000000000:root" {
		t.Fatal(user, err)
	}
	p.must(p.iam.ListRoles(p.ctx, &iam.ListRolesInput{MaxItems: aws.Int32(1)}))
	p.must(p.iam.ListAccountAliases(p.ctx, &iam.ListAccountAliasesInput{}))
}
