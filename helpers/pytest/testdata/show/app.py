def handler(event, context):
    for record in event["Records"]:
        print("seen", record["dynamodb"]["Keys"]["id"]["S"])
