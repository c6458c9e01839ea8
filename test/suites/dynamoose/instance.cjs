// What the scenarios share: Dynamoose, set to the server, and the SDK itself.
"use strict";
const dynamoose = require("dynamoose");
const { DynamoDB } = require("@aws-sdk/client-dynamodb");

dynamoose.aws.ddb.set(new dynamoose.aws.ddb.DynamoDB({ endpoint: process.env.AWS_ENDPOINT_URL, region: process.env.AWS_REGION }));
dynamoose.Table.defaults.set({ throughput: "ON_DEMAND", waitForActive: { enabled: true, check: { frequency: 10, timeout: 10_000 } } });

const sdk = new DynamoDB({});
const plain = (items) => JSON.parse(JSON.stringify(items));

module.exports = { dynamoose, sdk, plain };
