package template

import "github.com/millstreamdb/millstream/internal/setting"

// prepareGlobalTable makes of an AWS::DynamoDB::GlobalTable the table that its replica in
// this region is. The CDK's TableV2 makes such resources, mostly with one replica.
func prepareGlobalTable(c *preparation) step {
	replicas := c.props.get("Replicas")
	if replicas == nil || replicas.kind != list || len(replicas.list) == 0 {
		c.problems.add(c.r.line, "%s has no Replicas", c.r.id)
		return nil
	}
	own := replicas.list[0]
	for _, r := range replicas.list {
		if scalarOf(r.get("Region")) == c.plan.opts.Region {
			own = r
		}
	}
	for _, r := range replicas.list {
		if r != own {
			c.problems.lack(r.line, "it is not there", c.r.id+": a replica in "+scalarOf(r.get("Region"))+" is not supported")
		}
	}
	// The replica's properties and the table's, as AWS::DynamoDB::Table has them.
	t := &node{kind: object, line: c.props.line}
	for i, name := range c.props.keys {
		switch name {
		case "Replicas", "ReadOnDemandThroughputSettings", "WriteOnDemandThroughputSettings", "WriteProvisionedThroughputSettings", "ReadProvisionedThroughputSettings":
		case "GlobalSecondaryIndexes":
			t = t.with(name, withoutThroughput(c.props.vals[i]))
		default:
			t = t.with(name, c.props.vals[i])
		}
	}
	for i, name := range own.keys {
		switch name {
		case "Region", "GlobalSecondaryIndexes", "ReadProvisionedThroughputSettings", "ReadOnDemandThroughputSettings", "ReplicaStreamSpecification",
			"GlobalTableSettingsReplicationMode":
		default:
			t = t.with(name, own.vals[i])
		}
	}
	// Capacity that scales is not a local matter: all that there is, is given.
	t = t.with("BillingMode", text(c.r.line, "PAY_PER_REQUEST"))
	c.props = t
	table := &table{}
	c.into(&table.props)
	c.checkTags(setting.Table)
	c.tableNamed(&table.props)
	return table
}

func withoutThroughput(indexes *node) *node {
	out := &node{kind: indexes.kind, line: indexes.line, text: indexes.text}
	for _, i := range indexes.list {
		if i.kind == object {
			for _, name := range []string{"WriteProvisionedThroughputSettings", "WriteOnDemandThroughputSettings", "ReadProvisionedThroughputSettings", "ReadOnDemandThroughputSettings"} {
				i = i.without(name)
			}
		}
		out.list = append(out.list, i)
	}
	return out
}
