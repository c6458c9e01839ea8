package template

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream/internal/setting"
)

// tableProperties are those of AWS::DynamoDB::Table.
type tableProperties struct {
	TableName              string
	AttributeDefinitions   []ddb.AttributeDefinition
	KeySchema              []ddb.KeySchemaElement
	GlobalSecondaryIndexes []globalIndex
	LocalSecondaryIndexes  []ddb.LocalSecondaryIndex
	BillingMode            ddb.BillingMode
	ProvisionedThroughput  *ddb.ProvisionedThroughput
	StreamSpecification    *struct {
		StreamViewType ddb.StreamViewType
		ResourcePolicy ignored
	}
	TimeToLiveSpecification *struct {
		AttributeName string
		Enabled       *bool
	}
	DeletionProtectionEnabled *bool
	Tags                      []tag

	PointInTimeRecoverySpecification *recovery

	KinesisStreamSpecification                                                                             unsupported `effect:"no change is sent to the Kinesis stream"`
	ImportSourceSpecification                                                                              unsupported `effect:"the table begins empty"`
	GlobalTableSettingsReplicationMode, GlobalTableSourceArn, GlobalTableWitnesses, MultiRegionConsistency unsupported

	// Keys and throughput are not a local matter.
	SSESpecification, TableClass, ContributorInsightsSpecification,
	OnDemandThroughput, WarmThroughput, ResourcePolicy ignored
}

// recovery is a PointInTimeRecoverySpecification.
type recovery struct {
	PointInTimeRecoveryEnabled bool
	RecoveryPeriodInDays       *int32
}

type globalIndex struct {
	IndexName             string
	KeySchema             []ddb.KeySchemaElement
	Projection            *ddb.Projection
	ProvisionedThroughput *ddb.ProvisionedThroughput

	OnDemandThroughput, WarmThroughput, ContributorInsightsSpecification ignored
}

func prepareTable(c *preparation) step {
	t := &table{}
	c.into(&t.props)
	c.checkTags(setting.Table)
	c.tableNamed(&t.props)
	return t
}

// prepareSimpleTable makes of SAM's SimpleTable the table that SAM makes of it.
func prepareSimpleTable(c *preparation) step {
	var p struct {
		TableName  string
		PrimaryKey *struct{ Name, Type string }

		ProvisionedThroughput *ddb.ProvisionedThroughput
		Tags                  map[string]string

		PointInTimeRecoverySpecification *recovery
		SSESpecification                 ignored
	}
	c.into(&p)
	c.checkTags(setting.Table)
	name, typ := "id", ddb.ScalarAttributeTypeS
	if p.PrimaryKey != nil {
		name = p.PrimaryKey.Name
		switch p.PrimaryKey.Type {
		case "", "String":
		case "Number":
			typ = ddb.ScalarAttributeTypeN
		case "Binary":
			typ = ddb.ScalarAttributeTypeB
		default:
			c.problems.add(c.r.line, "%s.PrimaryKey.Type must be String, Number or Binary, not %q", c.r.id, p.PrimaryKey.Type)
		}
	}
	t := &table{props: tableProperties{
		TableName:             p.TableName,
		AttributeDefinitions:  []ddb.AttributeDefinition{{AttributeName: &name, AttributeType: typ}},
		KeySchema:             []ddb.KeySchemaElement{{AttributeName: &name, KeyType: ddb.KeyTypeHash}},
		ProvisionedThroughput: p.ProvisionedThroughput,

		PointInTimeRecoverySpecification: p.PointInTimeRecoverySpecification,
	}}
	if p.ProvisionedThroughput == nil {
		t.props.BillingMode = ddb.BillingModePayPerRequest
	}
	for _, k := range sortedKeys(p.Tags) {
		t.props.Tags = append(t.props.Tags, tag{k, p.Tags[k]})
	}
	c.tableNamed(&t.props)
	return t
}

type table struct{ props tableProperties }

// stream returns the stream that is asked for, nil for none.
func (t *table) stream() *ddb.StreamSpecification {
	if t.props.StreamSpecification == nil {
		return nil
	}
	return &ddb.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: t.props.StreamSpecification.StreamViewType}
}

func (t *table) billing() ddb.BillingMode {
	if t.props.BillingMode == "" {
		return ddb.BillingModeProvisioned
	}
	return t.props.BillingMode
}

func (t *table) there(ctx context.Context, d *deployment) (ref string, err error) {
	_, err = d.describeTable(ctx, t.props.TableName)
	var missing *ddb.ResourceNotFoundException
	if errors.As(err, &missing) {
		return "", nil
	}
	return t.props.TableName, err
}

