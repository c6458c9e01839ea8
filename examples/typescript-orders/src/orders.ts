// What the functions share.

export interface Order {
  id: string;
  sku: string;
  count: number;
  status: "new" | "paid" | "sent";
}

const prices: Record<string, number> = { hat: 12.5, scarf: 20 };

export function priceOf(sku: string, count: number): number {
  const price = prices[sku];
  if (price === undefined) {
    throw new Error(`there is no article ${sku}`);
  }
  return price * count;
}

// Of a change: its key, and the item as the stream has it.
export interface Change {
  eventName: "INSERT" | "MODIFY" | "REMOVE";
  dynamodb: {
    Keys: { id: { S: string } };
    NewImage?: Record<string, { S?: string; N?: string }>;
    SequenceNumber: string;
  };
}

export function orderOf(change: Change): Order {
  const image = change.dynamodb.NewImage ?? {};
  return {
    id: change.dynamodb.Keys.id.S,
    sku: image.sku?.S ?? "",
    count: Number(image.count?.N ?? 0),
    status: (image.status?.S ?? "new") as Order["status"],
  };
}
