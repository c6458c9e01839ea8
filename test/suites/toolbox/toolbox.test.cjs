// DynamoDB-Toolbox: entities and tables, every action, update extensions, conditions,
// queries, scans, batches, transactions.
"use strict";
const { before, after, test } = require("node:test");
const assert = require("node:assert/strict");
const { DynamoDBClient, CreateTableCommand, DeleteTableCommand } = require("@aws-sdk/client-dynamodb");
const { DynamoDBDocumentClient } = require("@aws-sdk/lib-dynamodb");
const {
  Table, Entity, item, string, number, boolean, binary, set, list, map, record, anyOf, nul, any,
  PutItemCommand, GetItemCommand, UpdateItemCommand, UpdateAttributesCommand, DeleteItemCommand, QueryCommand, ScanCommand, DeletePartitionCommand,
  BatchPutRequest, BatchDeleteRequest, BatchGetRequest, BatchWriteCommand, BatchGetCommand, executeBatchWrite, executeBatchGet,
  PutTransaction, UpdateTransaction, DeleteTransaction, ConditionCheck, GetTransaction, executeTransactWrite, executeTransactGet,
  $add, $append, $prepend, $remove, $set, $get, $sum, $subtract, $delete,
} = require("dynamodb-toolbox");

const raw = new DynamoDBClient({});
const table = new Table({
  documentClient: DynamoDBDocumentClient.from(raw, { marshallOptions: { removeUndefinedValues: true } }),
  name: "Toolbox",
  partitionKey: { name: "pk", type: "string" },
  sortKey: { name: "sk", type: "string" },
  indexes: {
    byType: { type: "global", partitionKey: { name: "kind", type: "string" }, sortKey: { name: "level", type: "number" } },
    byLevel: { type: "local", sortKey: { name: "level", type: "number" } },
    multi: { type: "global", partitionKeys: [{ name: "kind", type: "string" }, { name: "color", type: "string" }], sortKeys: [{ name: "level", type: "number" }] },
  },
});
const Pokemon = new Entity({
  name: "Pokemon",
  table,
  schema: item({
    trainer: string().key().savedAs("pk"),
    id: string().key().savedAs("sk"),
    kind: string().enum("fire", "water").default("fire"),
    level: number().default(1),
    color: string().optional(),
    legendary: boolean().optional(),
    raw: binary().optional(),
    tags: set(string()).optional(),
    moves: list(string()).optional(),
    stats: map({ hp: number().optional(), deep: map({ er: number() }).optional() }).optional(),
    counts: record(string(), number()).optional(),
    either: anyOf(string(), number()).optional(),
    nothing: nul().optional(),
    thing: any().optional(),
  }),
});

before(() => raw.send(new CreateTableCommand({
  TableName: "Toolbox", BillingMode: "PAY_PER_REQUEST",
  AttributeDefinitions: [["pk", "S"], ["sk", "S"], ["kind", "S"], ["level", "N"], ["color", "S"]].map(([AttributeName, AttributeType]) => ({ AttributeName, AttributeType })),
  KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
  LocalSecondaryIndexes: [{ IndexName: "byLevel", KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "level", KeyType: "RANGE" }], Projection: { ProjectionType: "ALL" } }],
  GlobalSecondaryIndexes: [
    { IndexName: "byType", KeySchema: [{ AttributeName: "kind", KeyType: "HASH" }, { AttributeName: "level", KeyType: "RANGE" }], Projection: { ProjectionType: "ALL" } },
    { IndexName: "multi", KeySchema: [{ AttributeName: "kind", KeyType: "HASH" }, { AttributeName: "color", KeyType: "HASH" }, { AttributeName: "level", KeyType: "RANGE" }], Projection: { ProjectionType: "ALL" } },
  ],
})));
after(() => raw.send(new DeleteTableCommand({ TableName: "Toolbox" })));

