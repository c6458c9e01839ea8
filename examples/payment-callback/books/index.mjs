// Keeps the books. The sums are plain additions, with no condition and no memory of what was seen: the writes of
// an answer are committed together with the trigger's position (tag millstream:exactly-once), so each payment
// counts once, whatever fails or is delivered again.
const { INVOICES, LEDGER, ENTITLEMENTS } = process.env;

export const handler = async (event) => {
  const transactItems = [];
  const invoices = new Map(), customers = new Map();
  for (const { eventName, dynamodb } of event.Records) {
    if (eventName !== "INSERT") continue;
    const { payment, invoice, customer, amount } = dynamodb.NewImage;
    transactItems.push({ Put: { TableName: LEDGER, Item: { payment, invoice, customer, amount } } });
    invoices.set(invoice.S, (invoices.get(invoice.S) ?? 0) + Number(amount.N));
    customers.set(customer.S, (customers.get(customer.S) ?? 0) + 1);
  }
  // One write an item: a transaction may not have two.
  const add = (TableName, key, name, n) => transactItems.push({
    Update: {
      TableName, Key: key, UpdateExpression: "ADD #n :n", ExpressionAttributeNames: { "#n": name }, ExpressionAttributeValues: { ":n": { N: String(n) } },
    },
  });
  for (const [invoice, paid] of invoices) add(INVOICES, { invoice: { S: invoice } }, "paid", paid);
  for (const [customer, months] of customers) add(ENTITLEMENTS, { customer: { S: customer } }, "months", months);
  return { transactItems };
};
