// The whole loop with the AWS SDK for JavaScript: table, stream, Node function,
// mapping, writes.
const assert = require('node:assert');
const zlib = require('node:zlib');
const ddb = require('@aws-sdk/client-dynamodb');
const aws = require('@aws-sdk/client-lambda');

const FUNCTION = `
import { DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';

const db = new DynamoDBClient({});

export const handler = async (event, context) => {
  for (const record of event.Records) {
    console.log('saw', record.eventName);
    await db.send(new UpdateItemCommand({
      TableName: process.env.AUDIT_TABLE,
      Key: { pk: { S: 'received' } },
      UpdateExpression: 'SET records = list_append(if_not_exists(records, :none), :one)',
      ExpressionAttributeValues: { ':none': { L: [] }, ':one': { L: [{ S: JSON.stringify(record) }] } },
    }));
  }
  return { seen: event.Records.length, requestId: context.awsRequestId };
};
`;

// zipped makes an archive of one file, by hand: Node has no zip of its own.
function zipped(name, text) {
  const data = Buffer.from(text);
  const body = zlib.deflateRawSync(data);
  const fields = (extra) => {
    const b = Buffer.alloc(26);
    b.writeUInt16LE(20, 0); // version needed
    b.writeUInt16LE(8, 4); // deflate
    b.writeUInt32LE(crc32(data), 10);
    b.writeUInt32LE(body.length, 14);
    b.writeUInt32LE(data.length, 18);
    b.writeUInt16LE(name.length, 22);
    return extra ? Buffer.concat([b, extra]) : b;
  };
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields(), Buffer.from(name), body]);
  const rest = Buffer.alloc(14);
  rest.writeUInt32LE((0o100644 << 16) >>> 0, 6); // unix mode
  const central = Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), fields(rest), Buffer.from(name)]);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, central, end]);
}

function crc32(data) {
  let crc = ~0;
  for (const byte of data) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

async function until(what, condition) {
  for (let i = 0; i < 600; i++) {
    if (await condition()) return;
    await new Promise((wake) => setTimeout(wake, 100));
  }
  throw new Error('not within a minute: ' + what);
}

// received is what the function has been given, in order.
async function received(db) {
  const { Item } = await db.send(new ddb.GetItemCommand({ TableName: 'audit', Key: { pk: { S: 'received' } }, ConsistentRead: true }));
  return Item ? Item.records.L.map((r) => JSON.parse(r.S)) : [];
}

async function main() {
  const db = new ddb.DynamoDBClient({});
  const functions = new aws.LambdaClient({});

  for (const name of ['orders', 'audit']) {
    await db.send(new ddb.CreateTableCommand({
      TableName: name,
      KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
      AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: name === 'orders' ? { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' } : undefined,
    }));
    await ddb.waitUntilTableExists({ client: db, maxWaitTime: 60, minDelay: 1 }, { TableName: name });
  }
  const stream = (await db.send(new ddb.DescribeTableCommand({ TableName: 'orders' }))).Table.LatestStreamArn;

  await functions.send(new aws.CreateFunctionCommand({
    FunctionName: 'watch',
    Runtime: 'nodejs20.x',
    Role: 'arn:aws:iam::000000000000:role/any',
    Handler: 'app.handler',
    Timeout: 30,
    Code: { ZipFile: zipped('app.mjs', FUNCTION) },
    Environment: { Variables: { AUDIT_TABLE: 'audit' } },
  }));
  await aws.waitUntilFunctionActiveV2({ client: functions, maxWaitTime: 60, minDelay: 1 }, { FunctionName: 'watch' });
  const mapping = await functions.send(new aws.CreateEventSourceMappingCommand({
    EventSourceArn: stream, FunctionName: 'watch', StartingPosition: 'LATEST', BatchSize: 10,
  }));
  await until('mapping enabled', async () =>
    (await functions.send(new aws.GetEventSourceMappingCommand({ UUID: mapping.UUID }))).State === 'Enabled');

  await db.send(new ddb.PutItemCommand({
    TableName: 'orders', Item: { pk: { S: '1' }, amount: { N: '12.50' }, blob: { B: new Uint8Array([0, 255]) } },
  }));
  await db.send(new ddb.UpdateItemCommand({
    TableName: 'orders', Key: { pk: { S: '1' } }, UpdateExpression: 'SET amount = amount + :more, paid = :yes',
    ExpressionAttributeValues: { ':more': { N: '7.5' }, ':yes': { BOOL: true } },
  }));
  await db.send(new ddb.PutItemCommand({ TableName: 'orders', Item: { pk: { S: '2' }, tags: { SS: ['a', 'b'] } } }));
  // No change, no record.
  await db.send(new ddb.PutItemCommand({ TableName: 'orders', Item: { pk: { S: '2' }, tags: { SS: ['b', 'a'] } } }));
  await db.send(new ddb.DeleteItemCommand({ TableName: 'orders', Key: { pk: { S: '1' } } }));

  await until('four records', async () => (await received(db)).length >= 4);
  const records = await received(db);
  const one = { pk: { S: '1' }, amount: { N: '12.5' }, blob: { B: 'AP8=' } };
  const two = { pk: { S: '1' }, amount: { N: '20' }, blob: { B: 'AP8=' }, paid: { BOOL: true } };
  const want = [
    ['INSERT', '1', one, undefined],
    ['MODIFY', '1', two, one],
    ['INSERT', '2', { pk: { S: '2' }, tags: { SS: ['a', 'b'] } }, undefined],
    ['REMOVE', '1', undefined, two],
  ];
  assert.strictEqual(records.length, 4, JSON.stringify(records));
  want.forEach(([name, key, newImage, oldImage], i) => {
    const r = records[i];
    assert.deepStrictEqual(
      [r.eventName, r.eventSource, r.eventVersion, r.awsRegion, r.eventSourceARN],
      [name, 'aws:dynamodb', '1.1', 'us-east-1', stream]);
    assert.deepStrictEqual(r.dynamodb.Keys, { pk: { S: key } });
    assert.deepStrictEqual(r.dynamodb.NewImage, newImage);
    assert.deepStrictEqual(r.dynamodb.OldImage, oldImage);
    assert.match(r.eventID, /^[0-9a-f]{32}$/);
  });

  const answer = await functions.send(new aws.InvokeCommand({ FunctionName: 'watch', Payload: JSON.stringify({ Records: [] }) }));
  assert.strictEqual(JSON.parse(Buffer.from(answer.Payload).toString()).seen, 0);
  const failed = await functions.send(new aws.InvokeCommand({ FunctionName: 'watch', Payload: '{}' }));
  assert.strictEqual(failed.FunctionError, 'Unhandled');
  console.log('the AWS SDK for JavaScript saw exactly the four changes');
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
