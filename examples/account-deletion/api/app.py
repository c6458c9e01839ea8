"""Marks an account as leaving and answers at once; tells what has been done for it since."""

import json
import os

import boto3
from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

db = boto3.resource("dynamodb")
accounts, audit = db.Table(os.environ["ACCOUNTS"]), db.Table(os.environ["AUDIT"])


def handler(event, context):
    account = event["pathParameters"]["account"]
    if event["routeKey"].startswith("GET"):
        things, query = [], {"KeyConditionExpression": Key("account").eq(account), "ConsistentRead": True}
        while query:
            page = audit.query(**query)
            things += [{"thing": it["thing"], "time": it["time"]} for it in page["Items"]]
            query = {**query, "ExclusiveStartKey": page["LastEvaluatedKey"]} if "LastEvaluatedKey" in page else None
        return answer(200, things)
    try:
        accounts.update_item(
            Key={"account": account}, UpdateExpression="SET #s = :leaving", ConditionExpression="#s = :active",
            ExpressionAttributeNames={"#s": "state"}, ExpressionAttributeValues={":leaving": "leaving", ":active": "active"},
        )
    except ClientError as err:
        if err.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return answer(404, {"error": "there is no such account, or it is leaving already"})
    return answer(202, {"account": account, "state": "leaving"})


def answer(status, body):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}
