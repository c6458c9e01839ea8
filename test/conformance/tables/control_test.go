package tables

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

func TestCreateTableErrors(t *testing.T) {
	create := func(name, rest, message string) row {
		return row{name, "CreateTable", `{"TableName":"conf-never-made",` + rest + `}`, validation, message}
	}
	const key = `"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}]`
	const demand = `,"BillingMode":"PAY_PER_REQUEST"`
	check(t, []row{
		create("no throughput", key, invalid+"ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"),
		create("throughput on demand", key+demand+`,"ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":1}`,
			invalid+"Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"),
		create("key not defined", `"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"a","AttributeType":"S"}]`+demand, ""),
		create("too many definitions", `"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"a","AttributeType":"S"}]`+demand,
			invalid+"Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions"),
		create("first not HASH", `"KeySchema":[{"AttributeName":"pk","KeyType":"RANGE"}],"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}]`+demand,
			"Invalid KeySchema: The first KeySchemaElement is not a HASH key type"),
		create("second not RANGE", `"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"S"}]`+demand,
			"Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"),
		create("one name twice", `"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"pk","KeyType":"RANGE"}],"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}]`+demand, ""),
		create("bad type", `"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"M"}]`+demand, ""),
		create("stream without view", key+demand+`,"StreamSpecification":{"StreamEnabled":true}`, invalid+"Table is being created with a stream enabled, UpdateViewType is required"),
		create("view without stream", key+demand+`,"StreamSpecification":{"StreamEnabled":false,"StreamViewType":"NEW_IMAGE"}`,
			invalid+"Table is being created with a stream disabled, UpdateViewType should not be specified"),
		{"short name", "CreateTable", `{"TableName":"ab",` + key + demand + `}`, validation, ""},
	})
}

