package iam

import (
	"maps"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/iam"
)

// role writes a role; whole: with what a list leaves out.
func (c *call) role(r *iam.Role, whole bool) {
	d := c.Out
	d.Must("Path", r.Path)
	d.Must("RoleName", r.Name)
	d.Must("RoleId", r.ID)
	d.Must("Arn", r.ARN(c.account))
	c.time("CreateDate", r.Created)
	d.Must("AssumeRolePolicyDocument", encoded(r.Trust))
	d.Text("Description", r.Description)
	d.Must("MaxSessionDuration", itoa(r.MaxSessionSeconds))
	if !whole {
		return
	}
	if r.Boundary != "" {
		d.In("PermissionsBoundary", func() {
			d.Must("PermissionsBoundaryType", "Policy")
			d.Must("PermissionsBoundaryArn", r.Boundary)
		})
	}
	if len(r.Tags) > 0 {
		c.writeTags(r.Tags)
	}
	d.In("RoleLastUsed", func() {})
}

// shown writes a role as a result.
func (c *call) shown(r *iam.Role, err error) error {
	if err == nil {
		c.Out.In("Role", func() { c.role(r, true) })
	}
	return err
}

func createRole(c *call) error {
	session, err := c.number("MaxSessionDuration")
	if err != nil {
		return err
	}
	r := iam.Role{Name: c.Get("RoleName"), Path: c.Get("Path"), Description: c.Get("Description"), Trust: c.Get("AssumeRolePolicyDocument"),
		Boundary: c.Get("PermissionsBoundary"), Tags: c.tags()}
	if session != nil {
		r.MaxSessionSeconds = *session
	}
	return c.shown(c.iam.CreateRole(c.account, r))
}

func getRole(c *call) error { return c.shown(c.iam.Role(c.account, c.Get("RoleName"))) }

func listRoles(c *call) error {
	return page(c, "Roles", c.iam.Roles(c.account, c.prefix()), func(r *iam.Role) string { return r.Name }, func(r *iam.Role) { c.role(r, false) })
}

func updateRole(c *call) error {
	session, err := c.number("MaxSessionDuration")
	if err != nil {
		return err
	}
	_, err = c.iam.UpdateRole(c.account, c.Get("RoleName"), c.text("Description"), session)
	return err
}

func updateRoleDescription(c *call) error {
	description := c.Get("Description")
	return c.shown(c.iam.UpdateRole(c.account, c.Get("RoleName"), &description, nil))
}

func updateTrust(c *call) error {
	return c.iam.SetTrust(c.account, c.Get("RoleName"), c.Get("PolicyDocument"))
}

func deleteRole(c *call) error { return c.iam.DeleteRole(c.account, c.Get("RoleName")) }

func putBoundary(c *call) error {
	if c.Get("PermissionsBoundary") == "" {
		return invalid("1 validation error detected: Value at 'permissionsBoundary' failed to satisfy constraint: Member must not be null")
	}
	return c.iam.SetBoundary(c.account, c.Get("RoleName"), c.Get("PermissionsBoundary"))
}

func deleteBoundary(c *call) error { return c.iam.SetBoundary(c.account, c.Get("RoleName"), "") }

func tagRole(c *call) error { return c.iam.TagRole(c.account, c.Get("RoleName"), c.tags()) }

func untagRole(c *call) error {
	return c.iam.UntagRole(c.account, c.Get("RoleName"), c.Members("TagKeys"))
}

// pageTags writes a list of tags.
func (c *call) pageTags(all []iam.Tag) error {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b iam.Tag) int { return strings.Compare(a.Key, b.Key) })
	return page(c, "Tags", all, func(t iam.Tag) string { return t.Key }, func(t iam.Tag) { c.Out.Must("Key", t.Key); c.Out.Must("Value", t.Value) })
}

func listRoleTags(c *call) error {
	r, err := c.iam.Role(c.account, c.Get("RoleName"))
	if err != nil {
		return err
	}
	return c.pageTags(r.Tags)
}

func putRolePolicy(c *call) error {
	return c.iam.PutRolePolicy(c.account, c.Get("RoleName"), c.Get("PolicyName"), c.Get("PolicyDocument"))
}

func getRolePolicy(c *call) error {
	r, document, err := c.iam.RolePolicy(c.account, c.Get("RoleName"), c.Get("PolicyName"))
	if err != nil {
		return err
	}
	c.Out.Must("RoleName", r.Name)
	c.Out.Must("PolicyName", c.Get("PolicyName"))
	c.Out.Must("PolicyDocument", encoded(document))
	return nil
}

func listRolePolicies(c *call) error {
	r, err := c.iam.Role(c.account, c.Get("RoleName"))
	if err != nil {
		return err
	}
	return page(c, "PolicyNames", slices.Sorted(maps.Keys(r.Inline)), same, func(s string) { c.Out.WriteString(s) })
}

func deleteRolePolicy(c *call) error {
	return c.iam.DeleteRolePolicy(c.account, c.Get("RoleName"), c.Get("PolicyName"))
}

func attachRolePolicy(c *call) error {
	return c.iam.AttachRolePolicy(c.account, c.Get("RoleName"), c.Get("PolicyArn"))
}

func detachRolePolicy(c *call) error {
	return c.iam.DetachRolePolicy(c.account, c.Get("RoleName"), c.Get("PolicyArn"))
}

func listAttached(c *call) error {
	r, err := c.iam.Role(c.account, c.Get("RoleName"))
	if err != nil {
		return err
	}
	all := slices.Sorted(slices.Values(r.Attached))
	all = slices.DeleteFunc(all, func(policy string) bool {
		_, path, _ := strings.Cut(policy, ":policy")
		return !strings.HasPrefix(path, c.prefix())
	})
	return page(c, "AttachedPolicies", all, same, func(policy string) {
		c.Out.Must("PolicyName", policy[strings.LastIndexByte(policy, '/')+1:])
		c.Out.Must("PolicyArn", policy)
	})
}

// listInstanceProfiles lists none: they belong to machines.
func listInstanceProfiles(c *call) error {
	if _, err := c.iam.Role(c.account, c.Get("RoleName")); err != nil {
		return err
	}
	return page(c, "InstanceProfiles", nil, same, func(string) {})
}

// getUser shows who calls: here that is always the account itself.
func getUser(c *call) error {
	if name := c.Get("UserName"); name != "" {
		return &iam.Error{Code: "NoSuchEntity", Message: "The user with name " + name + " cannot be found."}
	}
	c.Out.In("User", func() {
		c.Out.Must("Path", "/")
		c.Out.Must("UserName", c.account)
		c.Out.Must("UserId", c.account)
		c.Out.Must("Arn", c.Scope.Global("iam", "root"))
		c.Out.Must("CreateDate", "2000-01-01T00:00:00Z")
	})
	return nil
}

func listAliases(c *call) error {
	return page(c, "AccountAliases", nil, same, func(string) {})
}
