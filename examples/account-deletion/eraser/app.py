"""Deletes what belongs to a leaver: records, then files, then the account itself. Every step can be done again: it deletes
what is still there.

The audit has an item for each thing that was deleted: its name and when, not what was in it. A record is deleted and told of in
one transaction. A file is told of before it is deleted, which can be done twice, so that no crash leaves one deleted and
not told of."""

import datetime
import os

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

db = boto3.client("dynamodb")
ACCOUNTS, RECORDS, AUDIT = (os.environ[name] for name in ("ACCOUNTS", "RECORDS", "AUDIT"))
files = boto3.resource(
    "s3", endpoint_url=os.environ["FILES"] or None,
    config=Config(connect_timeout=2, retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
).Bucket(os.environ["BUCKET"])


def handler(event, context):
    for record in event["Records"]:
        account = record["dynamodb"]["Keys"]["account"]["S"]
        erase_records(account)
        erase_files(account)
        erase_account(account)
        print(account, "is gone")


def erase_records(account):
    query = {
        "TableName": RECORDS, "KeyConditionExpression": "#a = :account", "ProjectionExpression": "#a, #r", "ConsistentRead": True,
        "ExpressionAttributeNames": {"#a": "account", "#r": "record"}, "ExpressionAttributeValues": {":account": {"S": account}},
        "Limit": 50,  # a transaction may have a hundred writes
    }
    while keys := db.query(**query)["Items"]:
        writes = []
        for key in keys:
            writes.append({"Delete": {"TableName": RECORDS, "Key": key}})
            writes.append({"Put": {"TableName": AUDIT, "Item": deleted(account, "record " + key["record"]["S"])}})
        db.transact_write_items(TransactItems=writes)


def erase_files(account):
    names = [f.key for f in files.objects.filter(Prefix=account + "/")]
    for first in range(0, len(names), 25):  # as many as a batch may have
        some = names[first : first + 25]
        unwritten = {AUDIT: [{"PutRequest": {"Item": deleted(account, "file " + name)}} for name in some]}
        while unwritten:
            unwritten = db.batch_write_item(RequestItems=unwritten)["UnprocessedItems"]
        answer = files.delete_objects(Delete={"Objects": [{"Key": name} for name in some], "Quiet": True})
        if answer.get("Errors"):
            raise RuntimeError(f"files are left: {answer['Errors'][0]}")


def erase_account(account):
    try:
        db.transact_write_items(TransactItems=[
            {"Delete": {"TableName": ACCOUNTS, "Key": {"account": {"S": account}}, "ConditionExpression": "attribute_exists(account)"}},
            {"Put": {"TableName": AUDIT, "Item": deleted(account, "the account")}},
        ])
    except ClientError as err:
        if "ConditionalCheckFailed" not in [r["Code"] for r in err.response.get("CancellationReasons", [])]:
            raise
        # It went with an earlier delivery of the record.


def deleted(account, thing):
    return {"account": {"S": account}, "thing": {"S": thing}, "time": {"S": datetime.datetime.now(datetime.timezone.utc).isoformat()}}
