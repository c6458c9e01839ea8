// Takes the provider's callback and answers at once. The provider calls again until it has an answer, so the
// same payment may come any number of times; it is one item.
import { DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";

const db = new DynamoDBClient({});

export const handler = async (event) => {
  const { payment, invoice, customer, amount } = JSON.parse(event.body);
  if (!payment || !invoice || !customer || !(amount > 0)) return { statusCode: 400, body: "want payment, invoice, customer and amount" };
  try {
    await db.send(new PutItemCommand({
      TableName: process.env.CALLBACKS,
      Item: { payment: { S: payment }, invoice: { S: invoice }, customer: { S: customer }, amount: { N: String(amount) } },
      ConditionExpression: "attribute_not_exists(payment)",
    }));
  } catch (err) {
    if (err.name !== "ConditionalCheckFailedException") throw err;
  }
  return { statusCode: 204 };
};
