import os


def lambda_handler(event, context):
    for record in event["Records"]:
        print(os.environ["GREETING"], record["dynamodb"]["Keys"]["id"]["S"])