const put = (i, options = {}) => Pokemon.build(PutItemCommand).item(i).options(options).send();
const get = async (key, options = {}) => (await Pokemon.build(GetItemCommand).key(key).options(options).send()).Item;
const refused = (promise) => assert.rejects(promise, { name: "ConditionalCheckFailedException" });

test("put, get, delete", async () => {
  const key = { trainer: "ash", id: "1" };
  const full = { ...key, kind: "water", level: 3, legendary: false, raw: new Uint8Array([1, 255]), tags: new Set(["a"]), moves: ["x"], stats: { hp: 5, deep: { er: 1 } }, counts: { a: 1 }, either: 7, nothing: null, thing: { any: [1] } };
  await put(full);
  const got = await get(key, { consistent: true });
  const { created, modified, ...rest } = got;
  assert.ok(Date.parse(created) && Date.parse(modified));
  assert.deepEqual({ ...rest, raw: new Uint8Array(rest.raw) }, full);
  assert.deepEqual(Object.keys(await get(key, { attributes: ["level", "stats.hp"] })).sort(), ["level", "stats"]);
  const old = await put({ ...key, level: 4 }, { returnValues: "ALL_OLD", capacity: "TOTAL", metrics: "SIZE" });
  assert.equal(old.Attributes.level, 3);
  assert.ok(old.ConsumedCapacity.CapacityUnits > 1);
  assert.deepEqual(old.ItemCollectionMetrics.ItemCollectionKey, { pk: "ash" });
  await refused(put({ ...key }, { condition: { attr: "trainer", exists: false } }));
  await refused(Pokemon.build(DeleteItemCommand).key(key).options({ condition: { attr: "level", gt: 100 } }).send());
  const gone = await Pokemon.build(DeleteItemCommand).key(key).options({ returnValues: "ALL_OLD" }).send();
  assert.equal(gone.Attributes.level, 4);
  assert.equal(await get(key), undefined);
});

test("updates", async () => {
  const key = { trainer: "ash", id: "2" };
  const update = (changes, options = {}) => Pokemon.build(UpdateItemCommand).item({ ...key, ...changes }).options(options).send();
  await put({ ...key, moves: ["a"], tags: new Set(["x"]), stats: { hp: 1, deep: { er: 0 } }, counts: { a: 1, b: 2 }, level: 5 });
  await update({ level: $add(2), moves: $append(["b"]), tags: $add(new Set(["y"])), stats: { deep: { er: 1 } }, counts: { a: $add(5), b: $remove() }, color: "red" });
  let got = await get(key);
  assert.deepEqual([got.level, got.moves, [...got.tags].sort(), got.stats, got.counts, got.color], [7, ["a", "b"], ["x", "y"], { hp: 1, deep: { er: 1 } }, { a: 6 }, "red"]);
  await update({ level: $sum($get("level"), 10), moves: $prepend(["0"]), tags: $delete(new Set(["x"])), stats: $set({ hp: 9 }), color: $remove() });
  got = await get(key);
  assert.deepEqual([got.level, got.moves, [...got.tags], got.stats, got.color], [17, ["0", "a", "b"], ["y"], { hp: 9 }, undefined]);
  await update({ level: $subtract($get("level"), 7), moves: { 1: "A" }, color: $get("color", "blue") });
  got = await get(key);
  assert.deepEqual([got.level, got.moves, got.color], [10, ["0", "A", "b"], "blue"]);
  const now = await Pokemon.build(UpdateAttributesCommand).item({ ...key, stats: { hp: 2 } }).options({ returnValues: "ALL_NEW" }).send();
  assert.deepEqual(now.Attributes.stats, { hp: 2 });
  await refused(update({ level: 1 }, { condition: { attr: "level", lt: 10 } }));
  await update({ level: 11 }, { condition: { and: [{ attr: "level", between: [10, 11] }, { or: [{ attr: "color", in: ["blue"] }, { attr: "color", beginsWith: "z" }] }, { not: { attr: "legendary", exists: true } }, { attr: "moves", contains: "b" }, { size: "moves", gte: 3 }, { attr: "moves", type: "L" }] } });
  assert.equal((await get(key)).level, 11);
});

