'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');
const { start } = require('.');

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'millstream-testing-'));
after(() => fs.rmSync(scratch, { recursive: true }));

// write puts a file into the scratch folder.
function write(name, text, mode = 0o644) {
  const file = path.join(scratch, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text, { mode });
  return file;
}

// dynamo is a request as the SDK makes it.
async function dynamo(mill, operation, input) {
  const response = await fetch(mill.endpoint, {
    method: 'POST',
    body: JSON.stringify(input),
    headers: {
      'Content-Type': 'application/x-amz-json-1.0', 'X-Amz-Target': 'DynamoDB_20120810.' + operation, 'X-Amz-Date': '20260101T000000Z',
      Authorization: 'AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00',
    },
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

// An application: a table, and a function in Node that prints what it gets, five
// minutes after the first record at the latest.
const template = write('app/template.yaml', `
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: orders
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_IMAGE}
  Show:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: show
      Runtime: nodejs20.x
      Handler: index.handler
      CodeUri: show/
      Events:
        Changes:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Orders.StreamArn
            StartingPosition: TRIM_HORIZON
            BatchSize: 10
            MaximumBatchingWindowInSeconds: 300
`);
write('app/show/index.js', `exports.handler = async (event) => {
  for (const r of event.Records) console.log('seen', r.dynamodb.Keys.id.S);
};`);

test('an application and its clock', async () => {
  const mill = await start({ template, clock: 'manual' });
  try {
    assert.match(mill.endpoint, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.match(mill.httpEndpoint, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.deepEqual(mill.config, { endpoint: mill.endpoint, region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } });
    assert.equal(mill.env.AWS_ENDPOINT_URL_DYNAMODB_STREAMS, mill.endpoint);
    assert.equal(mill.env.AWS_ENDPOINT_URL_SQS, undefined);
    const before = await mill.now();
    await dynamo(mill, 'PutItem', { TableName: 'orders', Item: { id: { S: 'o-1' } } });
    await mill.advance(299_000);
    await assert.rejects(mill.settle({ timeout: 50 }), /not settled while time stands still \(advance moves it\); behind are: show on orders by 1 records/);
    const now = await mill.advance('1s');
    assert.equal(now - before, 300_000);
    assert.deepEqual(await mill.now(), now);
    await mill.settle();
    const lines = await logs(mill);
    assert.ok(lines.includes('seen o-1'), lines);
    await assert.rejects(mill.advance('a while'), /want a duration such as 20m/);
  } finally {
    await mill.stop();
  }
  await assert.rejects(fetch(mill.endpoint), 'the server still answers');
});

test('settle says why a trigger is behind', async () => {
  const failing = write('fails/template.yaml', fs.readFileSync(template, 'utf8').replace('MaximumBatchingWindowInSeconds: 300', 'FunctionResponseTypes: [ReportBatchItemFailures]'));
  write('fails/show/index.js', `exports.handler = async (event) => ({
    batchItemFailures: [{ itemIdentifier: event.Records[0].dynamodb.SequenceNumber }],
  });`);
  const mill = await start({ template: failing, clock: 'manual' });
  try {
    await dynamo(mill, 'PutItem', { TableName: 'orders', Item: { id: { S: 'o-1' } } });
    await mill.advance(0);
    await assert.rejects(mill.settle({ timeout: 50 }), /show on orders by 1 records \(1 attempts on \{"id":\{"S":"o-1"\}\}: the function reported \d+ as failed\)/);
  } finally {
    await mill.stop();
  }
});

// logs are the lines that functions have printed.
async function logs(mill) {
  const response = await fetch(mill.endpoint + '/_millstream/v1/logs?function=show&lines=100');
  return (await response.text()).split('\n').filter(Boolean).map((line) => JSON.parse(line).text.replace(/^.*\t/, '')).join('\n');
}

test('a server with a clock of its own, a folder and other settings', async () => {
  const data = path.join(scratch, 'data');
  for (const life of [1, 2]) {
    const mill = await start({ data, region: 'eu-west-1', args: ['--log-level', 'warn'] });
    try {
      if (life === 1) {
        await dynamo(mill, 'CreateTable', {
          TableName: 'kept', BillingMode: 'PAY_PER_REQUEST',
          AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }], KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
        });
      }
      assert.equal((await dynamo(mill, 'DescribeTable', { TableName: 'kept' })).Table.TableStatus, 'ACTIVE');
      assert.equal(mill.config.region, 'eu-west-1');
      await assert.rejects(mill.advance('1h'), /The clock of this server goes by itself/);
      await mill.settle();
    } finally {
      await mill.stop();
    }
  }
});

test('a server that does not start says why', async () => {
  await assert.rejects(start({ args: ['--log-level', 'loud'] }), /did not start:[^]*--log-level "loud"/);
  await assert.rejects(start({ template: path.join(scratch, 'none.yaml') }), /did not start:[^]*none\.yaml/);
  await assert.rejects(start({ command: [path.join(scratch, 'none')] }), /ENOENT/);
  await assert.rejects(start({ env: { MILLSTREAM_BIN: '', PATH: scratch } }), /set MILLSTREAM_BIN/);
});

test('the program is found on the PATH, and built by Go', async () => {
  const bin = process.env.MILLSTREAM_BIN;
  assert.ok(bin, 'MILLSTREAM_BIN is to name the program that is tested');
  const said = path.join(scratch, 'said');
  const program = write('path/millstream', `#!/bin/sh\necho path >>'${said}'\nexec '${bin}' "$@"\n`, 0o755);
  write('go/go', `#!/bin/sh\necho "$@" >>'${said}'\n/bin/mkdir -p "$GOBIN" && /bin/cp '${program}' "$GOBIN"\n`, 0o755);
  for (const [dir, want] of [['path', 'path\n'], ['go', 'install github.com/millstreamdb/millstream/cmd/millstream@latest\npath\n']]) {
    fs.rmSync(said, { force: true });
    const mill = await start({ env: { MILLSTREAM_BIN: '', PATH: path.join(scratch, dir), XDG_CACHE_HOME: path.join(scratch, 'cache') } });
    await mill.stop();
    assert.equal(fs.readFileSync(said, 'utf8'), want);
    await assert.rejects(fetch(mill.endpoint), 'the server still answers');
  }
  write('go/go', '#!/bin/sh\necho no network >&2\nexit 1\n', 0o755);
  await assert.rejects(start({ env: { MILLSTREAM_BIN: '', PATH: path.join(scratch, 'go') } }), /go install .*: no network/);
});
