import json
import os
import urllib.request


def keys(event):
    return [r['dynamodb']['Keys']['pk']['S'] for r in event['Records']]


def email(event, context):
    for key in keys(event):
        print(f'mail for <b>{key}</b>')


def indexer(event, context):
    if 'poison' in keys(event):
        raise TypeError("no <i>price</i>")


def audit(event, context):
    if any(key.startswith('bad') for key in keys(event)):
        raise ValueError('bad audit')


def partner(event, context):
    if os.path.exists(os.environ['DOWN']):
        raise RuntimeError('the partner answered 503 Service Unavailable')


# circle is the mistake of a table's function that writes to its own table.
def circle(event, context):
    for r in event['Records']:
        item = r['dynamodb']['NewImage']
        item['visits'] = {'N': str(int(item.get('visits', {'N': '0'})['N']) + 1)}
        call('PutItem', {'TableName': 'visitors', 'Item': item})


def call(operation, body):
    request = urllib.request.Request(os.environ['AWS_ENDPOINT_URL_DYNAMODB'], json.dumps(body).encode(), {
        'Content-Type': 'application/x-amz-json-1.0', 'X-Amz-Target': 'DynamoDB_20120810.' + operation, 'X-Amz-Date': '20260101T000000Z',
        'X-Amz-Security-Token': os.environ['AWS_SESSION_TOKEN'],
        'Authorization': f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00"})
    urllib.request.urlopen(request).read()
