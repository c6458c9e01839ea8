"""Delivers what has gone to the queue: python3 redeliver.py QUEUE_URL

The documents in the queue say where the records are, and hold none of them. So each is
read from the stream again, as long as that has it (24 hours), and handed to the function.
Needs boto3, and the endpoint in AWS_ENDPOINT_URL when it is not AWS's.
"""

import datetime
import json
import sys

import boto3

queues, streams, functions = boto3.client("sqs"), boto3.client("dynamodbstreams"), boto3.client("lambda")


def records(info):
    """The records that a document of the queue speaks of."""
    iterator = streams.get_shard_iterator(
        StreamArn=info["streamArn"], ShardId=info["shardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER", SequenceNumber=info["startSequenceNumber"])["ShardIterator"]
    while iterator:
        page = streams.get_records(ShardIterator=iterator)
        for record in page["Records"]:
            if int(record["dynamodb"]["SequenceNumber"]) > int(info["endSequenceNumber"]):
                return
            yield record
        if not page["Records"]:
            return
        iterator = page.get("NextShardIterator")


def plain(value):
    return value.timestamp() if isinstance(value, datetime.datetime) else str(value)


def redeliver(queue):
    """Empties the queue; what fails again stays in it."""
    delivered = 0
    while messages := queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            document = json.loads(message["Body"])
            event = {"Records": list(records(document["DDBStreamBatchInfo"]))}
            answer = functions.invoke(FunctionName=document["requestContext"]["functionArn"], Payload=json.dumps(event, default=plain))
            failed = "FunctionError" in answer or json.load(answer["Payload"])["batchItemFailures"]
            if not failed:
                queues.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                delivered += len(event["Records"])
    return delivered


print(redeliver(sys.argv[1]), "records delivered")
