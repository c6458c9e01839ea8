"""The whole loop with boto3: table, stream, Python function, mapping, writes."""

import io
import json
import time
import zipfile

import boto3

FUNCTION = '''
import json, os
import boto3

audit = boto3.resource("dynamodb").Table(os.environ["AUDIT_TABLE"])

def handler(event, context):
    for record in event["Records"]:
        print("saw", record["eventName"])
        audit.update_item(
            Key={"pk": "received"},
            UpdateExpression="SET records = list_append(if_not_exists(records, :none), :one)",
            ExpressionAttributeValues={":none": [], ":one": [json.dumps(record)]},
        )
    return {"seen": len(event["Records"]), "requestId": context.aws_request_id}
'''


def zipped(source):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("app.py", source)
    return data.getvalue()


def until(what, condition):
    for _ in range(600):
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise SystemExit("not within a minute: " + what)


db, streams, functions = boto3.client("dynamodb"), boto3.client("dynamodbstreams"), boto3.client("lambda")

for name in ("orders", "audit"):
    db.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **({"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}} if name == "orders" else {}),
    )
    db.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
stream = db.describe_table(TableName="orders")["Table"]["LatestStreamArn"]

functions.create_function(
    FunctionName="watch",
    Runtime="python3.12",
    Role="arn:aws:iam::000000000000:role/any",
    Handler="app.handler",
    Timeout=30,
    Code={"ZipFile": zipped(FUNCTION)},
    Environment={"Variables": {"AUDIT_TABLE": "audit"}},
)
functions.get_waiter("function_active_v2").wait(FunctionName="watch", WaiterConfig={"Delay": 1})
mapping = functions.create_event_source_mapping(
    EventSourceArn=stream, FunctionName="watch", StartingPosition="LATEST", BatchSize=10
)["UUID"]
until("mapping enabled", lambda: functions.get_event_source_mapping(UUID=mapping)["State"] == "Enabled")

db.put_item(TableName="orders", Item={"pk": {"S": "1"}, "amount": {"N": "12.50"}, "blob": {"B": b"\x00\xff"}})
db.update_item(
    TableName="orders",
    Key={"pk": {"S": "1"}},
    UpdateExpression="SET amount = amount + :more, paid = :yes",
    ExpressionAttributeValues={":more": {"N": "7.5"}, ":yes": {"BOOL": True}},
)
db.put_item(TableName="orders", Item={"pk": {"S": "2"}, "tags": {"SS": ["a", "b"]}})
db.put_item(TableName="orders", Item={"pk": {"S": "2"}, "tags": {"SS": ["b", "a"]}})  # no change, no record
db.delete_item(TableName="orders", Key={"pk": {"S": "1"}})


def received():
    """What the function has been given, in order."""
    item = db.get_item(TableName="audit", Key={"pk": {"S": "received"}}, ConsistentRead=True).get("Item", {"records": {"L": []}})
    return [json.loads(r["S"]) for r in item["records"]["L"]]


until("four records", lambda: len(received()) >= 4)
records = received()
one = {"pk": {"S": "1"}, "amount": {"N": "12.5"}, "blob": {"B": "AP8="}}
two = {"pk": {"S": "1"}, "amount": {"N": "20"}, "blob": {"B": "AP8="}, "paid": {"BOOL": True}}
want = [
    ("INSERT", "1", one, None),
    ("MODIFY", "1", two, one),
    ("INSERT", "2", {"pk": {"S": "2"}, "tags": {"SS": ["a", "b"]}}, None),
    ("REMOVE", "1", None, two),
]
assert len(records) == 4, records
for got, (name, key, new, old) in zip(records, want):
    change = got["dynamodb"]
    assert got["eventName"] == name and got["eventSource"] == "aws:dynamodb" and got["eventVersion"] == "1.1", got
    assert got["eventSourceARN"] == stream and got["awsRegion"] == "us-east-1", got
    assert change["Keys"] == {"pk": {"S": key}}, got
    assert change.get("NewImage") == new and change.get("OldImage") == old, got
    assert change["StreamViewType"] == "NEW_AND_OLD_IMAGES" and len(got["eventID"]) == 32, got

# The same records by the Streams API.
shard = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]["ShardId"]
iterator = streams.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
page = streams.get_records(ShardIterator=iterator)["Records"]
assert [r["eventID"] for r in page] == [r["eventID"] for r in records], page

answer = functions.invoke(FunctionName="watch", Payload=json.dumps({"Records": []}), LogType="Tail")
assert json.loads(answer["Payload"].read())["seen"] == 0, answer
print("boto3", boto3.__version__, "saw exactly the four changes")