test("queries and scans", async () => {
  for (let i = 0; i < 20; i++) await put({ trainer: "misty", id: String(i).padStart(2, "0"), kind: i % 2 ? "fire" : "water", level: 100 - i, color: i % 4 ? "red" : undefined });
  const query = (q, options = {}) => table.build(QueryCommand).entities(Pokemon).query(q).options(options).send();
  assert.equal((await query({ partition: "misty" })).Items.length, 20);
  assert.deepEqual((await query({ partition: "misty", range: { between: ["03", "05"] } })).Items.map((p) => p.id), ["03", "04", "05"]);
  assert.deepEqual((await query({ partition: "misty", range: { beginsWith: "1" } }, { reverse: true, limit: 2 })).Items.map((p) => p.id), ["19", "18"]);
  assert.deepEqual((await query({ index: "byLevel", partition: "misty", range: { lte: 82 } }, { consistent: true })).Items.map((p) => p.level), [81, 82]);
  assert.equal((await query({ index: "byType", partition: "water", range: { gte: 82 } })).Items.filter((p) => p.trainer === "misty").length, 10);
  assert.equal((await query({ partition: "misty" }, { filters: { Pokemon: { attr: "level", gt: 95 } } })).Items.length, 5);
  const all = await query({ partition: "misty" }, { limit: 6, maxPages: Infinity });
  assert.equal(all.Items.length, 20);
  const counted = await query({ partition: "misty" }, { select: "COUNT" });
  assert.deepEqual([counted.Count, counted.Items ?? []], [20, []]);
  const scanned = await table.build(ScanCommand).entities(Pokemon).options({ filters: { Pokemon: { attr: "trainer", eq: "misty" } }, maxPages: Infinity, limit: 5 }).send();
  assert.equal(scanned.Items.length, 20);
  const parts = await Promise.all([0, 1, 2].map((segment) => table.build(ScanCommand).entities(Pokemon).options({ segment, totalSegments: 3 }).send()));
  assert.ok(parts.flatMap((p) => p.Items).length >= 20);
  await table.build(DeletePartitionCommand).entities(Pokemon).query({ partition: "misty" }).send();
  assert.equal((await query({ partition: "misty" })).Items.length, 0);
});

test("batches and transactions", async () => {
  const key = (id) => ({ trainer: "brock", id });
  await executeBatchWrite(table.build(BatchWriteCommand).requests(...["1", "2", "3"].map((id) => Pokemon.build(BatchPutRequest).item(key(id)))));
  const got = await executeBatchGet(table.build(BatchGetCommand).requests(...["1", "2", "9"].map((id) => Pokemon.build(BatchGetRequest).key(key(id)))));
  assert.deepEqual(got.Responses[0].map((p) => p && p.id), ["1", "2", undefined]);
  await executeBatchWrite(table.build(BatchWriteCommand).requests(Pokemon.build(BatchDeleteRequest).key(key("3"))));
  const write = () => executeTransactWrite(
    Pokemon.build(PutTransaction).item(key("4")).options({ condition: { attr: "id", exists: false } }),
    Pokemon.build(UpdateTransaction).item({ ...key("1"), level: $add(1) }),
    Pokemon.build(DeleteTransaction).key(key("2")),
    Pokemon.build(ConditionCheck).key(key("3")).condition({ attr: "id", exists: false }),
  );
  await write();
  const read = await executeTransactGet(...["1", "2", "4"].map((id) => Pokemon.build(GetTransaction).key(key(id))));
  assert.deepEqual(read.Responses.map((r) => r.Item && r.Item.level), [2, undefined, 1]);
  const err = await write().then(() => null, (e) => e);
  assert.equal(err.name, "TransactionCanceledException");
  assert.deepEqual(err.CancellationReasons.map((r) => r.Code), ["ConditionalCheckFailed", "None", "None", "None"]);
});
