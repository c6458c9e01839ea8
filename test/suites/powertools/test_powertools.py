"""Powertools' batch utility in functions on queues: what it names as failed comes back, the rest is gone."""
import importlib.metadata
import io
import json
import os
import sys
import time
import uuid
import zipfile

import boto3
import pytest

sqs, functions = boto3.client("sqs"), boto3.client("lambda")

HANDLER = """
import json
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, SqsFifoPartialProcessor, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

standard, fifo = BatchProcessor(event_type=EventType.SQS), SqsFifoPartialProcessor(skip_group_on_error=True)

def one(record: SQSRecord):
    body = record.json_body
    count = int(record.attributes.approximate_receive_count)
    print(json.dumps({"n": body["n"], "count": count, "group": record.attributes.message_group_id}))
    if count <= body.get("fails", 0):
        raise ValueError("not yet")

def handler(event, context):
    return process_partial_response(event=event, record_handler=one, processor=standard, context=context)

def in_order(event, context):
    return process_partial_response(event=event, record_handler=one, processor=fifo, context=context)
"""


def package():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("app.py", HANDLER)
        for name in ("aws-lambda-powertools", "typing_extensions", "jmespath"):
            for file in importlib.metadata.files(name):
                if file.suffix == ".py" and ".." not in file.parts:
                    z.write(file.locate(), str(file))
    return out.getvalue()


@pytest.fixture(scope="module")
def code():
    return package()


def function(code, handler):
    name = "f-" + uuid.uuid4().hex[:8]
    functions.create_function(FunctionName=name, Runtime="python3.%d" % sys.version_info.minor, Handler="app." + handler, Role="arn:aws:iam::000000000000:role/r",
                              Code={"ZipFile": code}, Timeout=10)
    functions.get_waiter("function_active_v2").wait(FunctionName=name)
    return name


def queue(name, **attributes):
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def counts(url):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(int(v) for v in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values())


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not become true within a minute"
        time.sleep(0.05)


def seen(name):
    logs = boto3.client("logs")
    lines = []
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/" + name):
        lines += [json.loads(e["message"]) for e in page["events"] if e["message"].startswith("{\"n\"")]
    return lines


def test_batch(code):
    dead, dead_arn = queue("dead-" + uuid.uuid4().hex[:8])
    url, arn = queue("q-" + uuid.uuid4().hex[:8], VisibilityTimeout="10", RedrivePolicy=json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2}))
    for n in range(10):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"n": n, "fails": {3: 1, 7: 9}.get(n, 0)}))
    name = function(code, "handler")
    functions.create_event_source_mapping(FunctionName=name, EventSourceArn=arn, BatchSize=10, FunctionResponseTypes=["ReportBatchItemFailures"])
    until(lambda: counts(url) == 0 and counts(dead) == 1)
    got = sorted((l["n"], l["count"]) for l in seen(name))
    assert got == sorted([(n, 1) for n in range(10)] + [(3, 2), (7, 2)])
    message = sqs.receive_message(QueueUrl=dead, MessageSystemAttributeNames=["All"])["Messages"][0]
    assert json.loads(message["Body"])["n"] == 7
    assert message["Attributes"]["DeadLetterQueueSourceArn"] == arn


def test_fifo(code):
    url, arn = queue("q-" + uuid.uuid4().hex[:8] + ".fifo", FifoQueue="true", ContentBasedDeduplication="true", VisibilityTimeout="10")
    for n in range(8):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"n": n, "fails": 1 if n == 2 else 0}), MessageGroupId="ab"[n % 2])
    name = function(code, "in_order")
    functions.create_event_source_mapping(FunctionName=name, EventSourceArn=arn, BatchSize=10, FunctionResponseTypes=["ReportBatchItemFailures"])
    until(lambda: counts(url) == 0)
    lines = seen(name)
    for group in "ab":
        done = [l["n"] for l in lines if l["group"] == group and not (l["n"] == 2 and l["count"] == 1)]
        assert done == sorted(done), lines
