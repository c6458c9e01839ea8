package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// tableConfig is an aws_dynamodb_table, as it is configured and as it is read.
type tableConfig struct {
	name, billing, hash, sort string
	read, write               int64
	attributes                []string // "name:S", sorted
	global, local             []indexConfig
	stream                    string // view type; empty: none
	encrypted                 bool
	key                       string
	class                     string // empty: STANDARD
	protected                 bool
	onDemand, warm            limits
	ttl                       string
	tags                      map[string]string
}

// limits are of reads and writes.
type limits struct{ read, write int64 }

// indexConfig is one of a table's indexes.
type indexConfig struct {
	name, hash, sort, projection string
	carried                      string // joined by commas
	read, write                  int64
	onDemand, warm               limits
}

func keysOf(hash, sort string) []types.KeySchemaElement {
	keys := []types.KeySchemaElement{{AttributeName: &hash, KeyType: types.KeyTypeHash}}
	if sort != "" {
		keys = append(keys, types.KeySchemaElement{AttributeName: &sort, KeyType: types.KeyTypeRange})
	}
	return keys
}

func (c *tableConfig) definitions() (all []types.AttributeDefinition) {
	for _, a := range c.attributes {
		name, kind, _ := strings.Cut(a, ":")
		all = append(all, types.AttributeDefinition{AttributeName: &name, AttributeType: types.ScalarAttributeType(kind)})
	}
	return all
}

func (x *indexConfig) projected() *types.Projection {
	p := &types.Projection{ProjectionType: types.ProjectionType(x.projection)}
	if x.carried != "" {
		p.NonKeyAttributes = strings.Split(x.carried, ",")
	}
	return p
}

func (l limits) onDemandThroughput() *types.OnDemandThroughput {
	if l == (limits{}) {
		return nil
	}
	return &types.OnDemandThroughput{MaxReadRequestUnits: &l.read, MaxWriteRequestUnits: &l.write}
}

func (l limits) warmThroughput() *types.WarmThroughput {
	if l == (limits{}) {
		return nil
	}
	return &types.WarmThroughput{ReadUnitsPerSecond: &l.read, WriteUnitsPerSecond: &l.write}
}

func (c *tableConfig) throughput(read, write int64) *types.ProvisionedThroughput {
	if c.billing != "PROVISIONED" {
		return nil
	}
	return &types.ProvisionedThroughput{ReadCapacityUnits: &read, WriteCapacityUnits: &write}
}

func dynamoTags(m map[string]string) (all []types.Tag) {
	for k, v := range m {
		all = append(all, types.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	return all
}

// table is DescribeTable.
func (p *provider) table(name string) *types.TableDescription {
	p.Helper()
	out, err := p.tables.DescribeTable(p.ctx, &dynamodb.DescribeTableInput{TableName: &name})
	p.must(out, err)
	return out.Table
}

func (p *provider) streamOf(name string) string { return aws.ToString(p.table(name).LatestStreamArn) }

// tableSettled waits as the provider does after each change of a table.
func (p *provider) tableSettled(name string) {
	p.Helper()
	p.until("the table", func() string { return string(p.table(name).TableStatus) }, []string{"CREATING", "UPDATING"}, "ACTIVE")
	p.until("its warm throughput", func() string { return string(p.table(name).WarmThroughput.Status) }, []string{"UPDATING"}, "ACTIVE")
	for _, x := range p.table(name).GlobalSecondaryIndexes {
		p.until("the index "+aws.ToString(x.IndexName), func() string { return p.indexIs(name, aws.ToString(x.IndexName)) }, []string{"CREATING", "UPDATING"}, "ACTIVE")
	}
}

func (p *provider) indexIs(table, index string) string {
	p.Helper()
	for _, x := range p.table(table).GlobalSecondaryIndexes {
		if aws.ToString(x.IndexName) == index {
			return string(x.IndexStatus)
		}
	}
	return "gone"
}

func (p *provider) createTable(c tableConfig) {
	p.Helper()
	in := &dynamodb.CreateTableInput{TableName: &c.name, BillingMode: types.BillingMode(c.billing), KeySchema: keysOf(c.hash, c.sort), AttributeDefinitions: c.definitions(),
		ProvisionedThroughput: c.throughput(c.read, c.write), OnDemandThroughput: c.onDemand.onDemandThroughput(), WarmThroughput: c.warm.warmThroughput(),
		TableClass: types.TableClass(c.class), Tags: dynamoTags(c.tags)}
	for _, x := range c.global {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{IndexName: &x.name, KeySchema: keysOf(x.hash, x.sort), Projection: x.projected(),
			ProvisionedThroughput: c.throughput(x.read, x.write), OnDemandThroughput: x.onDemand.onDemandThroughput(), WarmThroughput: x.warm.warmThroughput()})
	}
	for _, x := range c.local {
		in.LocalSecondaryIndexes = append(in.LocalSecondaryIndexes, types.LocalSecondaryIndex{IndexName: &x.name, KeySchema: keysOf(c.hash, x.sort), Projection: x.projected()})
	}
	if c.protected {
		in.DeletionProtectionEnabled = &c.protected
	}
	if c.stream != "" {
		in.StreamSpecification = &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewType(c.stream)}
	}
	if c.encrypted {
		in.SSESpecification = c.encryption()
	}
	p.must(p.tables.CreateTable(p.ctx, in))
	p.tableSettled(c.name)
	if c.ttl != "" {
		p.setTTL(c.name, c.ttl, true)
	}
}

