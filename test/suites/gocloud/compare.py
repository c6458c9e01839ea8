"""Compares two folders of recordings, AWS's and Millstream's: the kinds of answers must be the same in each file.

The kind of an answer is its operation, status and members, for a table's description at any depth; for an error it is the
whole body. What the tables held before, the order of items and ids differ from run to run.
"""

import base64
import json
import os
import sys


def members(value):
    if isinstance(value, dict):
        return {name: members(v) for name, v in value.items()}
    if isinstance(value, list):
        return [members(v) for v in value]
    return type(value).__name__


def kinds(path):
    found = set()
    with open(path) as file:
        for entry in json.load(file)["Entries"]:
            operation = entry["Request"]["Header"]["X-Amz-Target"][0].split(".")[1]
            status = entry["Response"]["StatusCode"]
            body = json.loads(base64.b64decode(entry["Response"]["Body"]))
            if status == 200 and operation == "DescribeTable":
                body = members(body)
            elif status == 200:
                body = sorted(body)
            found.add((operation, status, json.dumps(body, sort_keys=True)))
    return found


aws, ours = sys.argv[1:]
different = files = answers = 0
for folder, _, names in os.walk(aws):
    for name in sorted(names):
        path = os.path.join(folder, name)
        one, two = kinds(path), kinds(os.path.join(ours, os.path.relpath(path, aws)))
        files, answers = files + 1, answers + len(one)
        for label, only in (("AWS alone", one - two), ("Millstream alone", two - one)):
            for kind in sorted(only):
                different += 1
                print(name, label, *kind)
print(f"{answers} kinds of answers in {files} recordings of AWS compared: {different} different")
sys.exit(different > 0 or answers == 0)
