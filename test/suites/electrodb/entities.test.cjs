// Entities: every mutation and every read of one, attributes of every type, update
// operators, conditions, filters.
"use strict";
const { before, after, test } = require("node:test");
const assert = require("node:assert/strict");
const { Entity, createSchema, ElectroError } = require("electrodb");
const { client, create, drop } = require("./table.cjs");
const { GetCommand } = require("@aws-sdk/lib-dynamodb");

const table = "entities";
before(() => create(table));
after(() => drop(table));

const stores = new Entity({
  model: { service: "mall", entity: "store", version: "1" },
  attributes: {
    city: { type: "string", required: true },
    mall: { type: "string", required: true },
    store: { type: "string", required: true },
    building: { type: "string", required: true },
    unit: { type: "string", required: true },
    category: { type: ["food", "clothing", "misc"], required: true },
    leaseEnd: { type: "string", required: true, field: "le" },
    rent: { type: "number", required: true, validate: (value) => value >= 0 },
    discount: { type: "number", default: 0 },
    open: { type: "boolean" },
    tenants: { type: "set", items: "string" },
    floors: { type: "set", items: "number" },
    notes: { type: "list", items: { type: "map", properties: { by: { type: "string" }, text: { type: "string" }, stars: { type: "number" } } } },
    address: { type: "map", properties: { street: { type: "string" }, number: { type: "number" }, tags: { type: "set", items: "string" } } },
    anything: { type: "any" },
    secret: { type: "string", hidden: true },
    created: { type: "number", readOnly: true, default: () => 1000 },
    updated: { type: "number", watch: "*", set: () => 2000 },
    label: { type: "string", watch: ["store"], get: (_, item) => `the ${item.store}`, set: () => undefined },
  },
  indexes: {
    stores: { pk: { field: "pk", composite: ["city", "mall"] }, sk: { field: "sk", composite: ["building", "unit", "store"] } },
    units: { index: "gsi1", pk: { field: "gsi1pk", composite: ["mall"] }, sk: { field: "gsi1sk", composite: ["building", "unit", "store"] } },
    leases: { index: "gsi2", pk: { field: "gsi2pk", composite: ["store"] }, sk: { field: "gsi2sk", composite: ["leaseEnd"] } },
    ends: { index: "lsi1", pk: { field: "pk", composite: ["city", "mall"] }, sk: { field: "lsi1sk", composite: ["leaseEnd"] } },
  },
}, { table, client });

const key = (city, n = 1) => ({ city, mall: "m", building: "b", unit: `u${n}`, store: `s${n}` });
const item = (city, n = 1, more = {}) => ({ ...key(city, n), category: "food", leaseEnd: `2026-0${n}-01`, rent: 100 * n, ...more });
const seen = (i) => ({ discount: 0, created: 1000, updated: 2000, label: `the ${i.store}`, ...i });
const failed = (promise, code, text) => assert.rejects(promise, (err) => {
  assert.ok(err instanceof ElectroError, String(err.stack));
  assert.equal(err.cause?.name, code);
  if (text) assert.equal(err.cause.message, text);
  return true;
});
const refused = (promise) => failed(promise, "ConditionalCheckFailedException", "The conditional request failed");

test("put and get every type", async () => {
  const full = item("types", 1, {
    open: false, tenants: ["a", "b"], floors: [1, 2.5], notes: [{ by: "x", text: "", stars: 3 }],
    address: { street: "Elm", number: 7, tags: ["t"] }, anything: { deep: [1, "two", null, { three: true }] }, secret: "hush",
  });
  const put = await stores.put(full).go({ response: "all_old" });
  assert.equal(put.data, null); // there was nothing
  const { secret, ...visible } = full;
  const { data } = await stores.get(key("types")).go({ consistent: true });
  data.tenants.sort();
  data.floors.sort();
  assert.deepEqual(data, seen(visible));
  const stored = (await client.send(new GetCommand({ TableName: table, Key: stores.get(key("types")).params().Key }))).Item;
  assert.equal(stored.secret, "hush");
  assert.equal(stored.le, "2026-01-01");
  assert.equal(stored.__edb_e__, "store");
  assert.equal(stored.pk, "$mall#city_types#mall_m");
  assert.deepEqual(stored.floors, new Set([1, 2.5]));

  const again = await stores.put(item("types", 1, { rent: 5 })).go({ response: "all_old" });
  assert.equal(again.data.rent, 100);
  const some = await stores.get(key("types")).go({ attributes: ["rent", "leaseEnd"] });
  assert.deepEqual(some.data, { rent: 5, leaseEnd: "2026-01-01" });
  assert.equal((await stores.get(key("nowhere")).go()).data, null);
  const raw = await stores.get(key("types")).go({ data: "raw" });
  assert.equal(raw.data.Item.rent, 5);
  const keyed = await stores.get(key("types")).go({ data: "includeKeys" });
  assert.equal(keyed.data.gsi2pk, "$mall#store_s1");
});

