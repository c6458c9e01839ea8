"""The resource interface of boto3: Table, Key and Attr, batch_writer, collections, paginators, waiters, PartiQL."""

from decimal import Decimal

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary
from botocore.exceptions import ClientError

dynamodb = boto3.resource("dynamodb")
client = boto3.client("dynamodb")


@pytest.fixture(scope="module")
def table():
    made = dynamodb.create_table(
        TableName="resource",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in (("pk", "S"), ("sk", "N"), ("color", "S"), ("blob", "B"))],
        LocalSecondaryIndexes=[{
            "IndexName": "by-color", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "color", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"}}],
        GlobalSecondaryIndexes=[{
            "IndexName": "by-blob", "KeySchema": [{"AttributeName": "blob", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"},
            "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}],
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        SSESpecification={"Enabled": True},
        Tags=[{"Key": "a", "Value": "b"}],
    )
    made.wait_until_exists()
    yield made
    made.delete()
    made.wait_until_not_exists()
    with pytest.raises(ClientError) as e:
        made.load()
    assert e.value.response["Error"]["Code"] == "ResourceNotFoundException"


def failure(call, *args, **kwargs):
    with pytest.raises(ClientError) as e:
        call(*args, **kwargs)
    return e.value.response


def test_table(table):
    table.load()
    assert table.table_status == "ACTIVE"
    assert table.key_schema[0] == {"AttributeName": "pk", "KeyType": "HASH"}
    assert table.provisioned_throughput["ReadCapacityUnits"] == 5
    assert table.stream_specification == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table.sse_description["Status"] == "ENABLED" and table.sse_description["SSEType"] == "KMS"
    assert table.latest_stream_arn.endswith(table.latest_stream_label)
    assert [t.name for t in dynamodb.tables.all() if t.name == "resource"] == ["resource"]
    changed = table.update(ProvisionedThroughput={"ReadCapacityUnits": 6, "WriteCapacityUnits": 6})
    assert changed.name == "resource"
    table.reload()
    assert table.provisioned_throughput["WriteCapacityUnits"] == 6
    assert table.global_secondary_indexes[0]["WarmThroughput"] == {"ReadUnitsPerSecond": 1, "WriteUnitsPerSecond": 1, "Status": "ACTIVE"}


def test_types(table):
    item = {
        "pk": "types", "sk": 1, "text": "☃", "empty": "", "big": Decimal("1234567890123456789012345678901234567.8"), "tiny": Decimal("1E-130"),
        "huge": Decimal("9.9E+37"), "bytes": Binary(b"\x00\xff"), "flag": True, "nothing": None, "list": [1, "a", [None]], "map": {"a": {"b": Decimal("0.5")}},
        "strings": {"a", "b"}, "numbers": {Decimal(1), Decimal("2.5")}, "binaries": {Binary(b"a")}, "blob": Binary(b"key"),
    }
    table.put_item(Item=item)
    assert table.get_item(Key={"pk": "types", "sk": 1}, ConsistentRead=True)["Item"] == item
    assert "Item" not in table.get_item(Key={"pk": "types", "sk": 2})
    found = table.query(IndexName="by-blob", KeyConditionExpression=Key("blob").eq(Binary(b"key")))
    assert found["Items"] == [item]


def test_conditions(table):
    key = {"pk": "conditions", "sk": 1}
    table.put_item(Item={**key, "n": 5, "text": "cat", "tags": {"x"}, "list": [1, 2], "map": {"a": 1}}, ConditionExpression=Attr("pk").not_exists())
    refused = failure(table.put_item, Item=key, ConditionExpression=Attr("pk").not_exists(), ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert refused["Error"] == {"Code": "ConditionalCheckFailedException", "Message": "The conditional request failed"}
    assert refused["Item"]["n"] == {"N": "5"}  # boto3 leaves errors as they are
    true = [
        Attr("n").eq(5), Attr("n").ne(4), Attr("n").lt(6), Attr("n").lte(5), Attr("n").gt(4), Attr("n").gte(5), Attr("n").between(5, 6),
        Attr("n").is_in([1, 5]), Attr("text").begins_with("c"), Attr("text").contains("a"), Attr("tags").contains("x"), Attr("text").size().eq(3),
        Attr("list").size().gte(2), Attr("n").attribute_type("N"), Attr("map.a").eq(1), Attr("list[1]").eq(2), Attr("missing").not_exists(),
        Attr("n").eq(1) | Attr("text").eq("cat"), Attr("n").eq(5) & ~Attr("text").eq("dog"),
    ]
    for condition in true:
        table.update_item(Key=key, UpdateExpression="SET touched = :t", ExpressionAttributeValues={":t": 1}, ConditionExpression=condition)
        answer = failure(table.delete_item, Key=key, ConditionExpression=~condition)
        assert answer["Error"]["Code"] == "ConditionalCheckFailedException", condition
    assert table.scan(FilterExpression=Attr("pk").eq("conditions"))["Count"] == 1


def test_updates(table):
    key = {"pk": "updates", "sk": 1}
    new = table.update_item(Key=key, UpdateExpression="SET a = :a, m = :m ADD n :one", ExpressionAttributeValues={":a": [1], ":m": {}, ":one": 1}, ReturnValues="ALL_NEW")
    assert new["Attributes"] == {**key, "a": [1], "m": {}, "n": 1}
    changed = table.update_item(
        Key=key, UpdateExpression="SET a[5] = :v, m.#x = n, n = n - :v REMOVE gone", ExpressionAttributeNames={"#x": "x.y"},
        ExpressionAttributeValues={":v": 3}, ReturnValues="UPDATED_NEW")
    assert changed["Attributes"]["n"] == -2 and changed["Attributes"]["m"] == {"x.y": 1}
    assert table.get_item(Key=key)["Item"]["a"] == [1, 3]
    legacy = table.update_item(Key=key, AttributeUpdates={"n": {"Action": "ADD", "Value": 5}, "m": {"Action": "DELETE"}}, ReturnValues="ALL_NEW")
    assert legacy["Attributes"] == {**key, "a": [1, 3], "n": 3}
    assert failure(table.update_item, Key=key, UpdateExpression="SET pk = :v", ExpressionAttributeValues={":v": 1})["Error"]["Message"] == (
        "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key")
    old = table.delete_item(Key=key, ReturnValues="ALL_OLD", ReturnConsumedCapacity="INDEXES", ReturnItemCollectionMetrics="SIZE")
    assert old["Attributes"]["n"] == 3
    assert old["ConsumedCapacity"]["Table"] == {"CapacityUnits": 1.0}
    assert old["ItemCollectionMetrics"]["ItemCollectionKey"] == {"pk": "updates"}


def test_batch_writer_and_reads(table):
    with table.batch_writer(overwrite_by_pkeys=["pk", "sk"]) as batch:
        for i in range(130):
            batch.put_item(Item={"pk": "batch", "sk": i % 100, "round": i, "color": f"c{i % 5}"})
    items, start = [], {}
    while True:
        page = table.query(KeyConditionExpression=Key("pk").eq("batch") & Key("sk").between(10, 89), Limit=13, **start)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert [i["sk"] for i in items] == list(range(10, 90))
    assert items[0]["round"] == 110
    for condition, count in (
        (Key("sk").lt(5), 5), (Key("sk").lte(5), 6), (Key("sk").gt(95), 4), (Key("sk").gte(95), 5), (Key("sk").eq(7), 1),
    ):
        assert table.query(KeyConditionExpression=Key("pk").eq("batch") & condition, Select="COUNT")["Count"] == count
    by_color = table.query(IndexName="by-color", KeyConditionExpression=Key("pk").eq("batch") & Key("color").begins_with("c3"), ScanIndexForward=False)
    assert by_color["Count"] == 20 and set(by_color["Items"][0]) == {"pk", "sk", "color"}
    fetched = table.query(IndexName="by-color", KeyConditionExpression=Key("pk").eq("batch") & Key("color").eq("c3"), ProjectionExpression="#r",
                          ExpressionAttributeNames={"#r": "round"}, Limit=1)
    assert set(fetched["Items"][0]) == {"round"}
    got = dynamodb.batch_get_item(RequestItems={"resource": {"Keys": [{"pk": "batch", "sk": i} for i in range(50, 150)], "ProjectionExpression": "sk"}})
    assert sorted(i["sk"] for i in got["Responses"]["resource"]) == list(range(50, 100)) and got["UnprocessedKeys"] == {}
    paginator = client.get_paginator("query")
    pages = list(paginator.paginate(TableName="resource", KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "batch"}},
                                    PaginationConfig={"PageSize": 30, "MaxItems": 70}))
    assert [len(p["Items"]) for p in pages] == [30, 30, 10]
    scanned = client.get_paginator("scan").paginate(TableName="resource", FilterExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "batch"}},
                                                    PaginationConfig={"PageSize": 11}).build_full_result()
    assert len(scanned["Items"]) == 100
    with table.batch_writer() as batch:
        for i in range(100):
            batch.delete_item(Key={"pk": "batch", "sk": i})
    assert table.query(KeyConditionExpression=Key("pk").eq("batch"))["Count"] == 0


def test_transactions(table):
    c = table.meta.client
    c.transact_write_items(TransactItems=[
        {"Put": {"TableName": "resource", "Item": {"pk": "tx", "sk": 1, "n": 1}}},
        {"Update": {"TableName": "resource", "Key": {"pk": "tx", "sk": 2}, "UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": 2}}},
        {"ConditionCheck": {"TableName": "resource", "Key": {"pk": "tx", "sk": 3}, "ConditionExpression": "attribute_not_exists(pk)"}},
    ], ClientRequestToken="tx-1")
    got = c.transact_get_items(TransactItems=[{"Get": {"TableName": "resource", "Key": {"pk": "tx", "sk": s}}} for s in (1, 2, 3)])
    assert [r.get("Item", {}).get("n") for r in got["Responses"]] == [1, 2, None]
    with pytest.raises(c.exceptions.TransactionCanceledException) as e:
        c.transact_write_items(TransactItems=[
            {"Delete": {"TableName": "resource", "Key": {"pk": "tx", "sk": 1}}},
            {"Delete": {"TableName": "resource", "Key": {"pk": "tx", "sk": 2}, "ConditionExpression": "n = :x", "ExpressionAttributeValues": {":x": 9},
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}},
        ])
    reasons = e.value.response["CancellationReasons"]
    assert [r["Code"] for r in reasons] == ["None", "ConditionalCheckFailed"]
    assert reasons[1]["Item"]["n"] == {"N": "2"}
    with pytest.raises(c.exceptions.IdempotentParameterMismatchException):
        c.transact_write_items(TransactItems=[{"Delete": {"TableName": "resource", "Key": {"pk": "tx", "sk": 1}}}], ClientRequestToken="tx-1")


def test_statements(table):
    run = table.meta.client.execute_statement
    run(Statement="INSERT INTO resource VALUE {'pk': ?, 'sk': ?, 'tags': <<'a', 'b'>>}", Parameters=["sql", 1])
    assert run(Statement="SELECT * FROM resource WHERE pk = ? AND contains(tags, 'a')", Parameters=["sql"])["Items"] == [{"pk": "sql", "sk": 1, "tags": {"a", "b"}}]
    with pytest.raises(client.exceptions.DuplicateItemException):
        client.execute_statement(Statement="INSERT INTO resource VALUE {'pk': 'sql', 'sk': 1}")
    out = run(Statement="UPDATE resource SET n = 5 WHERE pk = 'sql' AND sk = 1 RETURNING MODIFIED NEW *")
    assert out["Items"] == [{"n": 5}]
    batch = table.meta.client.batch_execute_statement(Statements=[
        {"Statement": "UPDATE resource SET n = 6 WHERE pk = 'sql' AND sk = 1"}, {"Statement": "UPDATE resource SET n = 6 WHERE pk = 'sql' AND sk = 2"}])
    assert "Error" not in batch["Responses"][0]
    assert batch["Responses"][1]["Error"]["Code"] == "ConditionalCheckFailed"
    run(Statement="DELETE FROM resource WHERE pk = 'sql' AND sk = 1")


def test_streams(table):
    streams = boto3.client("dynamodbstreams")
    table.put_item(Item={"pk": "stream", "sk": 1, "v": 1})
    table.delete_item(Key={"pk": "stream", "sk": 1})
    found = streams.list_streams(TableName="resource")["Streams"]
    assert [s["StreamArn"] for s in found] == [table.latest_stream_arn]
    shards = streams.describe_stream(StreamArn=table.latest_stream_arn)["StreamDescription"]["Shards"]
    seen = []
    for shard in shards:
        it = streams.get_shard_iterator(StreamArn=table.latest_stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while it:
            page = streams.get_records(ShardIterator=it)
            if not page["Records"]:
                break
            seen += [r for r in page["Records"] if r["dynamodb"]["Keys"]["pk"]["S"] == "stream"]
            it = page.get("NextShardIterator")
    assert [r["eventName"] for r in seen] == ["INSERT", "REMOVE"]
    assert seen[1]["dynamodb"]["OldImage"]["v"] == {"N": "1"}


def test_control_plane():
    """What administrators' scripts ask of a table."""
    arn = client.describe_table(TableName="resource")["Table"]["TableArn"]
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "c", "Value": "d"}])
    client.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "c", "Value": "d"}]
    assert client.update_table(TableName="resource", DeletionProtectionEnabled=True)["TableDescription"]["DeletionProtectionEnabled"] is True
    assert "deletion protection" in failure(client.delete_table, TableName="resource")["Error"]["Message"]
    client.update_table(TableName="resource", DeletionProtectionEnabled=False)
    assert client.describe_continuous_backups(TableName="resource")["ContinuousBackupsDescription"]["ContinuousBackupsStatus"] == "ENABLED"
    assert client.describe_time_to_live(TableName="resource")["TimeToLiveDescription"] == {"TimeToLiveStatus": "DISABLED"}
    assert client.describe_limits()["TableMaxReadCapacityUnits"] == 40000
    assert client.list_backups(TableName="resource")["BackupSummaries"] == []
    assert client.list_global_tables()["GlobalTables"] == []
    assert client.describe_endpoints()["Endpoints"][0]["CachePeriodInMinutes"] == 1440
    client.get_waiter("table_exists").wait(TableName="resource", WaiterConfig={"Delay": 1, "MaxAttempts": 3})
