// OneTable: its schema, models, unique attributes, batches, transactions, queries by
// index, hooks and table administration.
"use strict";
const { before, after, test } = require("node:test");
const assert = require("node:assert/strict");
const { DynamoDBClient } = require("@aws-sdk/client-dynamodb");
const { Dynamo } = require("dynamodb-onetable/Dynamo");
const { Table } = require("dynamodb-onetable");

const schema = {
  format: "onetable:1.1.0",
  version: "0.0.1",
  queries: {},
  indexes: {
    primary: { hash: "pk", sort: "sk" },
    gs1: { hash: "gs1pk", sort: "gs1sk", project: "all", follow: true },
    ls1: { type: "local", sort: "ls1sk", project: ["name"] },
  },
  models: {
    Account: {
      pk: { type: String, value: "account:${id}" },
      sk: { type: String, value: "account:" },
      id: { type: String, generate: "ulid" },
      name: { type: String, required: true, unique: true },
      balance: { type: Number, default: 0 },
    },
    User: {
      pk: { type: String, value: "account:${accountId}" },
      sk: { type: String, value: "user:${email}" },
      accountId: { type: String, required: true },
      email: { type: String, required: true },
      name: { type: String },
      role: { type: String, enum: ["user", "admin"], default: "user" },
      age: { type: Number },
      born: { type: Date },
      tags: { type: Set },
      address: { type: Object, schema: { street: { type: String }, zip: { type: Number } } },
      phones: { type: Array, items: { type: String } },
      active: { type: Boolean },
      gs1pk: { type: String, value: "role:${role}" },
      gs1sk: { type: String, value: "user:${name}:${email}" },
      ls1sk: { type: String, value: "age:${age}" },
    },
  },
  params: { isoDates: true, timestamps: true },
};
const client = new Dynamo({ client: new DynamoDBClient({}) });
const table = new Table({ name: "OneTable", client, schema, partial: true });
const Account = table.getModel("Account");
const User = table.getModel("User");
let account;

before(async () => {
  assert.equal(await table.exists(), false);
  await table.createTable();
  assert.equal(await table.exists(), true);
  account = await Account.create({ name: "Acme" });
});
after(() => table.deleteTable("DeleteTableForever"));

