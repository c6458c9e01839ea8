// Services: collections of several entities, clustered and isolated, and transactions.
"use strict";
const { before, after, test } = require("node:test");
const assert = require("node:assert/strict");
const { randomUUID } = require("node:crypto");
const { Entity, Service, createConversions } = require("electrodb");
const { client, create, drop, S, hash, range, ALL } = require("./table.cjs");

const table = "services";
before(() => create(table));
after(() => drop(table));

const employee = new Entity({
  model: { service: "app", entity: "employee", version: "1" },
  attributes: { employee: { type: "string" }, team: { type: "string" }, office: { type: "string" }, hired: { type: "string" }, salary: { type: "number" } },
  indexes: {
    employee: { collection: "assignments", pk: { field: "pk", composite: ["employee"] }, sk: { field: "sk", composite: [] } },
    workplace: { collection: "workplaces", index: "gsi1", pk: { field: "gsi1pk", composite: ["office"] }, sk: { field: "gsi1sk", composite: ["team", "employee"] } },
    timeline: { collection: "timeline", type: "clustered", index: "gsi2", pk: { field: "gsi2pk", composite: ["office"] }, sk: { field: "gsi2sk", composite: ["hired"] } },
  },
}, { table, client });

const task = new Entity({
  model: { service: "app", entity: "task", version: "1" },
  attributes: { task: { type: "string" }, project: { type: "string" }, employee: { type: "string" }, office: { type: "string" }, hired: { type: "string" }, points: { type: "number" } },
  indexes: {
    task: { collection: ["overview"], pk: { field: "pk", composite: ["task"] }, sk: { field: "sk", composite: ["project"] } },
    assigned: { collection: "workplaces", index: "gsi1", pk: { field: "gsi1pk", composite: ["office"] }, sk: { field: "gsi1sk", composite: ["project", "task"] } },
    timeline: { collection: "timeline", type: "clustered", index: "gsi2", pk: { field: "gsi2pk", composite: ["office"] }, sk: { field: "gsi2sk", composite: ["hired"] } },
  },
}, { table, client });

const app = new Service({ employee, task });

test("collections", async () => {
  const office = randomUUID();
  await employee.put(["a", "b"].map((e, i) => ({ employee: office + e, team: "t", office, hired: `2020-0${i + 1}`, salary: i }))).go();
  await task.put([0, 1, 2].map((i) => ({ task: office + i, project: `p${i}`, employee: "a", office, hired: `2020-0${i + 1}-15`, points: i }))).go();
  const { data } = await app.collections.workplaces({ office }).go();
  assert.deepEqual([data.employee.length, data.task.length], [2, 3]);
  const filtered = await app.collections.workplaces({ office }).where((a, o) => `${o.gte(a.points, 1)} OR ${o.eq(a.salary, 1)}`).go();
  assert.deepEqual([filtered.data.employee.length, filtered.data.task.length], [1, 2]);
  let cursor = null;
  let seen = 0;
  do {
    const page = await app.collections.workplaces({ office }).go({ cursor, limit: 2 });
    seen += page.data.employee.length + page.data.task.length;
    cursor = page.cursor;
  } while (cursor);
  assert.equal(seen, 5);
  // Clustered: the sort keys of both entities lie between each other.
  const year = await app.collections.timeline({ office }).between({ hired: "2020-01" }, { hired: "2020-02" }).go();
  assert.deepEqual([year.data.employee.length, year.data.task.length], [1, 1]);
  const after = await app.collections.timeline({ office }).gte({ hired: "2020-02" }).go({ order: "desc" });
  assert.deepEqual([after.data.employee.length, after.data.task.length], [1, 2]);
  const hydrated = await app.collections.workplaces({ office }).go({ hydrate: true });
  assert.deepEqual([hydrated.data.employee.length, hydrated.data.task.length], [2, 3]);
});

test("entities of one table do not see each other", async () => {
  const id = randomUUID();
  await employee.put({ employee: id, team: "t", office: id, hired: "2021", salary: 1 }).go();
  const scanned = await task.scan.where((a, o) => o.eq(a.office, id)).go({ pages: "all" });
  assert.equal(scanned.data.length, 0);
  const found = await employee.scan.where((a, o) => o.eq(a.office, id)).go({ pages: "all" });
  assert.equal(found.data.length, 1);
});