// recover sets the point-in-time recovery, and tells whether it had to be changed. Whoever says nothing of it keeps what is: turned off, the past is
// gone.
func (t *table) recover(ctx context.Context, d *deployment) (bool, error) {
	want := t.props.PointInTimeRecoverySpecification
	if want == nil {
		return false, nil
	}
	out, err := d.Tables.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: &t.props.TableName})
	if err != nil {
		return false, err
	}
	const days = 35 // of who does not say
	is := out.ContinuousBackupsDescription.PointInTimeRecoveryDescription
	on := is != nil && is.PointInTimeRecoveryStatus == ddb.PointInTimeRecoveryStatusEnabled
	if on == want.PointInTimeRecoveryEnabled && (!on || aws.ToInt32(is.RecoveryPeriodInDays) == cmp.Or(aws.ToInt32(want.RecoveryPeriodInDays), days)) {
		return false, nil
	}
	_, err = d.Tables.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{
		TableName:                        &t.props.TableName,
		PointInTimeRecoverySpecification: &ddb.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: &want.PointInTimeRecoveryEnabled, RecoveryPeriodInDays: want.RecoveryPeriodInDays},
	})
	return true, err
}

func (t *table) deploy(ctx context.Context, d *deployment) (outcome, error) {
	now, err := d.describeTable(ctx, t.props.TableName)
	var missing *ddb.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		return t.create(ctx, d)
	case err != nil:
		return outcome{}, err
	}
	return t.update(ctx, d, now)
}

func (d *deployment) describeTable(ctx context.Context, name string) (*ddb.TableDescription, error) {
	out, err := d.Tables.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
	if err != nil {
		return nil, err
	}
	return out.Table, nil
}