func TestTableLife(t *testing.T) {
	target := harness.The(t)
	name := harness.Name("life")
	body := `{"TableName":"` + name + `","BillingMode":"PROVISIONED","ProvisionedThroughput":{"ReadCapacityUnits":3,"WriteCapacityUnits":4},` +
		`"KeySchema":[{"AttributeName":"z","KeyType":"HASH"},{"AttributeName":"a","KeyType":"RANGE"}],` +
		`"AttributeDefinitions":[{"AttributeName":"z","AttributeType":"S"},{"AttributeName":"a","AttributeType":"B"}]}`
	type description struct {
		TableName, TableStatus, TableArn, TableId string
		ItemCount, TableSizeBytes                 *int64
		CreationDateTime                          float64
		DeletionProtectionEnabled                 *bool
		KeySchema, AttributeDefinitions           []map[string]string
		ProvisionedThroughput                     map[string]any
	}
	var created struct{ TableDescription description }
	target.Raw(t, "CreateTable", body).JSON(t, &created)
	t.Cleanup(func() { target.Drop(t, name) })
	d := created.TableDescription
	if d.TableStatus != "CREATING" {
		t.Errorf("TableStatus of the answer is %s, want CREATING", d.TableStatus)
	}
	if !regexp.MustCompile(`^arn:aws:dynamodb:[a-z0-9-]+:\d{12}:table/` + name + `$`).MatchString(d.TableArn) {
		t.Errorf("TableArn is %s", d.TableArn)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$`).MatchString(d.TableId) {
		t.Errorf("TableId is %s", d.TableId)
	}
	if d.ItemCount == nil || d.TableSizeBytes == nil || d.DeletionProtectionEnabled == nil || d.CreationDateTime == 0 {
		t.Errorf("the description lacks members: %+v", d)
	}
	if d.ProvisionedThroughput["ReadCapacityUnits"] != 3.0 || d.ProvisionedThroughput["NumberOfDecreasesToday"] != 0.0 {
		t.Errorf("ProvisionedThroughput is %v", d.ProvisionedThroughput)
	}
	target.AwaitActive(t, name)

	target.Raw(t, "CreateTable", body).Want(t, "ResourceInUseException", "Table already exists: "+name)

	var described struct{ Table description }
	target.Raw(t, "DescribeTable", `{"TableName":"`+name+`"}`).JSON(t, &described)
	if defs := described.Table.AttributeDefinitions; len(defs) != 2 || defs[0]["AttributeName"] != "a" {
		t.Errorf("AttributeDefinitions are not sorted by name: %v", defs)
	}
	if keys := described.Table.KeySchema; len(keys) != 2 || keys[0]["AttributeName"] != "z" {
		t.Errorf("KeySchema is %v", keys)
	}
	var byARN struct{ Table description }
	target.Raw(t, "DescribeTable", `{"TableName":"`+d.TableArn+`"}`).JSON(t, &byARN)
	if byARN.Table.TableName != name {
		t.Errorf("DescribeTable by ARN shows %q", byARN.Table.TableName)
	}

	target.Raw(t, "UpdateTable", `{"TableName":"`+name+`"}`).Want(t, validation, "At least one of ProvisionedThroughput...")

	var deleted struct{ TableDescription map[string]json.RawMessage }
	target.Raw(t, "DeleteTable", `{"TableName":"`+name+`"}`).JSON(t, &deleted)
	if status := string(deleted.TableDescription["TableStatus"]); status != `"DELETING"` {
		t.Errorf("TableStatus after DeleteTable is %s", status)
	}
	if deleted.TableDescription["KeySchema"] != nil {
		t.Error("DeleteTable shows a KeySchema")
	}
	harness.Eventually(t, 2*time.Minute, "the table is gone", func() bool {
		return target.Raw(t, "DescribeTable", `{"TableName":"`+name+`"}`).Type == notFound
	})

	// A table made again is another table, and empty.
	var again struct{ TableDescription description }
	target.Raw(t, "CreateTable", body).JSON(t, &again)
	if again.TableDescription.TableId == d.TableId || again.TableDescription.TableArn != d.TableArn {
		t.Errorf("made again: id %s (was %s), ARN %s (was %s)", again.TableDescription.TableId, d.TableId, again.TableDescription.TableArn, d.TableArn)
	}
	target.AwaitActive(t, name)
}

// A table made again under an old name never shows its predecessor's items.
func TestDeletedItemsStayDeleted(t *testing.T) {
	target := harness.The(t)
	table := target.Create(t, harness.Table{})
	for i := range 100 {
		table.Put(t, harness.Item{"pk": harness.S(strconv.Itoa(i))})
	}
	target.Drop(t, table.Name)
	harness.Eventually(t, 2*time.Minute, "the table is gone", func() bool {
		return target.Raw(t, "DescribeTable", `{"TableName":"`+table.Name+`"}`).Type == notFound
	})
	target.Raw(t, "CreateTable", `{"TableName":"`+table.Name+`","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],`+
		`"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}]}`).Want(t, "", "")
	target.AwaitActive(t, table.Name)
	out, err := target.DB.Scan(t.Context(), &dynamodb.ScanInput{TableName: &table.Name, ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	if out.Count != 0 {
		t.Errorf("the new table shows %d items of the old one", out.Count)
	}
}

func TestListTables(t *testing.T) {
	target := harness.The(t)
	var made []string
	for range 3 {
		made = append(made, target.Create(t, harness.Table{}).Name)
	}
	slices.Sort(made)
	var all []string
	in := &dynamodb.ListTablesInput{Limit: aws.Int32(2)}
	for {
		out, err := target.DB.ListTables(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if len(out.TableNames) > 2 {
			t.Fatalf("a page of %d with Limit 2", len(out.TableNames))
		}
		all = append(all, out.TableNames...)
		if in.ExclusiveStartTableName = out.LastEvaluatedTableName; in.ExclusiveStartTableName == nil {
			break
		}
	}
	if !slices.IsSorted(all) {
		t.Errorf("the names are not in byte order: %v", all)
	}
	for _, name := range made {
		if !slices.Contains(all, name) {
			t.Errorf("%s is not listed", name)
		}
	}
	// The start need not exist.
	out, err := target.DB.ListTables(t.Context(), &dynamodb.ListTablesInput{ExclusiveStartTableName: aws.String(made[0] + "-"), Limit: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.TableNames) != 1 || out.TableNames[0] <= made[0] {
		t.Errorf("after %s- comes %v", made[0], out.TableNames)
	}
}

func TestDescribeLimitsAndEndpoints(t *testing.T) {
	target := harness.The(t)
	limits, err := target.DB.DescribeLimits(t.Context(), &dynamodb.DescribeLimitsInput{})
	harness.Supported(t, "DescribeLimits", err)
	if aws.ToInt64(limits.AccountMaxReadCapacityUnits) < aws.ToInt64(limits.TableMaxReadCapacityUnits) || aws.ToInt64(limits.TableMaxWriteCapacityUnits) == 0 {
		t.Errorf("DescribeLimits: %+v", limits)
	}
	endpoints, err := target.DB.DescribeEndpoints(t.Context(), &dynamodb.DescribeEndpointsInput{})
	harness.Supported(t, "DescribeEndpoints", err)
	if len(endpoints.Endpoints) != 1 || endpoints.Endpoints[0].CachePeriodInMinutes == 0 {
		t.Errorf("DescribeEndpoints: %+v", endpoints.Endpoints)
	}
}

func TestStreamSettings(t *testing.T) {
	target := harness.The(t)
	table := target.Create(t, harness.Table{})
	update := func(spec string) harness.Reply {
		return target.Raw(t, "UpdateTable", `{"TableName":"`+table.Name+`","StreamSpecification":`+spec+`}`)
	}
	update(`{"StreamEnabled":false}`).Want(t, validation, "Table has no stream to disable: TableName: "+table.Name)
	update(`{"StreamEnabled":true}`).Want(t, validation, invalid+"If stream is being enabled then UpdateViewType is required")
	on := update(`{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"}`)
	on.Want(t, "", "")
	first := target.AwaitActive(t, table.Name)
	if first.StreamSpecification == nil || aws.ToString(first.LatestStreamArn) == "" {
		t.Fatalf("after enabling: %+v", first)
	}
	update(`{"StreamEnabled":true,"StreamViewType":"NEW_IMAGE"}`).Want(t, validation, "Table already has an enabled stream: TableName: "+table.Name)
	update(`{"StreamEnabled":false,"StreamViewType":"KEYS_ONLY"}`).Want(t, validation, invalid+"If stream is being disabled, then UpdateViewType must not be specified")
	update(`{"StreamEnabled":false}`).Want(t, "", "")
	off := target.AwaitActive(t, table.Name)
	if off.StreamSpecification != nil || aws.ToString(off.LatestStreamArn) != aws.ToString(first.LatestStreamArn) {
		t.Errorf("after disabling: specification %v, ARN %v (was %v)", off.StreamSpecification, aws.ToString(off.LatestStreamArn), aws.ToString(first.LatestStreamArn))
	}
	update(`{"StreamEnabled":true,"StreamViewType":"NEW_IMAGE"}`).Want(t, "", "")
	second := target.AwaitActive(t, table.Name)
	if aws.ToString(second.LatestStreamArn) == aws.ToString(first.LatestStreamArn) {
		t.Error("enabling again gave the old stream's ARN")
	}
	if second.StreamSpecification == nil {
		t.Fatal("no stream after enabling again")
	}
	if second.StreamSpecification.StreamViewType != types.StreamViewTypeNewImage {
		t.Errorf("view type is %s", second.StreamSpecification.StreamViewType)
	}
}