test("transactions", async () => {
  const id = randomUUID();
  const keys = { e: { employee: id }, t: { task: id, project: "p" } };
  const read = () => app.transaction.get(({ employee, task }) => [employee.get(keys.e).commit(), task.get(keys.t).commit()]).go();
  assert.deepEqual(await read(), { data: [{ rejected: false, item: null }, { rejected: false, item: null }], canceled: false });
  const token = randomUUID();
  const write = () => app.transaction.write(({ employee, task }) => [
    employee.create({ employee: id, team: "t", office: id, hired: "2022", salary: 5 }).commit(),
    task.put({ ...keys.t, employee: id, office: id, hired: "2022", points: 1 }).where((a, o) => o.notExists(a.points)).commit(),
  ]).go({ token });
  assert.equal((await write()).canceled, false);
  assert.equal((await write()).canceled, false); // the same token: answered, not done again
  const { data } = await read();
  assert.deepEqual(data.map((d) => [d.rejected, d.item.salary ?? d.item.points]), [[false, 5], [false, 1]]);

  // Update, patch, upsert, check and remove; one condition fails, so nothing is done.
  const failed = await app.transaction.write(({ employee, task }) => [
    employee.patch(keys.e).add({ salary: 1 }).commit({ response: "all_old" }),
    task.check(keys.t).where((a, o) => o.eq(a.points, 99)).commit({ response: "all_old" }),
    task.upsert({ task: id + "2", project: "p", points: 3 }).commit(),
    employee.remove({ employee: id + "none" }).commit(),
  ]).go();
  assert.equal(failed.canceled, true);
  assert.deepEqual(failed.data.map((d) => [d.rejected, d.code]), [[false, "None"], [true, "ConditionalCheckFailed"], [false, "None"], [true, "ConditionalCheckFailed"]]);
  assert.equal(failed.data[1].message, "The conditional request failed");
  assert.equal(failed.data[1].item.points, 1);
  const done = await app.transaction.write(({ employee, task }) => [
    employee.update(keys.e).data((a, o) => o.add(a.salary, 1)).commit(),
    task.delete(keys.t).where((a, o) => o.eq(a.points, 1)).commit(),
    task.upsert({ task: id + "2", project: "p", points: 3 }).commit(),
    task.check({ task: id + "3", project: "p" }).where((a, o) => o.notExists(a.points)).commit(),
  ]).go();
  assert.equal(done.canceled, false);
  assert.deepEqual((await read()).data.map((d) => d.item && d.item.salary), [6, null]);
  await assert.rejects(app.transaction.write(({ employee }) => [
    employee.update(keys.e).set({ salary: 1 }).commit(), employee.delete(keys.e).commit(),
  ]).go(), /Transaction request cannot include multiple operations on one item/);
});

test("multi-attribute keys", async () => {
  const name = "multi";
  await create(name, {
    BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: [...["pk", "sk", "country", "region", "city", "maker", "modelName"].map(S), { AttributeName: "count", AttributeType: "N" }],
    KeySchema: [hash("pk"), range("sk")],
    GlobalSecondaryIndexes: [{
      IndexName: "location",
      KeySchema: [hash("country"), hash("region"), hash("city"), range("maker"), range("modelName"), range("count")],
      Projection: ALL,
    }],
  });
  const attributes = {
    id: { type: "string" }, country: { type: "string" }, region: { type: "string" }, city: { type: "string" },
    maker: { type: "string" }, modelName: { type: "string" }, count: { type: "number" },
  };
  const entity = (kind) => new Entity({
    model: { service: "app", entity: kind, version: "1" },
    attributes,
    indexes: {
      main: { pk: { field: "pk", composite: ["id"] }, sk: { field: "sk", composite: [] } },
      location: { index: "location", type: "composite", collection: "inventory", pk: { composite: ["country", "region", "city"] }, sk: { composite: ["maker", "modelName", "count"] } },
    },
  }, { table: name, client });
  const things = entity("thing");
  const others = entity("other");
  const place = { country: "us", region: "ga", city: "atl" };
  await things.put([..."abc"].flatMap((maker) => [1, 10, 2].map((count) => ({ id: maker + count, ...place, maker, modelName: "m", count })))).go();
  await others.put({ id: "o", ...place, maker: "b", modelName: "m", count: 7 }).go();
  await things.put({ id: "incomplete", country: "us", region: "ga", maker: "a" }).go(); // not in the index
  const ids = async (q, options) => (await q.go(options)).data.map((t) => t.id).join();
  assert.equal(await ids(things.query.location(place)), "a1,a2,a10,b1,b2,b10,c1,c2,c10");
  assert.equal(await ids(things.query.location({ ...place, maker: "b" })), "b1,b2,b10");
  assert.equal(await ids(things.query.location({ ...place, maker: "b", modelName: "m" }).gt({ count: 1 })), "b2,b10");
  assert.equal(await ids(things.query.location({ ...place, maker: "b", modelName: "m" }).between({ count: 1 }, { count: 2 })), "b1,b2");
  assert.equal(await ids(things.query.location(place).gte({ maker: "b" })), "b1,b2,b10,c1,c2,c10");
  assert.equal(await ids(things.query.location({ ...place, maker: "a" }).begins({ modelName: "m" }), { order: "desc" }), "a10,a2,a1");
  const service = new Service({ things, others });
  const { data } = await service.collections.inventory({ ...place, maker: "b" }).go();
  assert.deepEqual([data.things.length, data.others.length], [3, 1]);
  let cursor = null;
  const got = [];
  do {
    const page = await things.query.location(place).go({ cursor, limit: 2 });
    got.push(...page.data.map((t) => t.id));
    cursor = page.cursor;
  } while (cursor);
  assert.equal(got.join(), "a1,a2,a10,b1,b2,b10,c1,c2,c10");
  await things.patch({ id: "a1" }).set({ city: "sav" }).go();
  assert.equal(await ids(things.query.location({ ...place, maker: "a" })), "a2,a10");
  await drop(name);
});

test("conversions of keys and cursors", async () => {
  const id = randomUUID();
  const conversions = createConversions(employee);
  const { fromComposite, fromKeys, fromCursor } = conversions.byAccessPattern.employee;
  assert.deepEqual(fromKeys.toComposite(fromComposite.toKeys({ employee: id })), { employee: id });
  await employee.put(["1", "2", "3"].map((n) => ({ employee: id + n, team: "t", office: id, hired: n, salary: 1 }))).go();
  const { cursor } = await employee.query.workplace({ office: id }).go({ limit: 2 });
  assert.equal(fromCursor.toComposite(cursor).employee, id + "2");
  const made = conversions.byAccessPattern.workplace.fromComposite.toCursor({ office: id, team: "t", employee: id + "1" });
  const { data } = await employee.query.workplace({ office: id }).go({ cursor: made });
  assert.deepEqual(data.map((e) => e.hired), ["2", "3"]);
});