// settledTable waits until a table and its indexes are active.
func (d *deployment) settledTable(ctx context.Context, name string) (*ddb.TableDescription, error) {
	for wait := minWait; ; wait = min(2*wait, maxWait) {
		now, err := d.describeTable(ctx, name)
		if err != nil {
			return nil, err
		}
		busy := now.TableStatus != ddb.TableStatusActive || slices.ContainsFunc(now.GlobalSecondaryIndexes, func(i ddb.GlobalSecondaryIndexDescription) bool {
			return i.IndexStatus != ddb.IndexStatusActive
		})
		if !busy {
			return now, nil
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

func (t *table) create(ctx context.Context, d *deployment) (outcome, error) {
	p := &t.props
	in := &dynamodb.CreateTableInput{
		TableName: &p.TableName, AttributeDefinitions: p.AttributeDefinitions, KeySchema: p.KeySchema, LocalSecondaryIndexes: p.LocalSecondaryIndexes,
		BillingMode: p.BillingMode, ProvisionedThroughput: p.ProvisionedThroughput, StreamSpecification: t.stream(), DeletionProtectionEnabled: p.DeletionProtectionEnabled,
	}
	for _, i := range p.GlobalSecondaryIndexes {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, ddb.GlobalSecondaryIndex{
			IndexName: &i.IndexName, KeySchema: i.KeySchema, Projection: i.Projection, ProvisionedThroughput: i.ProvisionedThroughput,
		})
	}
	for _, one := range p.Tags {
		in.Tags = append(in.Tags, ddb.Tag{Key: aws.String(one.Key), Value: aws.String(one.Value)})
	}
	if _, err := d.Tables.CreateTable(ctx, in); err != nil {
		return outcome{}, err
	}
	now, err := d.settledTable(ctx, p.TableName)
	if err != nil {
		return outcome{}, err
	}
	if _, err := t.timeToLive(ctx, d); err != nil {
		return outcome{}, err
	}
	if _, err := t.recover(ctx, d); err != nil {
		return outcome{}, err
	}
	return t.outcome(now, Created, nil), nil
}

func (t *table) outcome(now *ddb.TableDescription, action Action, changed []string) outcome {
	if action == Unchanged && len(changed) > 0 {
		action = Updated
	}
	return outcome{name: t.props.TableName, action: action, detail: strings.Join(changed, ", "), attributes: map[string]string{
		"": t.props.TableName, "Arn": aws.ToString(now.TableArn), "StreamArn": aws.ToString(now.LatestStreamArn), "TableId": aws.ToString(now.TableId),
	}}
}

// update changes what differs, one thing a call, as UpdateTable wants it.
func (t *table) update(ctx context.Context, d *deployment, now *ddb.TableDescription) (outcome, error) {
	p := &t.props
	if keysText(now.KeySchema) != keysText(p.KeySchema) {
		return outcome{}, fmt.Errorf("the key of a table cannot be changed (it is %s, the template says %s): delete the table %s yourself, with its items, or give the resource another name",
			keysText(now.KeySchema), keysText(p.KeySchema), p.TableName)
	}
	var changed []string
	change := func(what string, in *dynamodb.UpdateTableInput) (err error) {
		in.TableName = &p.TableName
		if _, err = d.Tables.UpdateTable(ctx, in); err != nil {
			return fmt.Errorf("update the %s: %w", what, err)
		}
		if what != "" && !slices.Contains(changed, what) {
			changed = append(changed, what)
		}
		now, err = d.settledTable(ctx, p.TableName)
		return err
	}
	if in := t.throughputChange(now); in != nil {
		if err := change("billing mode", in); err != nil {
			return outcome{}, err
		}
	}
	if p.DeletionProtectionEnabled != nil && aws.ToBool(now.DeletionProtectionEnabled) != *p.DeletionProtectionEnabled {
		if err := change("deletion protection", &dynamodb.UpdateTableInput{DeletionProtectionEnabled: p.DeletionProtectionEnabled}); err != nil {
			return outcome{}, err
		}
	}
	for _, in := range t.streamChanges(now) {
		if err := change("stream", in); err != nil {
			return outcome{}, err
		}
	}
	for _, u := range t.indexChanges(now) {
		in := &dynamodb.UpdateTableInput{GlobalSecondaryIndexUpdates: []ddb.GlobalSecondaryIndexUpdate{u}}
		if u.Create != nil {
			in.AttributeDefinitions = p.AttributeDefinitions
		}
		if err := change("indexes", in); err != nil {
			return outcome{}, err
		}
	}
	ttl, err := t.timeToLive(ctx, d)
	if err != nil {
		return outcome{}, err
	}
	if ttl {
		changed = append(changed, "time to live")
	}
	recovery, err := t.recover(ctx, d)
	if err != nil {
		return outcome{}, err
	}
	if recovery {
		changed = append(changed, "point-in-time recovery")
	}
	tagged, err := t.retag(ctx, d, aws.ToString(now.TableArn))
	if err != nil {
		return outcome{}, err
	}
	if tagged {
		changed = append(changed, "tags")
	}
	return t.outcome(now, Unchanged, changed), nil
}

func (t *table) throughputChange(now *ddb.TableDescription) *dynamodb.UpdateTableInput {
	is := ddb.BillingModeProvisioned
	if now.BillingModeSummary != nil && now.BillingModeSummary.BillingMode != "" {
		is = now.BillingModeSummary.BillingMode
	}
	in := &dynamodb.UpdateTableInput{BillingMode: t.billing()}
	if in.BillingMode == ddb.BillingModePayPerRequest {
		if is == in.BillingMode {
			return nil
		}
		return in
	}
	in.ProvisionedThroughput = t.props.ProvisionedThroughput
	if want := in.ProvisionedThroughput; is == in.BillingMode && (want == nil || now.ProvisionedThroughput != nil &&
		aws.ToInt64(want.ReadCapacityUnits) == aws.ToInt64(now.ProvisionedThroughput.ReadCapacityUnits) &&
		aws.ToInt64(want.WriteCapacityUnits) == aws.ToInt64(now.ProvisionedThroughput.WriteCapacityUnits)) {
		return nil
	}
	return in
}

// streamChanges turns the stream on or off. Another view type needs both: a
// stream keeps the one it was made with.
func (t *table) streamChanges(now *ddb.TableDescription) []*dynamodb.UpdateTableInput {
	want := t.stream()
	on := now.StreamSpecification != nil && aws.ToBool(now.StreamSpecification.StreamEnabled)
	if on == (want != nil) && (!on || want.StreamViewType == now.StreamSpecification.StreamViewType) {
		return nil
	}
	var calls []*dynamodb.UpdateTableInput
	if on {
		calls = append(calls, &dynamodb.UpdateTableInput{StreamSpecification: &ddb.StreamSpecification{StreamEnabled: aws.Bool(false)}})
	}
	if want != nil {
		calls = append(calls, &dynamodb.UpdateTableInput{StreamSpecification: want})
	}
	return calls
}

// indexChanges removes and makes global indexes; one that differs is made again.
func (t *table) indexChanges(now *ddb.TableDescription) (changes []ddb.GlobalSecondaryIndexUpdate) {
	for _, is := range now.GlobalSecondaryIndexes {
		if !slices.ContainsFunc(t.props.GlobalSecondaryIndexes, func(want globalIndex) bool { return want.is(is) }) {
			changes = append(changes, ddb.GlobalSecondaryIndexUpdate{Delete: &ddb.DeleteGlobalSecondaryIndexAction{IndexName: is.IndexName}})
		}
	}
	for _, want := range t.props.GlobalSecondaryIndexes {
		if !slices.ContainsFunc(now.GlobalSecondaryIndexes, want.is) {
			changes = append(changes, ddb.GlobalSecondaryIndexUpdate{Create: &ddb.CreateGlobalSecondaryIndexAction{
				IndexName: aws.String(want.IndexName), KeySchema: want.KeySchema, Projection: want.Projection, ProvisionedThroughput: want.ProvisionedThroughput,
			}})
		}
	}
	return changes
}

// is reports whether an index is the one that is wanted.
func (i globalIndex) is(d ddb.GlobalSecondaryIndexDescription) bool {
	return i.IndexName == aws.ToString(d.IndexName) && keysText(i.KeySchema) == keysText(d.KeySchema) && projectionText(i.Projection) == projectionText(d.Projection)
}

func keysText(keys []ddb.KeySchemaElement) string {
	var parts []string
	for _, typ := range []ddb.KeyType{ddb.KeyTypeHash, ddb.KeyTypeRange} {
		for _, k := range keys {
			if k.KeyType == typ {
				parts = append(parts, aws.ToString(k.AttributeName)+" "+string(k.KeyType))
			}
		}
	}
	return strings.Join(parts, ", ")
}

func projectionText(p *ddb.Projection) string {
	if p == nil {
		return ""
	}
	names := slices.Clone(p.NonKeyAttributes)
	slices.Sort(names)
	return string(p.ProjectionType) + strings.Join(names, ",")
}

// timeToLive sets the time to live, and tells whether it had to be changed.
func (t *table) timeToLive(ctx context.Context, d *deployment) (bool, error) {
	out, err := d.Tables.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &t.props.TableName})
	if err != nil {
		return false, err
	}
	is := ""
	if now := out.TimeToLiveDescription; now != nil && (now.TimeToLiveStatus == ddb.TimeToLiveStatusEnabled || now.TimeToLiveStatus == ddb.TimeToLiveStatusEnabling) {
		is = aws.ToString(now.AttributeName)
	}
	want := ""
	if spec := t.props.TimeToLiveSpecification; spec != nil && (spec.Enabled == nil || *spec.Enabled) {
		want = spec.AttributeName
	}
	if is == want {
		return false, nil
	}
	set := func(attribute string, enabled bool) error {
		_, err := d.Tables.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{TableName: &t.props.TableName,
			TimeToLiveSpecification: &ddb.TimeToLiveSpecification{AttributeName: &attribute, Enabled: &enabled}})
		return err
	}
	if is != "" {
		if err := set(is, false); err != nil {
			return false, err
		}
	}
	if want != "" {
		if err := set(want, true); err != nil {
			return false, err
		}
	}
	return true, nil
}

