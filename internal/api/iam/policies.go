package iam

import (
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/iam"
)

func itoa(n int) string { return strconv.Itoa(n) }

// policy writes a policy; whole: with what a list leaves out.
func (c *call) policy(p *iam.Policy, whole bool) {
	d := c.Out
	policy := p.ARN(c.account)
	by, boundaries := c.iam.Uses(c.account, policy)
	d.Must("PolicyName", p.Name)
	d.Must("PolicyId", p.ID)
	d.Must("Arn", policy)
	d.Must("Path", p.Path)
	d.Must("DefaultVersionId", p.Default)
	d.Must("AttachmentCount", itoa(len(by)))
	d.Must("PermissionsBoundaryUsageCount", itoa(boundaries))
	d.Must("IsAttachable", "true")
	c.time("CreateDate", p.Created)
	c.time("UpdateDate", p.Updated)
	if whole {
		d.Text("Description", p.Description)
		c.writeTags(p.Tags)
	}
}

func createPolicy(c *call) error {
	p, err := c.iam.CreatePolicy(c.account, iam.Policy{Name: c.Get("PolicyName"), Path: c.Get("Path"), Description: c.Get("Description"), Tags: c.tags()}, c.Get("PolicyDocument"))
	if err != nil {
		return err
	}
	c.Out.In("Policy", func() { c.policy(p, true) })
	return nil
}

// named is the policy that a request is about.
func (c *call) named() (*iam.Policy, error) { return c.iam.Policy(c.account, c.Get("PolicyArn")) }

func getPolicy(c *call) error {
	p, err := c.named()
	if err != nil {
		return err
	}
	c.Out.In("Policy", func() { c.policy(p, true) })
	return nil
}

func listPolicies(c *call) error {
	all := c.iam.Policies(c.account, c.prefix())
	if c.Get("Scope") == "AWS" {
		all = nil
	}
	if c.Yes("OnlyAttached") {
		all = slices.DeleteFunc(all, func(p *iam.Policy) bool {
			by, _ := c.iam.Uses(c.account, p.ARN(c.account))
			return len(by) == 0
		})
	}
	return page(c, "Policies", all, func(p *iam.Policy) string { return p.Name }, func(p *iam.Policy) { c.policy(p, false) })
}

func deletePolicy(c *call) error { return c.iam.DeletePolicy(c.account, c.Get("PolicyArn")) }

// version writes a version; whole: with its text.
func (c *call) version(p *iam.Policy, v iam.Version, whole bool) {
	if whole {
		c.Out.Must("Document", encoded(v.Document))
	}
	c.Out.Must("VersionId", v.ID)
	c.Out.Yes("IsDefaultVersion", p.Default == v.ID)
	c.time("CreateDate", v.Created)
}

func createVersion(c *call) error {
	p, v, err := c.iam.CreatePolicyVersion(c.account, c.Get("PolicyArn"), c.Get("PolicyDocument"), c.Yes("SetAsDefault"))
	if err != nil {
		return err
	}
	c.Out.In("PolicyVersion", func() { c.version(p, v, false) })
	return nil
}

func getVersion(c *call) error {
	p, err := c.named()
	if err != nil {
		return err
	}
	v, err := p.Version(c.Get("VersionId"))
	if err != nil {
		return err
	}
	c.Out.In("PolicyVersion", func() { c.version(p, v, true) })
	return nil
}

func listVersions(c *call) error {
	p, err := c.named()
	if err != nil {
		return err
	}
	all := slices.Clone(p.Versions)
	slices.Reverse(all) // the newest first
	return page(c, "Versions", all, place, func(v iam.Version) { c.version(p, v, false) })
}

// place is a text that rises as versions get older.
func place(v iam.Version) string {
	n, _ := strconv.Atoi(strings.TrimPrefix(v.ID, "v")) // of our making
	return strconv.Itoa(1_000_000_000 - n)
}

func setDefaultVersion(c *call) error {
	return c.iam.SetDefaultPolicyVersion(c.account, c.Get("PolicyArn"), c.Get("VersionId"))
}

func deleteVersion(c *call) error {
	return c.iam.DeletePolicyVersion(c.account, c.Get("PolicyArn"), c.Get("VersionId"))
}

func listEntities(c *call) error {
	if _, err := c.named(); err != nil {
		return err
	}
	var by []*iam.Role
	if f := c.Get("EntityFilter"); f == "" || f == "Role" {
		by, _ = c.iam.Uses(c.account, c.Get("PolicyArn"))
	}
	c.Out.In("PolicyGroups", func() {})
	c.Out.In("PolicyUsers", func() {})
	return page(c, "PolicyRoles", by, func(r *iam.Role) string { return r.Name }, func(r *iam.Role) {
		c.Out.Must("RoleName", r.Name)
		c.Out.Must("RoleId", r.ID)
	})
}

func tagPolicy(c *call) error { return c.iam.TagPolicy(c.account, c.Get("PolicyArn"), c.tags()) }

func untagPolicy(c *call) error {
	return c.iam.UntagPolicy(c.account, c.Get("PolicyArn"), c.Members("TagKeys"))
}

func listPolicyTags(c *call) error {
	p, err := c.named()
	if err != nil {
		return err
	}
	return c.pageTags(p.Tags)
}
