def handler(event, context):
    for r in event["Records"]:
        print("confirming", r["dynamodb"]["Keys"]["id"]["S"])
