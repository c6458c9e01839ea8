"""Deletes what belongs to a leaver: records, then files, then the account itself. Every step can be done again: it deletes
what is still there. What was done is added up in the audit table."""

import datetime
import os

import boto3
from boto3.dynamodb.conditions import Key
from botocore.config import Config

db = boto3.resource("dynamodb")
accounts, records, audit = (db.Table(os.environ[name]) for name in ("ACCOUNTS", "RECORDS", "AUDIT"))
files = boto3.resource(
    "s3", endpoint_url=os.environ["FILES"] or None,
    config=Config(connect_timeout=2, retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
).Bucket(os.environ["BUCKET"])


def handler(event, context):
    for record in event["Records"]:
        account = record["dynamodb"]["Keys"]["account"]["S"]
        note(account, "1 records", erase_records(account))
        note(account, "2 files", erase_files(account))
        accounts.delete_item(Key={"account": account})
        note(account, "3 account", 1)
        print(account, "is gone")


def erase_records(account):
    gone = 0
    while True:
        page = records.query(
            KeyConditionExpression=Key("account").eq(account), ProjectionExpression="#a, #r", Limit=100, ConsistentRead=True,
            ExpressionAttributeNames={"#a": "account", "#r": "record"},
        )["Items"]
        if not page:
            return gone
        with records.batch_writer() as batch:
            for key in page:
                batch.delete_item(Key=key)
        gone += len(page)


def erase_files(account):
    gone = 0
    for answer in files.objects.filter(Prefix=account + "/").delete():
        if answer.get("Errors"):
            raise RuntimeError(f"files are left: {answer['Errors'][0]}")
        gone += len(answer.get("Deleted", []))
    return gone


def note(account, step, count):
    audit.update_item(
        Key={"account": account, "step": step}, UpdateExpression="SET #t = :now ADD #c :n",
        ExpressionAttributeNames={"#t": "time", "#c": "count"},
        ExpressionAttributeValues={":now": datetime.datetime.now(datetime.timezone.utc).isoformat(), ":n": count},
    )