func (c *tableConfig) encryption() *types.SSESpecification {
	s := &types.SSESpecification{Enabled: &c.encrypted}
	if c.key != "" {
		s.KMSMasterKeyId, s.SSEType = &c.key, types.SSETypeKms
	}
	return s
}

func (p *provider) setTTL(table, attribute string, on bool) {
	p.Helper()
	p.must(p.tables.UpdateTimeToLive(p.ctx, &dynamodb.UpdateTimeToLiveInput{TableName: &table, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: &attribute, Enabled: &on}}))
	pending, target := []string{"DISABLED", "ENABLING"}, "ENABLED"
	if !on {
		pending, target = []string{"ENABLED", "DISABLING"}, "DISABLED"
	}
	p.until("its time to live", func() string {
		out, err := p.tables.DescribeTimeToLive(p.ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &table})
		p.must(out, err)
		return string(out.TimeToLiveDescription.TimeToLiveStatus)
	}, pending, target)
}

// readTable reads a table as the provider does, defaults and all.
func (p *provider) readTable(name string) (c tableConfig) {
	p.Helper()
	t := p.table(name)
	if t.TableArn == nil || aws.ToString(t.TableName) != name {
		p.Fatalf("the table is %+v", t)
	}
	c = tableConfig{name: name, billing: "PROVISIONED", protected: aws.ToBool(t.DeletionProtectionEnabled), tags: map[string]string{}}
	if t.BillingModeSummary != nil {
		c.billing = string(t.BillingModeSummary.BillingMode)
	}
	if t.ProvisionedThroughput != nil {
		c.read, c.write = aws.ToInt64(t.ProvisionedThroughput.ReadCapacityUnits), aws.ToInt64(t.ProvisionedThroughput.WriteCapacityUnits)
	}
	for _, a := range t.AttributeDefinitions {
		c.attributes = append(c.attributes, aws.ToString(a.AttributeName)+":"+string(a.AttributeType))
	}
	slices.Sort(c.attributes)
	c.hash, c.sort = keysRead(t.KeySchema)
	for _, x := range t.LocalSecondaryIndexes {
		_, sort := keysRead(x.KeySchema)
		c.local = append(c.local, indexConfig{name: aws.ToString(x.IndexName), sort: sort, projection: string(x.Projection.ProjectionType), carried: strings.Join(x.Projection.NonKeyAttributes, ",")})
	}
	for _, x := range t.GlobalSecondaryIndexes {
		one := indexConfig{name: aws.ToString(x.IndexName), projection: string(x.Projection.ProjectionType), carried: strings.Join(x.Projection.NonKeyAttributes, ",")}
		one.hash, one.sort = keysRead(x.KeySchema)
		if x.ProvisionedThroughput != nil {
			one.read, one.write = aws.ToInt64(x.ProvisionedThroughput.ReadCapacityUnits), aws.ToInt64(x.ProvisionedThroughput.WriteCapacityUnits)
		}
		one.onDemand, one.warm = onDemandRead(x.OnDemandThroughput), warmRead(x.WarmThroughput)
		c.global = append(c.global, one)
	}
	for _, all := range [][]indexConfig{c.global, c.local} {
		slices.SortFunc(all, func(a, b indexConfig) int { return strings.Compare(a.name, b.name) })
	}
	if s := t.StreamSpecification; s != nil && aws.ToBool(s.StreamEnabled) {
		if c.stream = string(s.StreamViewType); t.LatestStreamArn == nil || t.LatestStreamLabel == nil {
			p.Error("the stream has no ARN and label")
		}
	}
	if s := t.SSEDescription; s != nil {
		c.encrypted = s.Status == types.SSEStatusEnabled
		if aws.ToString(s.KMSMasterKeyArn) == "" {
			p.Errorf("the encryption is %+v", s)
		}
		if c.encrypted && strings.Contains(aws.ToString(s.KMSMasterKeyArn), "key/mine") {
			c.key = aws.ToString(s.KMSMasterKeyArn)
		}
	}
	if s := t.TableClassSummary; s != nil && s.TableClass != types.TableClassStandard {
		c.class = string(s.TableClass)
	}
	c.onDemand = onDemandRead(t.OnDemandThroughput)
	if w := t.WarmThroughput; w != nil {
		c.warm = warmRead(&types.GlobalSecondaryIndexWarmThroughputDescription{ReadUnitsPerSecond: w.ReadUnitsPerSecond, WriteUnitsPerSecond: w.WriteUnitsPerSecond})
	}
	backups, err := p.tables.DescribeContinuousBackups(p.ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: &name})
	p.must(backups, err)
	if d := backups.ContinuousBackupsDescription.PointInTimeRecoveryDescription; d != nil && d.PointInTimeRecoveryStatus != types.PointInTimeRecoveryStatusDisabled {
		p.Errorf("point-in-time recovery is %s", d.PointInTimeRecoveryStatus)
	}
	ttl, err := p.tables.DescribeTimeToLive(p.ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &name})
	p.must(ttl, err)
	if d := ttl.TimeToLiveDescription; d.TimeToLiveStatus == types.TimeToLiveStatusEnabled {
		c.ttl = aws.ToString(d.AttributeName)
	}
	tags, err := p.tables.ListTagsOfResource(p.ctx, &dynamodb.ListTagsOfResourceInput{ResourceArn: t.TableArn})
	p.must(tags, err)
	for _, t := range tags.Tags {
		c.tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return c
}

