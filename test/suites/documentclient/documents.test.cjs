// The document client of AWS's SDK (lib-dynamodb): every command, native types,
// paginators, waiters, PartiQL, and the members of errors.
"use strict";
const { before, after, test } = require("node:test");
const assert = require("node:assert/strict");
const { randomUUID } = require("node:crypto");
const {
  DynamoDBClient, CreateTableCommand, DeleteTableCommand, UpdateTableCommand, UpdateTimeToLiveCommand, waitUntilTableExists, waitUntilTableNotExists,
  paginateListTables, ConditionalCheckFailedException, TransactionCanceledException, ResourceNotFoundException, ResourceInUseException,
  DuplicateItemException, IdempotentParameterMismatchException,
} = require("@aws-sdk/client-dynamodb");
const {
  DynamoDBDocumentClient, NumberValue, PutCommand, GetCommand, UpdateCommand, DeleteCommand, QueryCommand, ScanCommand, BatchGetCommand, BatchWriteCommand,
  TransactGetCommand, TransactWriteCommand, ExecuteStatementCommand, BatchExecuteStatementCommand, ExecuteTransactionCommand, paginateQuery, paginateScan,
} = require("@aws-sdk/lib-dynamodb");

const raw = new DynamoDBClient({});
const client = DynamoDBDocumentClient.from(raw, { marshallOptions: { removeUndefinedValues: true, convertClassInstanceToMap: true } });
const send = (command) => client.send(command);
const TableName = "documents";

before(async () => {
  await raw.send(new CreateTableCommand({
    TableName, BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: [["pk", "S"], ["sk", "N"], ["g", "S"]].map(([AttributeName, AttributeType]) => ({ AttributeName, AttributeType })),
    KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
    GlobalSecondaryIndexes: [{ IndexName: "byG", KeySchema: [{ AttributeName: "g", KeyType: "HASH" }], Projection: { ProjectionType: "ALL" } }],
  }));
  const waited = await waitUntilTableExists({ client: raw, maxWaitTime: 20, minDelay: 1 }, { TableName });
  assert.equal(waited.state, "SUCCESS");
});
after(async () => {
  await raw.send(new DeleteTableCommand({ TableName }));
  assert.equal((await waitUntilTableNotExists({ client: raw, maxWaitTime: 20, minDelay: 1 }, { TableName })).state, "SUCCESS");
});

test("native types", async () => {
  class Point { constructor() { this.x = 1; } }
  const Item = {
    pk: "types", sk: 1, text: "", float: 0.1, negative: -5, yes: true, nothing: null, undef: undefined, bytes: new Uint8Array([0, 255]),
    list: [1, "a", null, [true]], map: { a: { b: [] } }, strings: new Set(["a", "b"]), numbers: new Set([1, 2.5]), blobs: new Set([new Uint8Array([1])]),
    point: new Point(), big: NumberValue.from("12345678901234567890.123456789"), bigint: 12345678901234567890n,
  };
  await send(new PutCommand({ TableName, Item }));
  const exact = DynamoDBDocumentClient.from(new DynamoDBClient({}), { unmarshallOptions: { wrapNumbers: true } });
  const wrapped = (await exact.send(new GetCommand({ TableName, Key: { pk: "types", sk: 1 } }))).Item;
  assert.deepEqual([wrapped.big.value, wrapped.bigint.value, wrapped.float.value], ["12345678901234567890.123456789", "12345678901234567890", "0.1"]);
  const { Item: got } = await send(new GetCommand({ TableName, Key: { pk: "types", sk: 1 }, ConsistentRead: true, ProjectionExpression: "#t, #f, negative, yes, nothing, bytes, #l, #m, strings, numbers, blobs, point, undef, #b", ExpressionAttributeNames: { "#t": "text", "#f": "float", "#b": "bigint", "#l": "list", "#m": "map" } }));
  const { undef, big, pk, sk, ...want } = Item;
  assert.deepEqual({ ...got, bytes: new Uint8Array(got.bytes), blobs: new Set([...got.blobs].map((b) => new Uint8Array(b))) }, { ...want, point: { x: 1 } });
});

