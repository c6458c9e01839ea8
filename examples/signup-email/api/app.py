"""Takes sign-ups and answers at once. Signing up twice is one sign-up."""

import json
import os

import boto3
from botocore.exceptions import ClientError

signups = boto3.resource("dynamodb").Table(os.environ["SIGNUPS"])


def handler(event, context):
    try:
        body = json.loads(event["body"])
        item = {"email": body["email"].strip().lower(), "name": body["name"]}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {"statusCode": 400, "body": json.dumps({"error": "want email and name"})}
    try:
        signups.put_item(Item=item, ConditionExpression="attribute_not_exists(email)")
    except ClientError as err:
        if err.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
    return {"statusCode": 202, "body": json.dumps(item)}