func keysRead(keys []types.KeySchemaElement) (hash, sort string) {
	for _, k := range keys {
		if k.KeyType == types.KeyTypeHash {
			hash = aws.ToString(k.AttributeName)
		} else {
			sort = aws.ToString(k.AttributeName)
		}
	}
	return hash, sort
}

func onDemandRead(o *types.OnDemandThroughput) (l limits) {
	if o != nil {
		l = limits{aws.ToInt64(o.MaxReadRequestUnits), aws.ToInt64(o.MaxWriteRequestUnits)}
	}
	return l
}

// warmRead counts what every table has as if it was not there, as the provider does.
func warmRead(w *types.GlobalSecondaryIndexWarmThroughputDescription) (l limits) {
	if w != nil {
		l = limits{aws.ToInt64(w.ReadUnitsPerSecond), aws.ToInt64(w.WriteUnitsPerSecond)}
	}
	if l.read <= 12000 && l.write <= 4000 {
		return limits{}
	}
	return l
}

func (p *provider) updateTable(name string, in dynamodb.UpdateTableInput) {
	p.Helper()
	in.TableName = &name
	p.must(p.tables.UpdateTable(p.ctx, &in))
	p.tableSettled(name)
}

// updateTableTo makes the calls of an apply, in the provider's order.
func (p *provider) updateTableTo(is, c tableConfig) {
	p.Helper()
	name := c.name
	index := func(all []indexConfig, name string) *indexConfig {
		for i := range all {
			if all[i].name == name {
				return &all[i]
			}
		}
		return nil
	}
	anew := func(a, b indexConfig) bool { // an index of other keys or projection is another one
		a.read, a.write, a.onDemand, a.warm = b.read, b.write, b.onDemand, b.warm
		return a != b
	}
	var made []indexConfig
	for _, x := range is.global {
		if y := index(c.global, x.name); y != nil && !anew(x, *y) {
			continue
		}
		p.must(p.tables.UpdateTable(p.ctx, &dynamodb.UpdateTableInput{TableName: &name, GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{{Delete: &types.DeleteGlobalSecondaryIndexAction{IndexName: &x.name}}}}))
		p.until("the index", func() string { return p.indexIs(name, x.name) }, []string{"ACTIVE", "DELETING", "UPDATING"}, "gone")
		p.tableSettled(name)
	}
	if is.class != c.class {
		class := types.TableClassStandard
		if c.class != "" {
			class = types.TableClass(c.class)
		}
		p.updateTable(name, dynamodb.UpdateTableInput{TableClass: class})
	}
	stream := func(on bool) *types.StreamSpecification {
		s := &types.StreamSpecification{StreamEnabled: &on}
		if on {
			s.StreamViewType = types.StreamViewType(c.stream)
		}
		return s
	}
	// One UpdateTable for all of the following.
	var one dynamodb.UpdateTableInput
	change := false
	switch {
	case is.stream == c.stream:
	case is.stream != "" && c.stream != "": // another view: off, and on again
		p.updateTable(name, dynamodb.UpdateTableInput{StreamSpecification: stream(false)})
		p.updateTable(name, dynamodb.UpdateTableInput{StreamSpecification: stream(true)})
	default:
		one.StreamSpecification, change = stream(c.stream != ""), true
	}
	if is.billing != c.billing || is.read != c.read || is.write != c.write {
		one.BillingMode, one.ProvisionedThroughput, change = types.BillingMode(c.billing), c.throughput(c.read, c.write), true
	}
	if is.protected != c.protected {
		one.DeletionProtectionEnabled, change = &c.protected, true
	}
	if is.onDemand != c.onDemand {
		one.OnDemandThroughput, change = c.onDemand.onDemandThroughput(), true
	}
	for _, x := range c.global {
		y := index(is.global, x.name)
		if y == nil || anew(*y, x) {
			made = append(made, x)
			continue
		}
		if y.read != x.read || y.write != x.write || y.onDemand != x.onDemand {
			one.GlobalSecondaryIndexUpdates, change = append(one.GlobalSecondaryIndexUpdates, types.GlobalSecondaryIndexUpdate{Update: &types.UpdateGlobalSecondaryIndexAction{
				IndexName: &x.name, ProvisionedThroughput: c.throughput(x.read, x.write), OnDemandThroughput: x.onDemand.onDemandThroughput()}}), true
		}
	}
	if change {
		p.updateTable(name, one)
	}
	for _, x := range made {
		p.updateTable(name, dynamodb.UpdateTableInput{AttributeDefinitions: c.definitions(), GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{{Create: &types.CreateGlobalSecondaryIndexAction{
			IndexName: &x.name, KeySchema: keysOf(x.hash, x.sort), Projection: x.projected(), ProvisionedThroughput: c.throughput(x.read, x.write),
			OnDemandThroughput: x.onDemand.onDemandThroughput(), WarmThroughput: x.warm.warmThroughput()}}}})
	}
	if is.encrypted != c.encrypted || is.key != c.key {
		p.must(p.tables.UpdateTable(p.ctx, &dynamodb.UpdateTableInput{TableName: &name, SSESpecification: c.encryption()}))
		p.until("its encryption", func() string {
			if s := p.table(name).SSEDescription; s != nil {
				return string(s.Status)
			}
			return "DISABLED"
		}, []string{"ENABLING", "DISABLING", "UPDATING"}, "ENABLED", "DISABLED")
	}
	if is.ttl != c.ttl {
		if is.ttl != "" {
			p.setTTL(name, is.ttl, false)
		}
		if c.ttl != "" {
			p.setTTL(name, c.ttl, true)
		}
	}
	if is.warm != c.warm {
		p.updateTable(name, dynamodb.UpdateTableInput{WarmThroughput: c.warm.warmThroughput()})
	}
	arn := p.table(name).TableArn
	var gone []string
	for k := range is.tags {
		if _, ok := c.tags[k]; !ok {
			gone = append(gone, k)
		}
	}
	if len(gone) > 0 {
		p.must(p.tables.UntagResource(p.ctx, &dynamodb.UntagResourceInput{ResourceArn: arn, TagKeys: gone}))
	}
	if len(c.tags) > 0 && !maps.Equal(is.tags, c.tags) {
		p.must(p.tables.TagResource(p.ctx, &dynamodb.TagResourceInput{ResourceArn: arn, Tags: dynamoTags(c.tags)}))
	}
}

