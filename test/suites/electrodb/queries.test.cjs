// Queries: sort key operators, indexes, find and match, scans, pages, batches.
"use strict";
const { before, after, test } = require("node:test");
const assert = require("node:assert/strict");
const { Entity } = require("electrodb");
const { client, create, drop, single, S, hash, range } = require("./table.cjs");

const table = "queries";
const tasks = new Entity({
  model: { service: "app", entity: "task", version: "1" },
  attributes: {
    team: { type: "string", required: true },
    task: { type: "string", required: true },
    project: { type: "string", required: true },
    user: { type: "string" },
    status: { type: ["open", "done"], default: "open" },
    points: { type: "number", padding: { length: 4, char: "0" } },
    title: { type: "string" },
  },
  indexes: {
    projects: { pk: { field: "pk", composite: ["team"] }, sk: { field: "sk", composite: ["project", "task"] } },
    // Sparse: only what has a user and a status.
    assigned: { index: "gsi1", condition: (a) => a.user !== "nobody", pk: { field: "gsi1pk", composite: ["user"] }, sk: { field: "gsi1sk", composite: ["status", "points"] } },
    statuses: { index: "lsi1", pk: { field: "pk", composite: ["team"] }, sk: { field: "lsi1sk", composite: ["status", "points"] } },
    board: { index: "gsi2", scope: "board", pk: { field: "gsi2pk", composite: ["project"], casing: "upper" }, sk: { field: "gsi2sk", composite: ["points"], casing: "none" } },
  },
}, { table, client });

const pad = (n) => String(n).padStart(3, "0");
const all = [];
for (const team of ["a", "b"]) {
  for (let i = 0; i < 40; i++) {
    all.push({ team, task: pad(i), project: `p${i % 4}`, user: i % 10 === 0 ? "nobody" : `u${i % 3}`, status: i % 2 ? "done" : "open", points: (i * 7) % 40, title: `title ${i}` });
  }
}

before(async () => {
  await create(table);
  const { unprocessed } = await tasks.put(all).go({ concurrent: 2 });
  assert.deepEqual(unprocessed, []);
});
after(() => drop(table));

const of = (data) => data.map((t) => t.task).join();
const want = (filter, order = (a, b) => (a.project + a.task < b.project + b.task ? -1 : 1)) => of(all.filter(filter).sort(order));

test("sort key operators", async () => {
  const q = () => tasks.query.projects({ team: "a" });
  assert.equal(of((await q().go({ pages: "all" })).data), want((t) => t.team === "a"));
  assert.equal(of((await q().go({ pages: "all", order: "desc" })).data), want((t) => t.team === "a").split(",").reverse().join());
  const p1 = (t) => t.team === "a" && t.project === "p1";
  assert.equal(of((await tasks.query.projects({ team: "a", project: "p1" }).go()).data), want(p1));
  assert.equal(of((await tasks.query.projects({ team: "a", project: "p1", task: "005" }).go()).data), "005");
  assert.equal(of((await tasks.query.projects({ team: "a", project: "p1" }).begins({ task: "01" }).go()).data), want((t) => p1(t) && t.task.startsWith("01")));
  assert.equal(of((await tasks.query.projects({ team: "a" }).begins({ project: "p" }).go()).data), want((t) => t.team === "a"));
  assert.equal(of((await tasks.query.projects({ team: "a", project: "p1" }).between({ task: "005" }, { task: "017" }).go()).data), want((t) => p1(t) && t.task >= "005" && t.task <= "017"));
  assert.equal(of((await tasks.query.projects({ team: "a", project: "p1" }).gt({ task: "025" }).go()).data).slice(0, 3), "029");
  assert.equal(of((await tasks.query.projects({ team: "a", project: "p1" }).gte({ task: "025" }).go()).data).slice(0, 3), "025");
  assert.equal(of((await tasks.query.projects({ team: "a", project: "p1" }).lt({ task: "009" }).go()).data).split(",").slice(-1)[0], "005");
  assert.equal(of((await tasks.query.projects({ team: "a", project: "p1" }).lte({ task: "009" }).go()).data).split(",").slice(-1)[0], "009");
});