test("create, patch, update, upsert, remove, delete", async () => {
  await stores.create(item("life")).go();
  await refused(stores.create(item("life")).go());
  await refused(stores.patch(key("life", 2)).set({ rent: 1 }).go());
  const patched = await stores.patch(key("life")).set({ rent: 7 }).go({ response: "all_new" });
  assert.equal(patched.data.rent, 7);
  const updated = await stores.update(key("life")).set({ open: true }).go({ response: "updated_new" });
  assert.equal(updated.data.open, true);
  assert.equal(updated.data.rent, undefined);
  const old = await stores.update(key("life")).set({ rent: 9 }).go({ response: "updated_old" });
  assert.equal(old.data.rent, 7);

  const made = await stores.upsert(item("life", 3)).go({ response: "all_new" });
  assert.equal(made.data.rent, 300);
  const kept = await stores.upsert(item("life", 3, { rent: 4 })).go({ response: "all_new" });
  assert.equal(kept.data.rent, 4);
  await stores.upsert(key("life", 4)).set({ category: "misc", leaseEnd: "2026-04-01", rent: 1 }).add({ discount: 5 })
    .ifNotExists({ open: true }).append({ notes: [{ by: "u" }] }).go();
  const upserted = (await stores.get(key("life", 4)).go()).data;
  assert.deepEqual([upserted.discount, upserted.open, upserted.notes], [5, true, [{ by: "u" }]]);

  const gone = await stores.delete(key("life")).go({ response: "all_old" });
  assert.equal(gone.data.rent, 9);
  await stores.delete(key("life")).go(); // again: no error
  await refused(stores.remove(key("life")).go());
  await stores.remove(key("life", 3)).go();
  assert.equal((await stores.get(key("life", 3)).go()).data, null);
});

test("update operators", async () => {
  await stores.put(item("operators", 1, {
    tenants: ["a"], floors: [1], notes: [{ by: "x", stars: 1 }], address: { street: "Elm", number: 7, tags: ["t"] }, open: true, anything: [1],
  })).go();
  await stores.update(key("operators"))
    .set({ category: "misc" }).add({ discount: 3, tenants: ["b"] }).subtract({ rent: 40 }).append({ notes: [{ by: "y" }] })
    .remove(["open"]).delete({ floors: [1] }).ifNotExists({ secret: "s" }).go();
  let { data } = await stores.get(key("operators")).go();
  data.tenants.sort();
  assert.deepEqual(
    [data.category, data.discount, data.rent, data.notes, data.open, data.floors, data.tenants],
    ["misc", 3, 60, [{ by: "x", stars: 1 }, { by: "y" }], undefined, undefined, ["a", "b"]]);

  await stores.update(key("operators")).data((a, o) => {
    o.set(a.notes[0].text, "set");
    o.add(a.notes[0].stars, 4);
    o.remove(a.notes[1]);
    o.set(a.address.street, "Oak");
    o.subtract(a.address.number, 2);
    o.add(a.address.tags, ["u"]);
    o.append(a.anything, [2]);
    o.del(a.tenants, ["a"]);
    o.ifNotExists(a.open, false);
    o.set(a.rent, o.name(a.discount));
    o.add(a.discount, o.name(a.rent));
  }).where((a, o) => `${o.eq(a.category, "misc")} AND ${o.gt(a.rent, 50)}`).go();
  ({ data } = await stores.get(key("operators")).go());
  data.address.tags.sort();
  assert.deepEqual(
    [data.notes, data.address, data.anything, data.tenants, data.open, data.rent, data.discount],
    [[{ by: "x", stars: 5, text: "set" }], { street: "Oak", number: 5, tags: ["t", "u"] }, [1, 2], ["b"], false, 3, 63]);

  // A change of what keys are made of moves the item in its indexes.
  await stores.update(key("operators")).set({ leaseEnd: "2030-01-01" }).go();
  assert.equal((await stores.query.leases({ store: "s1", leaseEnd: "2030-01-01" }).go()).data.length, 1);
  assert.throws(() => stores.update(key("operators")).set({ created: 1 }).params(), /Read-Only/);
  await failed(stores.update(key("operators")).data((a, o) => o.append(a.anything[0], [1])).go(),
    "ValidationException", "An operand in the update expression has an incorrect data type");
});

