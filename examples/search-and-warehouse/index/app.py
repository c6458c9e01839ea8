"""Keeps a search engine's index like the table, by the engine's bulk API."""

import json
import os
import urllib.request


def handler(event, context):
    lines = []
    for record in event["Records"]:
        change = record["dynamodb"]
        key = {"_index": "products", "_id": change["Keys"]["id"]["S"]}
        if record["eventName"] == "REMOVE":
            lines.append(json.dumps({"delete": key}))
        else:
            lines.append(json.dumps({"index": key}))
            lines.append(json.dumps({name: plain(value) for name, value in change["NewImage"].items()}))
    request = urllib.request.Request(
        os.environ["SEARCH"] + "/_bulk", data=("\n".join(lines) + "\n").encode(), method="POST",
        headers={"Content-Type": "application/x-ndjson"})
    with urllib.request.urlopen(request, timeout=20) as answer:  # an engine that is down: the whole batch fails
        results = json.load(answer)["items"]
    # The engine judges each document by itself. The first one that it refused, and
    # those behind it, are to come again; a document that was missing is deleted.
    for record, result in zip(event["Records"], results):
        (outcome,) = result.values()
        if outcome["status"] >= 300 and not (outcome["status"] == 404 and "delete" in result):
            print(f"{outcome['_id']}: {outcome['error']['reason']}")
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
    return {"batchItemFailures": []}


def plain(value):
    """A value of the table as JSON has it."""
    (kind, content), = value.items()
    match kind:
        case "N":
            return float(content) if "." in content or "E" in content else int(content)
        case "NULL":
            return None
        case "M":
            return {name: plain(inner) for name, inner in content.items()}
        case "L":
            return [plain(inner) for inner in content]
    return content