test("indexes", async () => {
  const assigned = (await tasks.query.assigned({ user: "u1", status: "open" }).go({ pages: "all" })).data;
  assert.equal(assigned.length, all.filter((t) => t.user === "u1" && t.status === "open").length);
  assert.deepEqual(assigned.map((t) => t.points), assigned.map((t) => t.points).sort((a, b) => a - b));
  assert.equal((await tasks.query.assigned({ user: "nobody" }).go()).data.length, 0);
  const local = (await tasks.query.statuses({ team: "a", status: "done" }).gte({ points: 30 }).go({ consistent: true, compare: "attributes" })).data;
  assert.deepEqual(local.map((t) => t.points), all.filter((t) => t.team === "a" && t.status === "done" && t.points >= 30).map((t) => t.points).sort((a, b) => a - b));
  const board = (await tasks.query.board({ project: "p2" }).between({ points: 5 }, { points: 12 }).go()).data;
  assert.equal(board.length, all.filter((t) => t.project === "p2" && t.points >= 5 && t.points <= 12).length);
  const some = (await tasks.query.board({ project: "p2" }).go({ attributes: ["title"], limit: 2 })).data;
  assert.deepEqual(Object.keys(some[0]), ["title"]);
});

test("find, match, scan", async () => {
  assert.equal(of((await tasks.find({ team: "a", project: "p3", status: "done" }).go()).data), want((t) => t.team === "a" && t.project === "p3" && t.status === "done"));
  assert.equal((await tasks.match({ user: "u2", title: "title 5" }).go({ pages: "all" })).data.length, 2);
  assert.equal((await tasks.match({ title: "title 7" }).go({ pages: "all" })).data.length, 2); // a scan
  assert.equal((await tasks.scan.go({ pages: "all" })).data.length, 80);
  assert.equal((await tasks.scan.where((a, o) => o.gte(a.points, 38)).go({ pages: "all" })).data.length, 4);
  const parts = await Promise.all([0, 1, 2].map((Segment) => tasks.scan.go({ pages: "all", params: { Segment, TotalSegments: 3 } })));
  assert.equal(parts.flatMap((p) => p.data).length, 80);
});

test("pages", async () => {
  let cursor = null;
  const got = [];
  let pages = 0;
  do {
    const page = await tasks.query.projects({ team: "a" }).go({ cursor, limit: 7 });
    got.push(...page.data);
    cursor = page.cursor;
    pages++;
  } while (cursor !== null);
  assert.equal(of(got), want((t) => t.team === "a"));
  assert.equal(pages, 6);
  // At least as many as are counted, over pages that a filter thins out.
  const counted = await tasks.query.projects({ team: "a" }).where((a, o) => o.eq(a.status, "done")).go({ count: 5, limit: 3 });
  assert.equal(counted.data.length, 5);
  const rest = await tasks.query.projects({ team: "a" }).where((a, o) => o.eq(a.status, "done")).go({ cursor: counted.cursor, pages: "all" });
  assert.equal(rest.data.length, 15);
  const two = await tasks.query.projects({ team: "a" }).go({ limit: 4, pages: 2 });
  assert.equal(two.data.length, 8);
  // The cursor of an index holds its keys too; raw keys work as well.
  const first = await tasks.query.assigned({ user: "u1" }).go({ limit: 4, pager: "raw" });
  assert.deepEqual(Object.keys(first.cursor).sort(), ["gsi1pk", "gsi1sk", "pk", "sk"]);
  const second = await tasks.query.assigned({ user: "u1" }).go({ cursor: first.cursor, pager: "raw", pages: "all" });
  assert.equal(first.data.length + second.data.length, all.filter((t) => t.user === "u1").length);
  const scanned = [];
  cursor = null;
  do {
    const page = await tasks.scan.go({ cursor, limit: 9 });
    scanned.push(...page.data);
    cursor = page.cursor;
  } while (cursor);
  assert.equal(new Set(scanned.map((t) => t.team + t.task)).size, 80);
});

