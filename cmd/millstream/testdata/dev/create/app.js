const call = async (op, body) => {
  const e = process.env
  const r = await fetch(e.AWS_ENDPOINT_URL_DYNAMODB, { method: 'POST', body: JSON.stringify(body), headers: {
    'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'DynamoDB_20120810.' + op, 'x-amz-date': '20260101T000000Z', 'x-amz-security-token': e.AWS_SESSION_TOKEN,
    authorization: `AWS4-HMAC-SHA256 Credential=${e.AWS_ACCESS_KEY_ID}/20260101/${e.AWS_REGION}/dynamodb/aws4_request, SignedHeaders=host, Signature=0` } })
  return r.text()
}
exports.handler = async (event) => {
  console.log('placing', event.pathParameters.id)
  await call('PutItem', { TableName: process.env.TABLE, Item: { id: { S: event.pathParameters.id } } })
  return { statusCode: 201, body: 'one' }
}
