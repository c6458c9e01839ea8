import { orderOf, priceOf, type Change } from "./orders";

interface Answer {
  batchItemFailures: { itemIdentifier: string }[];
}

export const handler = async (event: { Records: Change[] }): Promise<Answer> => {
  const failed: Answer = { batchItemFailures: [] };
  for (const change of event.Records) {
    const order = orderOf(change);
    try {
      console.log(`confirmed ${order.id}: ${priceOf(order.sku, order.count)}`);
    } catch (err) {
      console.error(`cannot confirm ${order.id}:`, err);
      failed.batchItemFailures.push({ itemIdentifier: change.dynamodb.SequenceNumber });
      break; // those behind it come again with it
    }
  }
  return failed;
};
