"""Makes the tables that the Go CDK's suite expects (its create_tables.sh does it with AWS's command line)."""

import boto3

client = boto3.client("dynamodb")
units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}


def key(*names):
    return [{"AttributeName": n, "KeyType": k} for n, k in zip(names, ("HASH", "RANGE"))]


client.create_table(
    TableName="docstore-test-1", ProvisionedThroughput=units, KeySchema=key("name"),
    AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}])
client.create_table(
    TableName="docstore-test-2", ProvisionedThroughput=units, KeySchema=key("Game", "Player"),
    AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in (("Game", "S"), ("Player", "S"), ("Score", "N"), ("Time", "S"))],
    LocalSecondaryIndexes=[{"IndexName": "local", "KeySchema": key("Game", "Score"), "Projection": {"ProjectionType": "ALL"}}],
    GlobalSecondaryIndexes=[{
        "IndexName": "global", "KeySchema": key("Player", "Time"), "Projection": {"ProjectionType": "ALL"}, "ProvisionedThroughput": units}])
