"""The slash command: /deploy SERVICE begins a deploy, /deploy status ID tells how far it is. Slack wants its answer
within three seconds; a deploy takes as long as it takes."""

import base64
import json
import os
import secrets
import time
from urllib.parse import parse_qs

import boto3

deploys = boto3.resource("dynamodb").Table(os.environ["DEPLOYS"])


def handler(event, context):
    if event["routeKey"].startswith("GET"):
        deploy = find(event["pathParameters"]["id"])
        return answer(200, deploy) if deploy else answer(404, {})
    body = event["body"]
    if event["isBase64Encoded"]:
        body = base64.b64decode(body).decode()
    form = parse_qs(body)
    words = form.get("text", [""])[0].split()
    if len(words) == 2 and words[0] == "status":
        deploy = find(words[1])
        return say(f"{words[1]}: {deploy['state']}" if deploy else f"There is no deploy {words[1]}.")
    if len(words) != 1:
        return say("Say /deploy SERVICE, or /deploy status ID.")
    item = {"id": secrets.token_hex(4), "service": words[0], "by": form.get("user_name", ["somebody"])[0], "state": "requested", "history": []}
    item["history"].append(f"requested at {time.time():.3f}")
    deploys.put_item(Item=item)
    return answer(200, {"response_type": "in_channel", "text": f"Deploying {words[0]}: /deploy status {item['id']}", "id": item["id"]})


def find(id):
    return deploys.get_item(Key={"id": id}, ConsistentRead=True).get("Item")


def say(text):
    return answer(200, {"response_type": "ephemeral", "text": text})


def answer(status, body):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}
