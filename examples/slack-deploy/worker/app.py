"""The deploy: each state has a step of work, and ends with a conditional update to the next one, whose record in the
stream is the call for the next step. A record that is delivered again finds the deploy moved on, and does nothing."""

import os
import time

import boto3
from botocore.exceptions import ClientError

deploys = boto3.resource("dynamodb").Table(os.environ["DEPLOYS"])

STATES = ["requested", "building", "testing", "releasing", "done"]


def handler(event, context):
    for record in event["Records"]:
        image = record["dynamodb"]["NewImage"]
        step(image["id"]["S"], image["service"]["S"], image["state"]["S"])


def step(id, service, state):
    if state == STATES[-1]:
        return
    time.sleep(float(os.environ["STEP_SECONDS"]))  # here something would be built, tested or released
    following = STATES[STATES.index(state) + 1]
    try:
        deploys.update_item(
            Key={"id": id},
            UpdateExpression="SET #s = :next, history = list_append(history, :note)",
            ConditionExpression="#s = :now",
            ExpressionAttributeNames={"#s": "state"},
            ExpressionAttributeValues={":next": following, ":now": state, ":note": [f"{following} at {time.time():.3f}"]},
        )
    except ClientError as err:
        if err.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return
    print(service, following)
