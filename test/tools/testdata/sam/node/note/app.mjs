export const lambdaHandler = async (event) => {
  for (const record of event.Records) {
    console.log(process.env.GREETING, record.dynamodb.Keys.id.S);
  }
};