test("single items", async () => {
  const Key = { pk: "single", sk: 1 };
  await send(new PutCommand({ TableName, Item: { ...Key, n: 1 } }));
  const put = await send(new PutCommand({ TableName, Item: { ...Key, n: 2 }, ReturnValues: "ALL_OLD", ReturnConsumedCapacity: "INDEXES" }));
  assert.deepEqual(put.Attributes, { ...Key, n: 1 });
  assert.deepEqual(put.ConsumedCapacity, { TableName, CapacityUnits: 1, Table: { CapacityUnits: 1 } });
  const updated = await send(new UpdateCommand({
    TableName, Key, UpdateExpression: "SET n = n + :one, #l = list_append(if_not_exists(#l, :empty), :l) ADD tags :t REMOVE gone",
    ExpressionAttributeNames: { "#l": "list" }, ExpressionAttributeValues: { ":one": 1, ":empty": [], ":l": ["x"], ":t": new Set(["t"]) }, ReturnValues: "ALL_NEW",
  }));
  assert.deepEqual(updated.Attributes, { ...Key, n: 3, list: ["x"], tags: new Set(["t"]) });
  const err = await send(new UpdateCommand({
    TableName, Key, UpdateExpression: "SET n = :n", ConditionExpression: "n = :no", ExpressionAttributeValues: { ":n": 0, ":no": 99 }, ReturnValuesOnConditionCheckFailure: "ALL_OLD",
  })).catch((e) => e);
  assert.ok(err instanceof ConditionalCheckFailedException);
  assert.equal(err.message, "The conditional request failed");
  assert.deepEqual(err.Item.n, { N: "3" });
  assert.equal(err.$metadata.httpStatusCode, 400);
  assert.match(err.$metadata.requestId, /^[0-9A-Z]{52}$/);
  const gone = await send(new DeleteCommand({ TableName, Key, ReturnValues: "ALL_OLD" }));
  assert.equal(gone.Attributes.n, 3);
  assert.equal((await send(new GetCommand({ TableName, Key }))).Item, undefined);
  await assert.rejects(send(new GetCommand({ TableName: "missing", Key })), (e) => e instanceof ResourceNotFoundException && e.message === "Requested resource not found");
  await assert.rejects(send(new GetCommand({ TableName, Key: { pk: 1, sk: 1 } })), { name: "ValidationException", message: "The provided key element does not match the schema" });
  await assert.rejects(raw.send(new UpdateTableCommand({ TableName })), { name: "ValidationException" });
});

test("queries, scans and their paginators", async () => {
  for (let i = 0; i < 60; i += 20) {
    await send(new BatchWriteCommand({ RequestItems: { [TableName]: Array.from({ length: 20 }, (_, j) => ({ PutRequest: { Item: { pk: "pages", sk: i + j, g: `g${j % 2}` } } })) } }));
  }
  const query = () => ({ TableName, KeyConditionExpression: "pk = :pk AND sk >= :from", ExpressionAttributeValues: { ":pk": "pages", ":from": 10 } });
  const pages = [];
  for await (const page of paginateQuery({ client, pageSize: 20 }, query())) pages.push(page.Items.length);
  assert.deepEqual(pages, [20, 20, 10]);
  const backwards = await send(new QueryCommand({ ...query(), ScanIndexForward: false, Limit: 2 }));
  assert.deepEqual(backwards.Items.map((i) => i.sk), [59, 58]);
  assert.deepEqual(backwards.LastEvaluatedKey, { pk: "pages", sk: 58 });
  const indexed = await send(new QueryCommand({ TableName, IndexName: "byG", KeyConditionExpression: "g = :g", ExpressionAttributeValues: { ":g": "g1" }, Select: "COUNT" }));
  assert.deepEqual([indexed.Count, indexed.Items], [30, undefined]);
  let scanned = 0;
  for await (const page of paginateScan({ client }, { TableName, Limit: 7, FilterExpression: "begins_with(pk, :p)", ExpressionAttributeValues: { ":p": "pages" } })) scanned += page.Count;
  assert.equal(scanned, 60);
  const segments = await Promise.all([0, 1, 2, 3].map((Segment) => send(new ScanCommand({ TableName, Segment, TotalSegments: 4, FilterExpression: "pk = :p", ExpressionAttributeValues: { ":p": "pages" } }))));
  assert.equal(segments.reduce((n, s) => n + s.Count, 0), 60);
  const names = [];
  for await (const page of paginateListTables({ client: raw, pageSize: 1 }, {})) names.push(...page.TableNames);
  assert.ok(names.includes(TableName));
});

test("batches", async () => {
  const keys = [1, 2, 3].map((sk) => ({ pk: "batch", sk }));
  const wrote = await send(new BatchWriteCommand({ RequestItems: { [TableName]: keys.map((k) => ({ PutRequest: { Item: { ...k, v: k.sk } } })) }, ReturnConsumedCapacity: "TOTAL" }));
  assert.deepEqual(wrote.UnprocessedItems, {});
  assert.deepEqual(wrote.ConsumedCapacity, [{ TableName, CapacityUnits: 3 }]);
  const got = await send(new BatchGetCommand({ RequestItems: { [TableName]: { Keys: [...keys, { pk: "batch", sk: 9 }], ProjectionExpression: "v" } } }));
  assert.deepEqual(got.Responses[TableName].map((i) => i.v).sort(), [1, 2, 3]);
  assert.deepEqual(got.UnprocessedKeys, {});
  await send(new BatchWriteCommand({ RequestItems: { [TableName]: keys.map((Key) => ({ DeleteRequest: { Key } })) } }));
  assert.deepEqual((await send(new BatchGetCommand({ RequestItems: { [TableName]: { Keys: keys } } }))).Responses, { [TableName]: [] });
});

