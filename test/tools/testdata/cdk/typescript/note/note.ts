interface Order {
  dynamodb: { Keys: { id: { S: string } } };
}

export const handler = async (event: { Records: Order[] }): Promise<void> => {
  for (const record of event.Records) {
    console.log(process.env.GREETING, record.dynamodb.Keys.id.S);
  }
};
