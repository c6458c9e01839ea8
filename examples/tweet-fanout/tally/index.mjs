// Counts the tweets of each pet. A record may be delivered again: the pet's item
// keeps the sequence number of the last one that was counted, and none at or below it
// counts. (The records of a pet come in order: this mapping has one lane.)
import { DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";

const db = new DynamoDBClient({});

export const handler = async (event) => {
  for (const { dynamodb: change } of event.Records) {
    try {
      await db.send(new UpdateItemCommand({
        TableName: process.env.PETS,
        Key: { pet: change.Keys.pet },
        UpdateExpression: "ADD tweets :one SET latest = :number",
        ConditionExpression: "attribute_not_exists(latest) OR latest < :number",
        // Sequence numbers are digits; filled up to one length, texts sort as they do.
        ExpressionAttributeValues: { ":one": { N: "1" }, ":number": { S: change.SequenceNumber.padStart(40, "0") } },
      }));
    } catch (err) {
      if (err.name !== "ConditionalCheckFailedException") throw err;
    }
  }
};