test("transactions", async () => {
  const key = (sk) => ({ pk: "tx", sk });
  const ClientRequestToken = randomUUID();
  const TransactItems = [
    { Put: { TableName, Item: { ...key(1), n: 1 }, ConditionExpression: "attribute_not_exists(pk)" } },
    { Update: { TableName, Key: key(2), UpdateExpression: "SET n = :n", ExpressionAttributeValues: { ":n": 2 } } },
    { Delete: { TableName, Key: key(3) } },
    { ConditionCheck: { TableName, Key: key(4), ConditionExpression: "attribute_not_exists(pk)" } },
  ];
  await send(new TransactWriteCommand({ TransactItems, ClientRequestToken }));
  await send(new TransactWriteCommand({ TransactItems, ClientRequestToken }));
  await assert.rejects(send(new TransactWriteCommand({ TransactItems: TransactItems.slice(1), ClientRequestToken })), (e) => e instanceof IdempotentParameterMismatchException);
  TransactItems[0].Put.ReturnValuesOnConditionCheckFailure = "ALL_OLD";
  const err = await send(new TransactWriteCommand({ TransactItems })).catch((e) => e);
  assert.ok(err instanceof TransactionCanceledException);
  assert.deepEqual(err.CancellationReasons.map((r) => r.Code), ["ConditionalCheckFailed", "None", "None", "None"]);
  assert.deepEqual(err.CancellationReasons[0].Item.n, { N: "1" });
  const got = await send(new TransactGetCommand({ TransactItems: [1, 2, 9].map((sk) => ({ Get: { TableName, Key: key(sk), ProjectionExpression: "n" } })) }));
  assert.deepEqual(got.Responses, [{ Item: { n: 1 } }, { Item: { n: 2 } }, {}]);
});

test("PartiQL", async () => {
  const execute = (Statement, ...Parameters) => send(new ExecuteStatementCommand({ Statement, ...(Parameters.length && { Parameters }) }));
  await execute(`INSERT INTO "${TableName}" VALUE {'pk': ?, 'sk': ?, 'v': {'a': [1, 2]}}`, "sql", 1);
  await assert.rejects(execute(`INSERT INTO "${TableName}" VALUE {'pk': 'sql', 'sk': 1}`), (e) => e instanceof DuplicateItemException && e.message === "Duplicate primary key exists in table");
  assert.deepEqual((await execute(`SELECT v.a[1] FROM "${TableName}" WHERE pk = ? AND sk = ?`, "sql", 1)).Items.length, 1);
  const updated = await execute(`UPDATE "${TableName}" SET v.b = ? SET w = 1 WHERE pk = 'sql' AND sk = 1 RETURNING ALL NEW *`, new Set(["s"]));
  assert.deepEqual(updated.Items, [{ pk: "sql", sk: 1, v: { a: [1, 2], b: new Set(["s"]) }, w: 1 }]);
  const batch = await send(new BatchExecuteStatementCommand({ Statements: [
    { Statement: `SELECT * FROM "${TableName}" WHERE pk = 'sql' AND sk = 1` }, { Statement: `SELECT * FROM "${TableName}" WHERE pk = 'sql' AND sk = 7` },
  ] }));
  assert.deepEqual([batch.Responses[0].Item.w, batch.Responses[1].Item], [1, undefined]);
  await send(new ExecuteTransactionCommand({ TransactStatements: [
    { Statement: `UPDATE "${TableName}" SET w = 2 WHERE pk = 'sql' AND sk = 1` }, { Statement: `INSERT INTO "${TableName}" VALUE {'pk': 'sql', 'sk': ?}`, Parameters: [2] },
  ] }));
  let NextToken;
  const all = [];
  do {
    const page = await send(new ExecuteStatementCommand({ Statement: `SELECT sk, w FROM "${TableName}" WHERE pk = 'sql' ORDER BY sk DESC`, Limit: 1, NextToken }));
    all.push(...page.Items);
    NextToken = page.NextToken;
  } while (NextToken);
  assert.deepEqual(all, [{ sk: 2 }, { sk: 1, w: 2 }]);
  const gone = await execute(`DELETE FROM "${TableName}" WHERE pk = 'sql' AND sk = 1 RETURNING ALL OLD *`);
  assert.equal(gone.Items[0].w, 2);
});

test("tables", async () => {
  await assert.rejects(raw.send(new CreateTableCommand({ TableName, BillingMode: "PAY_PER_REQUEST", AttributeDefinitions: [{ AttributeName: "a", AttributeType: "S" }], KeySchema: [{ AttributeName: "a", KeyType: "HASH" }] })),
    (e) => e instanceof ResourceInUseException && e.message === `Table already exists: ${TableName}`);
  const ttl = await raw.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification: { Enabled: true, AttributeName: "expires" } }));
  assert.deepEqual(ttl.TimeToLiveSpecification, { Enabled: true, AttributeName: "expires" });
});
