// Tables: creation and its waiting, updates of throughput, indexes, tags, class, time
// to live and streams, prefixes, several models in one table.
"use strict";
const { test } = require("node:test");
const assert = require("node:assert/strict");
const { dynamoose, sdk } = require("./instance.cjs");

const describe = async (TableName) => (await sdk.describeTable({ TableName })).Table;
const tags = async (table) => Object.fromEntries((await sdk.listTagsOfResource({ ResourceArn: table.TableArn })).Tags.map((t) => [t.Key, t.Value]));

test("create with everything", async () => {
  const Thing = dynamoose.model("Thing", new dynamoose.Schema({
    id: { type: String, hashKey: true },
    at: { type: Number, rangeKey: true },
    owner: { type: String, index: { name: "byOwner", rangeKey: "at" } },
    color: { type: String, index: { name: "byColor", project: false, throughput: { read: 3, write: 4 } } },
    size: { type: Number, index: { type: "local", name: "bySize", project: ["owner"] } },
  }));
  const table = new dynamoose.Table("Create", [Thing], {
    prefix: "pre-", suffix: "-suf", throughput: { read: 7, write: 8 }, expires: { ttl: 60_000, attribute: "until" }, tags: { team: "mill", empty: "" },
    tableClass: "infrequentAccess", streamOptions: { enabled: true, type: "NEW_AND_OLD_IMAGES" }, initialize: false,
  });
  assert.deepEqual([table.name, table.hashKey, table.rangeKey], ["pre-Create-suf", "id", "at"]);
  await table.initialize();
  const d = await describe("pre-Create-suf");
  assert.equal(d.TableStatus, "ACTIVE");
  assert.deepEqual([d.ProvisionedThroughput.ReadCapacityUnits, d.ProvisionedThroughput.WriteCapacityUnits], [7, 8]);
  assert.equal(d.TableClassSummary.TableClass, "STANDARD_INFREQUENT_ACCESS");
  assert.deepEqual(d.StreamSpecification, { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" });
  const g = Object.fromEntries(d.GlobalSecondaryIndexes.map((i) => [i.IndexName, i]));
  assert.deepEqual(g.byOwner.KeySchema, [{ AttributeName: "owner", KeyType: "HASH" }, { AttributeName: "at", KeyType: "RANGE" }]);
  assert.deepEqual(g.byOwner.Projection, { ProjectionType: "ALL" });
  assert.deepEqual(g.byColor.Projection, { ProjectionType: "KEYS_ONLY" });
  assert.deepEqual([g.byColor.ProvisionedThroughput.ReadCapacityUnits, g.byColor.ProvisionedThroughput.WriteCapacityUnits], [3, 4]);
  assert.deepEqual(d.LocalSecondaryIndexes.map((i) => [i.IndexName, i.Projection]), [["bySize", { ProjectionType: "INCLUDE", NonKeyAttributes: ["owner"] }]]);
  assert.deepEqual(await tags(d), { team: "mill", empty: "" });
  const { TimeToLiveDescription } = await sdk.describeTimeToLive({ TableName: d.TableName });
  assert.deepEqual(TimeToLiveDescription, { TimeToLiveStatus: "ENABLED", AttributeName: "until" });

  await Thing.create({ id: "a", at: 1 });
  const thing = await Thing.get({ id: "a", at: 1 });
  assert.ok(thing.until instanceof Date && thing.until > new Date());
  await sdk.deleteTable({ TableName: d.TableName });
});

test("update everything", async () => {
  const make = (attributes, options) => {
    const model = dynamoose.model("Changing", new dynamoose.Schema({ id: String, ...attributes }));
    return new dynamoose.Table("Changing", [model], { initialize: false, update: true, ...options });
  };
  await make({ a: { type: String, index: { name: "byA" } } }, { throughput: { read: 5, write: 5 }, tags: { one: "1", two: "2" } }).initialize();
  const { raw } = { raw: dynamoose.model("Changing") };
  await raw.create({ id: "x", a: "1" });
  await sdk.putItem({ TableName: "Changing", Item: { id: { S: "y" }, a: { S: "1" }, b: { S: "2" } } });

  await make({ a: String, b: { type: String, index: { name: "byB", project: false } } }, {
    throughput: { read: 6, write: 4 }, tags: { one: "1", two: "changed", three: "3" }, tableClass: "infrequentAccess",
    streamOptions: { enabled: true, type: "KEYS_ONLY" }, expires: 1000,
  }).initialize();
  let d = await describe("Changing");
  assert.deepEqual([d.ProvisionedThroughput.ReadCapacityUnits, d.ProvisionedThroughput.WriteCapacityUnits], [6, 4]);
  assert.deepEqual(d.GlobalSecondaryIndexes.map((i) => [i.IndexName, i.IndexStatus, i.ItemCount]), [["byB", "ACTIVE", 1]]);
  assert.deepEqual(d.AttributeDefinitions.map((a) => a.AttributeName), ["b", "id"]);
  assert.deepEqual(await tags(d), { one: "1", two: "changed", three: "3" });
  assert.equal(d.TableClassSummary.TableClass, "STANDARD_INFREQUENT_ACCESS");
  assert.deepEqual(d.StreamSpecification, { StreamEnabled: true, StreamViewType: "KEYS_ONLY" });
  assert.equal((await sdk.describeTimeToLive({ TableName: "Changing" })).TimeToLiveDescription.AttributeName, "ttl");

  await make({ a: String, b: String }, { throughput: "ON_DEMAND", tags: {}, streamOptions: { enabled: false } }).initialize();
  d = await describe("Changing");
  assert.equal(d.BillingModeSummary.BillingMode, "PAY_PER_REQUEST");
  assert.equal(d.GlobalSecondaryIndexes, undefined);
  assert.equal(d.StreamSpecification, undefined);
  assert.equal(d.TableClassSummary.TableClass, "STANDARD");
  assert.deepEqual(await tags(d), {});
  assert.equal(d.ItemCount, 2);
  await sdk.deleteTable({ TableName: "Changing" });
});

test("models made without a table make their own, and wait for it", async () => {
  const Cat = dynamoose.model("Cat", { id: Number, name: String }, { tableName: "own-cats" });
  await Promise.all([Cat.create({ id: 1, name: "a" }), Cat.create({ id: 2, name: "b" })]); // both wait for one creation
  assert.equal((await describe("own-cats")).ItemCount, 2);
  const request = await Cat.table().create({ return: "request" });
  assert.deepEqual(request.KeySchema, [{ AttributeName: "id", KeyType: "HASH" }]);
  await sdk.deleteTable({ TableName: "own-cats" });
});

test("one table, several models", async () => {
  const User = dynamoose.model("User", { pk: String, sk: { type: String, rangeKey: true }, name: String });
  const Order = dynamoose.model("Order", { pk: String, sk: { type: String, rangeKey: true }, total: Number });
  new dynamoose.Table("Single", [User, Order]);
  await User.create({ pk: "u1", sk: "profile", name: "Bob" });
  await Order.create({ pk: "u1", sk: "order#1", total: 5 });
  assert.equal((await User.get({ pk: "u1", sk: "profile" })).name, "Bob");
  assert.equal((await Order.get({ pk: "u1", sk: "order#1" })).total, 5);
  assert.deepEqual((await Order.query("pk").eq("u1").where("sk").beginsWith("order#").exec()).map((o) => o.total), [5]);
  const [user, order] = await dynamoose.transaction([
    User.transaction.get({ pk: "u1", sk: "profile" }), Order.transaction.get({ pk: "u1", sk: "order#1" }),
  ]);
  assert.ok(user instanceof User && order instanceof Order);
  await sdk.deleteTable({ TableName: "Single" });
});

test("expired items stay away from readers that want none", async () => {
  const Expiring = dynamoose.model("Expiring", { id: String, name: String }, { expires: { ttl: 86_400_000, items: { returnExpired: false } } });
  await Expiring.create({ id: "fresh", name: "x" });
  await sdk.putItem({ TableName: "Expiring", Item: { id: { S: "old" }, name: { S: "x" }, ttl: { N: "1" } } }); // too old for AWS to remove
  assert.deepEqual((await Expiring.scan().exec()).map((i) => i.id), ["fresh"]);
  await sdk.deleteTable({ TableName: "Expiring" });
});