// retag sets the tags that the template names.
func (t *table) retag(ctx context.Context, d *deployment, arn string) (bool, error) {
	is := map[string]string{}
	for in := (&dynamodb.ListTagsOfResourceInput{ResourceArn: &arn}); ; {
		out, err := d.Tables.ListTagsOfResource(ctx, in)
		if err != nil {
			return false, err
		}
		for _, one := range out.Tags {
			is[aws.ToString(one.Key)] = aws.ToString(one.Value)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	set, unset := tagChanges(is, tagMap(t.props.Tags))
	if len(set) > 0 {
		in := &dynamodb.TagResourceInput{ResourceArn: &arn}
		for _, k := range sortedKeys(set) {
			in.Tags = append(in.Tags, ddb.Tag{Key: aws.String(k), Value: aws.String(set[k])})
		}
		if _, err := d.Tables.TagResource(ctx, in); err != nil {
			return false, err
		}
	}
	if len(unset) > 0 {
		if _, err := d.Tables.UntagResource(ctx, &dynamodb.UntagResourceInput{ResourceArn: &arn, TagKeys: unset}); err != nil {
			return false, err
		}
	}
	return len(set)+len(unset) > 0, nil
}

// tagChanges compares tags. Those that the template does not name stay, since
// others may have set them; but Millstream's own act, so they go with the template.
func tagChanges(is, want map[string]string) (set map[string]string, unset []string) {
	set = map[string]string{}
	for k, v := range want {
		if now, ok := is[k]; !ok || now != v {
			set[k] = v
		}
	}
	for _, k := range sortedKeys(is) {
		if _, wanted := want[k]; !wanted && setting.Ours(k) {
			unset = append(unset, k)
		}
	}
	return set, unset
}
