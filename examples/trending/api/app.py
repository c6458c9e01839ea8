"""Takes tweets, and tells the trends of the windows that have closed."""

import json
import os
import uuid

import boto3

db = boto3.resource("dynamodb")
tweets, trends = db.Table(os.environ["TWEETS"]), db.Table(os.environ["TRENDS"])


def handler(event, context):
    if event["routeKey"] == "POST /tweets":
        try:
            text = json.loads(event["body"])["text"]
        except (KeyError, TypeError, ValueError):
            return answer(400, {"error": "want text"})
        tweet = {"id": str(uuid.uuid4()), "text": text}
        tweets.put_item(Item=tweet)
        return answer(201, tweet)
    # A window of a stream of several shards has an item for each; they are added up.
    windows, page = {}, {}
    while page is not None:
        found = trends.scan(**page)
        for item in found["Items"]:
            window = windows.setdefault(item["start"], {"start": item["start"], "end": item["end"], "tweets": 0, "calls": 0, "tags": {}})
            window["tweets"] += int(item["tweets"])
            window["calls"] += int(item["calls"])
            for tag, count in item["tags"].items():
                window["tags"][tag] = window["tags"].get(tag, 0) + int(count)
        last = found.get("LastEvaluatedKey")
        page = {"ExclusiveStartKey": last} if last else None
    for window in windows.values():
        window["tags"] = dict(sorted(window["tags"].items(), key=lambda tag: (-tag[1], tag[0])))
    return answer(200, sorted(windows.values(), key=lambda window: window["start"], reverse=True))


def answer(status, body):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}
