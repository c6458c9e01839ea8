"""Leaves a notice for everyone whom a tweet mentions."""

import os
import re

import boto3

notices = boto3.resource("dynamodb").Table(os.environ["NOTICES"])


def handler(event, context):
    for record in event["Records"]:
        tweet = {name: value["S"] for name, value in record["dynamodb"]["NewImage"].items()}
        for reader in set(re.findall(r"@(\w+)", tweet["text"])):
            # The same notice, when the record is delivered again.
            notices.put_item(Item={"reader": reader, "id": tweet["id"], "pet": tweet["pet"], "text": tweet["text"]})