test("batches", async () => {
  const keys = all.map(({ team, project, task }) => ({ team, project, task }));
  const missing = { team: "z", project: "p", task: "0" };
  const got = await tasks.get([...keys.slice(0, 60), missing, ...keys.slice(60)]).go({ preserveBatchOrder: true });
  assert.equal(got.data.length, 81);
  assert.equal(got.data[60], null);
  assert.equal(of(got.data.filter(Boolean)), of(all));
  const unordered = await tasks.get(keys).go({ concurrent: 3, attributes: ["task"] });
  assert.equal(unordered.data.length, 80);
  const extra = Array.from({ length: 60 }, (_, i) => ({ team: "c", project: "p", task: pad(i) }));
  assert.deepEqual((await tasks.put(extra.map((t) => ({ ...t, user: "u", points: 1 }))).go()).unprocessed, []);
  assert.equal((await tasks.query.projects({ team: "c" }).go({ pages: "all" })).data.length, 60);
  assert.deepEqual((await tasks.delete(extra).go({ concurrent: 3 })).unprocessed, []);
  assert.equal((await tasks.query.projects({ team: "c" }).go()).data.length, 0);
});

test("batches larger than an answer", async () => {
  const blobs = new Entity({
    model: { service: "app", entity: "blob", version: "1" },
    attributes: { id: { type: "string" }, data: { type: "string" } },
    indexes: { blobs: { pk: { field: "pk", composite: ["id"] }, sk: { field: "sk", composite: [] } } },
  }, { table, client });
  const ids = Array.from({ length: 46 }, (_, i) => ({ id: pad(i) }));
  for (let i = 0; i < ids.length; i += 10) {
    await blobs.put(ids.slice(i, i + 10).map(({ id }) => ({ id, data: id[2].repeat(380_000) }))).go();
  }
  const got = await blobs.get(ids).go();
  assert.ok(got.unprocessed.length > 0, "16 MB is the most that one answer holds");
  const rest = await blobs.get(got.unprocessed).go();
  assert.equal(got.data.length + rest.data.length, 46);
  await blobs.delete(ids).go();
});

test("indexes that project some or no attributes", async () => {
  const name = "projections";
  await create(name, {
    ...single,
    LocalSecondaryIndexes: undefined,
    AttributeDefinitions: ["pk", "sk", "gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk"].map(S),
    GlobalSecondaryIndexes: [
      { IndexName: "gsi1", KeySchema: [hash("gsi1pk"), range("gsi1sk")], Projection: { ProjectionType: "KEYS_ONLY" } },
      { IndexName: "gsi2", KeySchema: [hash("gsi2pk"), range("gsi2sk")], Projection: { ProjectionType: "INCLUDE", NonKeyAttributes: ["name", "__edb_e__", "__edb_v__"] } },
    ],
  });
  const things = new Entity({
    model: { service: "app", entity: "thing", version: "1" },
    attributes: { id: { type: "string" }, kind: { type: "string" }, name: { type: "string" }, text: { type: "string" } },
    indexes: {
      main: { pk: { field: "pk", composite: ["id"] }, sk: { field: "sk", composite: [] } },
      kinds: { index: "gsi1", projection: "keys_only", pk: { field: "gsi1pk", composite: ["kind"] }, sk: { field: "gsi1sk", composite: ["id"] } },
      names: { index: "gsi2", projection: ["name"], pk: { field: "gsi2pk", composite: ["kind"] }, sk: { field: "gsi2sk", composite: ["name"] } },
    },
  }, { table: name, client });
  await things.put([1, 2, 3].map((i) => ({ id: `${i}`, kind: "k", name: `n${i}`, text: `t${i}` }))).go();
  const keysOnly = await things.query.kinds({ kind: "k" }).go({ ignoreOwnership: true, data: "raw" });
  assert.deepEqual(Object.keys(keysOnly.data.Items[0]).sort(), ["gsi1pk", "gsi1sk", "pk", "sk"]);
  const hydrated = await things.query.kinds({ kind: "k" }).go({ hydrate: true });
  assert.deepEqual(hydrated.data.map((t) => t.text), ["t1", "t2", "t3"]);
  const included = await things.query.names({ kind: "k" }).begins({ name: "n" }).go();
  assert.deepEqual(included.data.map((t) => t.name), ["n1", "n2", "n3"]);
  assert.equal(included.data[0].text, undefined);
  await drop(name);
});