func (p *provider) deleteTable(name string) {
	p.Helper()
	p.must(p.tables.DeleteTable(p.ctx, &dynamodb.DeleteTableInput{TableName: &name}))
	p.until("the table", func() string {
		out, err := p.tables.DescribeTable(p.ctx, &dynamodb.DescribeTableInput{TableName: &name})
		if code(out, err) == "ResourceNotFoundException" {
			return "gone"
		}
		p.must(out, err)
		return string(out.Table.TableStatus)
	}, []string{"ACTIVE", "DELETING"}, "gone")
}

// Each argument of aws_dynamodb_table is set when a table is made, taken away, and set on one that is there.
func TestTerraformTable(t *testing.T) {
	small := tableConfig{billing: "PAY_PER_REQUEST", hash: "id", attributes: []string{"id:S"}, tags: map[string]string{}}
	provisioned := small
	provisioned.billing, provisioned.read, provisioned.write = "PROVISIONED", 5, 6
	with := func(base tableConfig, change func(*tableConfig)) tableConfig {
		change(&base)
		return base
	}
	index := indexConfig{name: "by-customer", hash: "customer", sort: "at", projection: "INCLUDE", carried: "a,b"}
	for name, c := range map[string][2]tableConfig{
		"capacity":            {provisioned, with(provisioned, func(c *tableConfig) { c.read, c.write = 7, 8 })},
		"billing":             {provisioned, small},
		"sort key and stream": {with(small, func(c *tableConfig) { c.sort, c.attributes = "at", []string{"at:N", "id:S"} }), with(small, func(c *tableConfig) { c.sort, c.attributes, c.stream = "at", []string{"at:N", "id:S"}, "KEYS_ONLY" })},
		"view of the stream":  {with(small, func(c *tableConfig) { c.stream = "NEW_IMAGE" }), with(small, func(c *tableConfig) { c.stream = "OLD_IMAGE" })},
		"global index": {small, with(small, func(c *tableConfig) {
			c.attributes, c.global = []string{"at:N", "customer:S", "id:S"}, []indexConfig{index}
		})},
		"keys of an index": {
			with(small, func(c *tableConfig) {
				c.attributes, c.global = []string{"at:N", "customer:S", "id:S"}, []indexConfig{index}
			}),
			with(small, func(c *tableConfig) {
				c.attributes, c.global = []string{"customer:S", "id:S"}, []indexConfig{{name: "by-customer", hash: "customer", projection: "KEYS_ONLY"}, {name: "second", hash: "customer", projection: "ALL"}}
			})},
		"capacity of an index": {
			with(provisioned, func(c *tableConfig) {
				c.attributes, c.global = []string{"customer:S", "id:S"}, []indexConfig{{name: "by-x", hash: "customer", projection: "ALL", read: 1, write: 2}}
			}),
			with(provisioned, func(c *tableConfig) {
				c.attributes, c.global = []string{"customer:S", "id:S"}, []indexConfig{{name: "by-x", hash: "customer", projection: "ALL", read: 3, write: 4}}
			})},
		"local index": {with(small, func(c *tableConfig) {
			c.sort, c.attributes, c.local = "at", []string{"at:N", "id:S", "price:N"}, []indexConfig{{name: "by-price", sort: "price", projection: "INCLUDE", carried: "a"}}
		}), with(small, func(c *tableConfig) {
			c.sort, c.attributes, c.local = "at", []string{"at:N", "id:S", "price:N"}, []indexConfig{{name: "by-price", sort: "price", projection: "INCLUDE", carried: "a"}}
			c.tags = map[string]string{"a": "b"}
		})},
		"encryption":           {small, with(small, func(c *tableConfig) { c.encrypted = true })},
		"key":                  {with(small, func(c *tableConfig) { c.encrypted, c.key = true, "arn:aws:kms:us-east-1:000000000000:key/mine" }), small},
		"class":                {small, with(small, func(c *tableConfig) { c.class = "STANDARD_INFREQUENT_ACCESS" })},
		"protection":           {with(small, func(c *tableConfig) { c.protected = true }), small},
		"on-demand throughput": {with(small, func(c *tableConfig) { c.onDemand = limits{10, 20} }), with(small, func(c *tableConfig) { c.onDemand = limits{30, 20} })},
		"no more of it":        {with(small, func(c *tableConfig) { c.onDemand = limits{10, 20} }), with(small, func(c *tableConfig) { c.onDemand = limits{-1, -1} })},
		"warm throughput":      {with(small, func(c *tableConfig) { c.warm = limits{13000, 5000} }), with(small, func(c *tableConfig) { c.warm = limits{14000, 6000} })},
		"limits of an index": {
			with(small, func(c *tableConfig) {
				c.attributes, c.global = []string{"customer:S", "id:S"}, []indexConfig{{name: "by-x", hash: "customer", projection: "ALL", onDemand: limits{1, 2}, warm: limits{12001, 4001}}}
			}),
			with(small, func(c *tableConfig) {
				c.attributes, c.global = []string{"customer:S", "id:S"}, []indexConfig{{name: "by-x", hash: "customer", projection: "ALL", onDemand: limits{3, 4}, warm: limits{12001, 4001}}}
			})},
		"time to live": {small, with(small, func(c *tableConfig) { c.ttl = "expires" })},
		"tags":         {with(small, func(c *tableConfig) { c.tags = map[string]string{"a": "b", "c": "d"} }), with(small, func(c *tableConfig) { c.tags = map[string]string{"a": "x", "e": "f"} })},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t)
			first, second := c[0], c[1]
			first.name, second.name = "orders", "orders"
			p.refused("ResourceNotFoundException")(p.tables.DescribeTable(p.ctx, &dynamodb.DescribeTableInput{TableName: aws.String("orders")})) // the plan
			p.createTable(first)
			same := func(when string, c tableConfig) {
				t.Helper()
				undrifted(p, when, fmt.Sprintf("%+v", p.readTable("orders")), fmt.Sprintf("%+v", c))
			}
			same("after its creation", first)
			p.updateTableTo(first, second)
			same("after its update", second)
			switch name {
			case "protection":
				first.protected = false
				second.protected = true
				p.updateTableTo(first, second)
				p.refused("ValidationException")(p.tables.DeleteTable(p.ctx, &dynamodb.DeleteTableInput{TableName: aws.String("orders")}))
				p.updateTableTo(second, first)
			case "warm throughput", "on-demand throughput", "no more of it", "limits of an index": // these only rise, or never go
			default:
				p.updateTableTo(second, first)
				same("after it went back", first)
			}
			p.deleteTable("orders")
		})
	}
}
