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
