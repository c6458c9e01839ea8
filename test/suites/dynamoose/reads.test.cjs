// Queries and scans: operators, indexes, sorting, limits, pages, counts, parallel scans.
"use strict";
const { before, after, test } = require("node:test");
const assert = require("node:assert/strict");
const { dynamoose, sdk } = require("./instance.cjs");

const Thread = dynamoose.model("Thread", new dynamoose.Schema({
  forum: { type: String, hashKey: true },
  number: { type: Number, rangeKey: true },
  author: { type: String, index: [{ name: "byAuthor", rangeKey: "views" }, { name: "namesOnly", project: ["title"] }] },
  views: { type: Number, index: { type: "local", name: "byViews" } },
  title: String,
  mood: { type: String, index: { name: "byMood", project: false } },
  text: String,
}));

const all = ["a", "b"].flatMap((forum) => Array.from({ length: 30 }, (_, i) => ({
  forum, number: i, author: `u${i % 3}`, views: (i * 7) % 30, title: `title ${i}`, text: "x".repeat(i), ...(i % 10 === 0 && { mood: "glad" }),
})));

before(async () => {
  for (let i = 0; i < all.length; i += 20) await Thread.batchPut(all.slice(i, i + 20));
});
after(() => sdk.deleteTable({ TableName: "Thread" }));

const numbers = (items) => items.map((i) => i.number).join();
const want = (filter) => numbers(all.filter((t) => t.forum === "a" && filter(t)));

test("queries", async () => {
  const q = () => Thread.query("forum").eq("a");
  assert.equal(numbers(await q().exec()), want(() => true));
  assert.equal(numbers(await q().where("number").lt(3).exec()), "0,1,2");
  assert.equal(numbers(await q().where("number").le(3).exec()), "0,1,2,3");
  assert.equal(numbers(await q().where("number").gt(27).exec()), "28,29");
  assert.equal(numbers(await q().where("number").ge(27).exec()), "27,28,29");
  assert.equal(numbers(await q().where("number").between(4, 6).exec()), "4,5,6");
  assert.equal(numbers(await q().sort("descending").limit(3).exec()), "29,28,27");
  const byViews = await q().filter("views").lt(5).exec(); // the mapper takes the local index
  assert.deepEqual(byViews.map((t) => t.views), [0, 1, 2, 3, 4]);
  assert.equal(numbers(await q().filter("title").contains("1").and().filter("author").eq("u1").exec()), want((t) => t.title.includes("1") && t.author === "u1"));
  assert.equal(numbers(await Thread.query({ forum: "a", number: { between: [1, 2] } }).exec()), "1,2");
  assert.equal(numbers(await q().where("title").in(["title 3", "title 9"]).exec()), "3,9");
  const some = await q().attributes(["title"]).limit(1).exec();
  assert.deepEqual({ ...some[0] }, { title: "title 0" });
  const counted = await q().filter("author").eq("u1").count().exec();
  assert.equal(counted.count, 10);
  assert.equal(numbers(await q().consistent().where("number").eq(7).exec()), "7");
});

test("indexes", async () => {
  const byAuthor = await Thread.query("author").eq("u1").exec(); // found by itself
  assert.equal(byAuthor.length, 20);
  const sorted = await Thread.query("author").eq("u1").where("views").ge(20).using("byAuthor").exec();
  assert.deepEqual(sorted.map((t) => t.views), all.filter((t) => t.author === "u1" && t.views >= 20).map((t) => t.views).sort((a, b) => a - b));
  const local = await Thread.query("forum").eq("a").where("views").between(3, 6).using("byViews").consistent().exec();
  assert.deepEqual(local.map((t) => t.views), [3, 4, 5, 6]);
  const sparse = await Thread.query("mood").eq("glad").using("byMood").exec();
  assert.deepEqual(sparse.map((t) => t.forum + t.number).sort(), ["a0", "a10", "a20", "b0", "b10", "b20"]);
  assert.deepEqual(Object.keys(sparse[0]).sort(), ["forum", "mood", "number"]);
  const names = await Thread.query("author").eq("u0").using("namesOnly").limit(1).exec();
  assert.deepEqual(Object.keys(names[0]).sort(), ["author", "forum", "number", "title"]);
  await assert.rejects(Thread.query("author").eq("u0").using("byAuthor").consistent().exec(),
    { name: "ValidationException", message: "Consistent reads are not supported on global secondary indexes" });
});

test("pages", async () => {
  let startAt;
  const got = [];
  do {
    const page = await Thread.query("forum").eq("a").limit(7).startAt(startAt).exec();
    got.push(...page);
    startAt = page.lastKey;
  } while (startAt);
  assert.equal(numbers(got), want(() => true));
  const everything = await Thread.query("author").eq("u2").limit(3).all().exec();
  assert.equal(everything.length, 20);
  assert.equal(everything.timesQueried, 7);
  const three = await Thread.scan().limit(5).all(0, 3).exec();
  assert.deepEqual([three.length, three.timesScanned], [15, 3]);
  assert.ok(three.lastKey);
});

test("scans", async () => {
  assert.equal((await Thread.scan().exec()).length, 60);
  assert.equal((await Thread.scan("views").ge(28).exec()).length, 4);
  assert.equal((await Thread.scan().filter("mood").exists().exec()).length, 6);
  assert.equal((await Thread.scan().filter("mood").not().exists().and().filter("forum").eq("a").exec()).length, 27);
  assert.equal((await Thread.scan({ author: { in: ["u0", "u1"] } }).exec()).length, 40);
  const counted = await Thread.scan().filter("forum").eq("b").count().exec();
  assert.deepEqual([counted.count, counted.scannedCount], [30, 60]);
  const parallel = await Thread.scan().parallel(4).exec();
  assert.equal(new Set(parallel.map((t) => t.forum + t.number)).size, 60);
  const indexed = await Thread.scan().using("byMood").exec();
  assert.equal(indexed.length, 6);
});