test("the table", async () => {
  const { Table: described } = await table.describeTable();
  assert.deepEqual(described.GlobalSecondaryIndexes.map((i) => i.IndexName), ["gs1"]);
  assert.deepEqual(described.LocalSecondaryIndexes.map((i) => i.Projection), [{ ProjectionType: "INCLUDE", NonKeyAttributes: ["name"] }]);
  assert.ok((await table.listTables()).includes("OneTable"));
  await table.updateTable({ create: { name: "gs2", hash: "gs2pk", sort: "gs2sk", project: ["name"] } });
  const names = async () => (await table.describeTable()).Table.GlobalSecondaryIndexes.map((i) => [i.IndexName, i.IndexStatus]);
  for (let i = 0; i < 100 && (await names())[1][1] !== "ACTIVE"; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(await names(), [["gs1", "ACTIVE"], ["gs2", "ACTIVE"]]);
  await table.updateTable({ remove: { name: "gs2" } });
  assert.deepEqual(await names(), [["gs1", "ACTIVE"]]);
  await table.saveSchema();
  assert.equal((await table.readSchema()).version, "0.0.1");
});

test("models", async () => {
  const born = new Date("2000-01-02T03:04:05.678Z");
  const user = await User.create({ accountId: account.id, email: "a@x", name: "Ann", age: 30, born, tags: new Set(["t"]), address: { street: "Elm", zip: 1 }, phones: ["1"], active: true });
  assert.ok(user.created instanceof Date);
  const got = await User.get({ accountId: account.id, email: "a@x" });
  assert.deepEqual([got.name, got.born, got.tags, got.address, got.phones, got.active, got.role], ["Ann", born, new Set(["t"]), { street: "Elm", zip: 1 }, ["1"], true, "user"]);
  await assert.rejects(User.create({ accountId: account.id, email: "a@x", name: "Again" }), (e) => /exists|conditional/i.test(e.message));
  const updated = await User.update({ accountId: account.id, email: "a@x", age: 31, address: { zip: 2 } });
  assert.deepEqual([updated.age, updated.address], [31, { street: "Elm", zip: 2 }]);
  await User.update({ accountId: account.id, email: "a@x" }, { add: { age: 2 }, set: { "address.street": "Oak", phones: ["1", "2"] }, remove: ["active"], delete: { tags: new Set(["t"]) } });
  const after = await User.get({ accountId: account.id, email: "a@x" });
  assert.deepEqual([after.age, after.address.street, after.phones, after.active, after.tags], [33, "Oak", ["1", "2"], undefined, undefined]);
  await User.update({ accountId: account.id, email: "a@x" }, { set: { phones: "list_append(if_not_exists(phones, @{none}), @{more})" }, substitutions: { none: [], more: ["3"] } });
  assert.deepEqual((await User.get({ accountId: account.id, email: "a@x" })).phones, ["1", "2", "3"]);
  await assert.rejects(User.update({ accountId: account.id, email: "a@x", age: 1 }, { where: "${age} > {100}" }));
  await User.update({ accountId: account.id, email: "a@x", age: 1 }, { where: "${age} = {33} and attribute_exists(${phones})" });
  await User.upsert({ accountId: account.id, email: "u@x", name: "Up" });
  assert.equal((await User.get({ accountId: account.id, email: "u@x" })).name, "Up");
  await User.remove({ accountId: account.id, email: "u@x" });
  assert.equal(await User.get({ accountId: account.id, email: "u@x" }), undefined);
  await assert.rejects(User.create({ accountId: account.id, email: "e@x", role: "king" }));
});

test("finds, pages, scans", async () => {
  const other = await Account.create({ name: "Pages" });
  for (let i = 0; i < 12; i++) await User.create({ accountId: other.id, email: `${String(i).padStart(2, "0")}@x`, name: `n${i}`, age: i + 10, role: i % 2 ? "admin" : "user" });
  assert.equal((await User.find({ accountId: other.id })).length, 12);
  assert.equal((await User.find({ accountId: other.id, sk: { begins: "user:0" } })).length, 10);
  assert.equal((await User.find({ accountId: other.id, sk: { between: ["user:03", "user:05@y"] } })).length, 3);
  assert.equal((await User.find({ accountId: other.id }, { where: "${age} >= {20} and ${role} = {admin}" })).length, 1);
  assert.deepEqual((await User.find({ accountId: other.id }, { reverse: true, limit: 2 })).map((u) => u.email), ["11@x", "10@x"]);
  let next;
  let seen = 0;
  do {
    const page = await User.find({ accountId: other.id }, { limit: 5, next });
    seen += page.length;
    next = page.next;
  } while (next);
  assert.equal(seen, 12);
  const admins = await User.find({ role: "admin" }, { index: "gs1" });
  assert.equal(admins.length, 6);
  assert.equal((await User.find({ role: "admin", gs1sk: { begins: "user:n1" } }, { index: "gs1", follow: true })).length, 2); // n1, n11
  assert.equal((await User.find({ accountId: other.id }, { count: true })).count, 12);
  assert.equal((await User.scan({}, { where: "${age} > {15}" })).length, 6);
  const parts = await Promise.all([0, 1, 2].map((segment) => User.scan({}, { segment, segments: 3 })));
  assert.ok(parts.flat().length >= 12);
  const both = await table.fetch(["Account", "User"], { pk: `account:${other.id}` });
  assert.deepEqual([both.Account.length, both.User.length], [1, 12]);
});

test("unique attributes", async () => {
  const one = await Account.create({ name: "Unique" });
  await assert.rejects(Account.create({ name: "Unique" }), (e) => /unique/i.test(e.message));
  await Account.update({ id: one.id, name: "Renamed" });
  const two = await Account.create({ name: "Unique" });
  await assert.rejects(Account.update({ id: two.id, name: "Renamed" }), (e) => /unique/i.test(e.message));
  await Account.remove({ id: one.id });
  await Account.update({ id: two.id, name: "Renamed" });
});

test("batches and transactions", async () => {
  const batch = {};
  for (let i = 0; i < 10; i++) await User.create({ accountId: "batch", email: `${i}@x`, name: "n" }, { batch });
  await table.batchWrite(batch);
  const reads = {};
  for (let i = 0; i < 11; i++) await User.get({ accountId: "batch", email: `${i}@x` }, { batch: reads });
  const got = await table.batchGet(reads, { parse: true, hidden: false, consistent: true });
  assert.equal(got.length, 10);

  const transaction = {};
  await User.update({ accountId: "batch", email: "0@x", name: "changed" }, { transaction });
  await User.create({ accountId: "batch", email: "new@x" }, { transaction });
  await User.remove({ accountId: "batch", email: "1@x" }, { transaction });
  await table.transact("write", transaction);
  const bad = {};
  await User.update({ accountId: "batch", email: "0@x", name: "never" }, { transaction: bad });
  await User.create({ accountId: "batch", email: "2@x" }, { transaction: bad }); // is there already
  const err = await table.transact("write", bad).then(() => null, (e) => e);
  assert.ok(err && /cancel/i.test(err.message + err.code), String(err));
  const tx = {};
  for (const email of ["0@x", "new@x", "1@x"]) await User.get({ accountId: "batch", email }, { transaction: tx });
  const read = await table.transact("get", tx, { parse: true, hidden: true });
  assert.deepEqual(read.map((u) => u && u.email).filter(Boolean), ["0@x", "new@x"]);
  assert.equal(read[0].name, "changed");
});
