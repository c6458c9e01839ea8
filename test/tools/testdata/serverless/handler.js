exports.accept = async (event) => ({ statusCode: 202, body: event.pathParameters.id });

exports.note = async (event) => {
  for (const record of event.Records) {
    console.log(process.env.GREETING, record.dynamodb.Keys.id.S);
  }
};