test("conditions and filters", async () => {
  await stores.put([1, 2, 3, 4].map((n) => item("filters", n, {
    open: n % 2 === 0 ? true : undefined, tenants: [`t${n}`], address: { street: `Street ${n}`, number: n }, notes: [{ by: `n${n}` }],
  }))).go();
  const all = stores.query.stores({ city: "filters", mall: "m" });
  const units = async (where) => (await stores.query.stores({ city: "filters", mall: "m" }).where(where).go()).data.map((i) => i.unit).join();
  const cases = [
    [(a, o) => o.eq(a.rent, 200), "u2"], [(a, o) => o.ne(a.rent, 200), "u1,u3,u4"], [(a, o) => o.gt(a.rent, 200), "u3,u4"],
    [(a, o) => o.gte(a.rent, 200), "u2,u3,u4"], [(a, o) => o.lt(a.rent, 200), "u1"], [(a, o) => o.lte(a.rent, 200), "u1,u2"],
    [(a, o) => o.between(a.rent, 200, 300), "u2,u3"], [(a, o) => o.begins(a.leaseEnd, "2026-03"), "u3"],
    [(a, o) => o.exists(a.open), "u2,u4"], [(a, o) => o.notExists(a.open), "u1,u3"], [(a, o) => o.contains(a.tenants, "t4"), "u4"],
    [(a, o) => o.notContains(a.tenants, "t4"), "u1,u2,u3"], [(a, o) => o.eq(a.address.number, 3), "u3"],
    [(a, o) => o.eq(a.notes[0].by, "n1"), "u1"], [(a, o) => `${o.size(a.address.street)} = ${o.escape(8)}`, "u1,u2,u3,u4"],
    [(a, o) => o.type(a.tenants, "SS"), "u1,u2,u3,u4"], [(a, o) => o.eqOrNotExists(a.open, true), "u1,u2,u3,u4"],
    [(a, o) => `(${o.eq(a.rent, 100)} OR ${o.eq(a.rent, 400)}) AND NOT ${o.exists(a.open)}`, "u1"],
    [(a, o) => `${o.name(a.rent)} > ${o.name(a.discount)}`, "u1,u2,u3,u4"],
    [(a, o) => `${o.field("le")} = ${o.escape("2026-02-01")}`, "u2"],
  ];
  for (const [where, want] of cases) {
    assert.equal(await units(where), want, String(where));
  }
  assert.equal((await all.go()).data.length, 4);
  // The same language guards writes.
  await refused(stores.update(key("filters")).set({ rent: 1 }).where((a, o) => o.eq(a.rent, 999)).go());
  await refused(stores.delete(key("filters")).where((a, o) => o.exists(a.open)).go());
  await refused(stores.put(item("filters")).where((a, o) => o.notExists(a.rent)).go());
  await stores.patch(key("filters")).set({ rent: 1 }).where((a, o) => `${o.eq(a.rent, 100)} AND ${o.notExists(a.open)}`).go();
  const guarded = (mode) => stores.update(key("filters")).set({ rent: 2 }).where((a, o) => o.eq(a.rent, 100)).go({ returnOnConditionCheckFailure: mode });
  assert.deepEqual(await guarded(true), { rejected: true });
  const { rejected, data } = await guarded("all_old");
  assert.deepEqual([rejected, data.rent], [true, 1]);
  const accepted = await stores.update(key("filters")).set({ rent: 2 }).where((a, o) => o.eq(a.rent, 1)).go({ returnOnConditionCheckFailure: "all_old" });
  assert.equal(accepted.rejected, false);
});

test("attributes are checked, hidden, derived", async () => {
  await assert.rejects(stores.put(item("checks", 1, { category: "nothing" })).go(), ElectroError);
  await assert.rejects(stores.put(item("checks", 1, { rent: -1 })).go(), ElectroError);
  await assert.rejects(stores.put({ ...item("checks"), unit: undefined }).go(), ElectroError);
  assert.throws(() => createSchema({ model: {}, attributes: {}, indexes: {} }));
});

test("listeners hear of queries and results, and of capacity", async () => {
  const events = [];
  const params = { ReturnConsumedCapacity: "TOTAL" };
  await stores.put(item("events")).go({ logger: (e) => events.push(e), params });
  assert.deepEqual(events.map((e) => e.type), ["query", "results"]);
  assert.equal(events[1].results.ConsumedCapacity.CapacityUnits, 4); // the table and three indexes
});
