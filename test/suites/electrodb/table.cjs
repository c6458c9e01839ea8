// What the scenarios share: a document client and the one table that all entities
// live in, as ElectroDB's documentation lays it out.
"use strict";
const { DynamoDBClient, CreateTableCommand, DeleteTableCommand } = require("@aws-sdk/client-dynamodb");
const { DynamoDBDocumentClient } = require("@aws-sdk/lib-dynamodb");

const raw = new DynamoDBClient({});
const client = DynamoDBDocumentClient.from(raw, { marshallOptions: { removeUndefinedValues: true } });

const S = (name) => ({ AttributeName: name, AttributeType: "S" });
const hash = (name) => ({ AttributeName: name, KeyType: "HASH" });
const range = (name) => ({ AttributeName: name, KeyType: "RANGE" });
const ALL = { ProjectionType: "ALL" };

const single = {
  BillingMode: "PAY_PER_REQUEST",
  AttributeDefinitions: ["pk", "sk", "gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk", "lsi1sk"].map(S),
  KeySchema: [hash("pk"), range("sk")],
  GlobalSecondaryIndexes: [
    { IndexName: "gsi1", KeySchema: [hash("gsi1pk"), range("gsi1sk")], Projection: ALL },
    { IndexName: "gsi2", KeySchema: [hash("gsi2pk"), range("gsi2sk")], Projection: ALL },
  ],
  LocalSecondaryIndexes: [{ IndexName: "lsi1", KeySchema: [hash("pk"), range("lsi1sk")], Projection: ALL }],
};

async function create(name, definition = single) {
  await raw.send(new CreateTableCommand({ ...definition, TableName: name }));
  return name;
}

const drop = (name) => raw.send(new DeleteTableCommand({ TableName: name }));

module.exports = { client, raw, create, drop, single, S, hash, range, ALL };
