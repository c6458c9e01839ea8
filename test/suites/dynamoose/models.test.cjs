// Models and items: types, save, get, update, delete, conditions, batches,
// transactions, population, methods, serializers.
"use strict";
const { after, test } = require("node:test");
const assert = require("node:assert/strict");
const { dynamoose, sdk, plain } = require("./instance.cjs");

const Everything = dynamoose.model("Everything", new dynamoose.Schema({
  id: { type: String, hashKey: true },
  at: { type: Number, rangeKey: true },
  text: String,
  al: { type: String, map: "alias" },
  number: Number,
  flag: Boolean,
  when: Date,
  seconds: { type: { value: Date, settings: { storage: "seconds" } } },
  raw: Buffer,
  nothing: dynamoose.type.NULL,
  any: dynamoose.type.ANY,
  kind: { type: String, enum: ["a", "b"], default: "a" },
  constant: { type: { value: "Constant", settings: { value: "always" } } },
  words: { type: Set, schema: [String] },
  numbers: { type: Set, schema: [Number] },
  blobs: { type: Set, schema: [Buffer] },
  list: { type: Array, schema: [{ type: Object, schema: { name: String, count: Number } }] },
  map: { type: Object, schema: { street: String, deep: { type: Object, schema: { er: Number } } } },
  got: { type: String, get: (v) => `got ${v}`, set: (v) => `set ${v}` },
  positive: { type: Number, validate: (v) => v > 0 },
  either: [String, Number],
}, { timestamps: true, saveUnknown: ["unknown.**", "unknown"] }));
const stored = async (id, at = 1) => (await sdk.getItem({ TableName: "Everything", Key: { id: { S: id }, at: { N: `${at}` } } })).Item;
const refused = (promise) => assert.rejects(promise, { name: "ConditionalCheckFailedException", message: "The conditional request failed" });

after(() => sdk.deleteTable({ TableName: "Everything" }));

test("every type comes back", async () => {
  const when = new Date("2026-02-03T04:05:06.123Z");
  await Everything.create({
    id: "types", at: 1, text: "Grüße", alias: "mapped", constant: "always", number: -1.5, flag: false, when, seconds: when, raw: Buffer.from([0, 255]), nothing: null, any: "thing",
    words: new Set(["x", "y"]), numbers: new Set([1, 2.5]), blobs: new Set([Buffer.from("b")]), list: [{ name: "n", count: 1 }, { name: "m" }],
    map: { street: "Elm", deep: { er: 1 } }, got: "v", positive: 1, either: 5, unknown: { free: { form: 1 } }, dropped: "not in the schema",
  });
  const back = await Everything.get({ id: "types", at: 1 }, { consistent: true });
  assert.deepEqual([back.text, back.number, back.flag, back.when, back.nothing, back.any], ["Grüße", -1.5, false, when, null, "thing"]);
  assert.ok(back.createdAt instanceof Date && back.updatedAt instanceof Date);
  assert.equal(back.seconds.getTime(), 1000 * Math.round(when.getTime() / 1000));
  assert.deepEqual(Buffer.from(back.raw), Buffer.from([0, 255]));
  assert.deepEqual([back.kind, back.constant, back.got, back.either], ["a", "always", "got set v", 5]);
  assert.deepEqual([back.words, back.numbers], [new Set(["x", "y"]), new Set([1, 2.5])]);
  assert.deepEqual(Buffer.from([...back.blobs][0]).toString(), "b");
  assert.deepEqual([back.list, back.map, back.unknown], [[{ name: "n", count: 1 }, { name: "m" }], { street: "Elm", deep: { er: 1 } }, { free: { form: 1 } }]);
  assert.deepEqual([back.dropped, back.alias], [undefined, "mapped"]);
  const s = await stored("types");
  assert.deepEqual([s.text, s.al, s.number, s.nothing, s.flag, s.seconds], [{ S: "Grüße" }, { S: "mapped" }, { N: "-1.5" }, { NULL: true }, { BOOL: false }, { N: "1770091506" }]);
  await assert.rejects(Everything.create({ id: "types", at: 2, positive: -1 }), { name: "ValidationError" });
  await assert.rejects(Everything.create({ id: "types", at: 2, kind: "z" }), { name: "ValidationError" });
  await assert.rejects(Everything.create({ id: "types", at: 2, number: "no" }), { name: "TypeMismatch" });
});

test("save, get, delete", async () => {
  await Everything.create({ id: "life", at: 1, number: 1 });
  await refused(Everything.create({ id: "life", at: 1 })); // create does not overwrite
  await Everything.create({ id: "life", at: 1, number: 2 }, { overwrite: true });
  const item = new Everything({ id: "life", at: 1, number: 3 });
  await item.save();
  assert.equal((await Everything.get({ id: "life", at: 1 })).number, 3);
  await refused(item.save({ overwrite: false }));
  await refused(item.save({ condition: new dynamoose.Condition("number").eq(99) }));
  await item.save({ condition: new dynamoose.Condition("number").eq(3) });
  assert.deepEqual(plain(await Everything.get({ id: "life", at: 1 }, { attributes: ["number", "id"] })), { id: "life", number: 3 });
  assert.equal(await Everything.get({ id: "nobody", at: 1 }), undefined);
  await refused(Everything.delete({ id: "life", at: 1 }, { condition: new dynamoose.Condition("number").lt(3) }));
  await item.delete();
  assert.equal(await Everything.get({ id: "life", at: 1 }), undefined);
  await Everything.delete({ id: "life", at: 1 }); // again: no error
});

test("updates", async () => {
  const Combined = dynamoose.model("Combined", { id: String, one: String, two: String, both: { type: { value: "Combine", settings: { attributes: ["one", "two"], separator: "-" } } } });
  await Combined.create({ id: "x", one: "a", two: "b" });
  assert.equal((await Combined.update({ id: "x" }, { one: "c", two: "d" })).both, "c-d");
  await sdk.deleteTable({ TableName: "Combined" });

  await Everything.create({ id: "update", at: 1, number: 5, words: new Set(["a"]), list: [{ name: "n" }], map: { street: "Elm" }, flag: true, either: "x" });
  const first = await stored("update");
  const updated = await Everything.update({ id: "update", at: 1 }, {
    text: "new", $ADD: { number: 2, list: [{ name: "m" }], words: new Set(["b"]) }, $REMOVE: ["flag"],
  });
  assert.deepEqual([updated.text, updated.number, updated.flag, updated.list], ["new", 7, undefined, [{ name: "n" }, { name: "m" }]]);
  assert.deepEqual([...updated.words].sort(), ["a", "b"]);
  const second = await stored("update");
  assert.deepEqual(second.createdAt, first.createdAt);
  const after = await Everything.update({ id: "update", at: 1 }, { $SET: { number: 1 }, $DELETE: { words: new Set(["a"]) } });
  assert.deepEqual([after.number, after.words], [1, new Set(["b"])]);
  const nested = await Everything.update({ id: "update", at: 1 }, { $SET: { map: { street: "Oak" } }, $REMOVE: ["list"] });
  assert.deepEqual([nested.map, nested.list], [{ street: "Oak" }, undefined]);
  await refused(Everything.update({ id: "update", at: 1 }, { number: 9 }, { condition: new dynamoose.Condition().where("number").gt(1) }));
  await Everything.update({ id: "update", at: 1 }, { number: 9 }, { condition: new dynamoose.Condition().where("number").eq(1).and().where("text").beginsWith("n") });
  const old = await Everything.update({ id: "update", at: 1 }, { number: 10 }, { returnValues: "UPDATED_OLD" });
  assert.equal(old.number, 9);
  const made = await Everything.update({ id: "update", at: 2 }, { $ADD: { number: 3 } }); // makes the item
  assert.equal(made.number, 3);
  assert.equal((await Everything.update({ id: "update", at: 2, number: 4 })).number, 4); // key and changes in one
});

test("conditions", async () => {
  await Everything.create({ id: "conditions", at: 1, number: 5, text: "cat", words: new Set(["x"]), list: [{ name: "n" }] });
  const c = () => new dynamoose.Condition();
  const yes = [
    c().where("number").eq(5), c().where("number").not().eq(4), c().where("number").lt(6), c().where("number").le(5), c().where("number").gt(4),
    c().where("number").ge(5), c().where("number").between(4, 6), c().where("number").in([1, 5]), c().where("text").beginsWith("c"),
    c().where("text").contains("a"), c().where("text").not().contains("z"), c().where("text").exists(),
    c().where("flag").not().exists(), c().filter("number").eq(1).or().filter("number").eq(5), c().attribute("number").exists(),
    c().where("number").eq(5).and().parenthesis((g) => g.where("text").eq("dog").or().where("text").eq("cat")),
    c().where("number").eq(5).and().group(c().where("text").eq("cat")), new dynamoose.Condition({ number: { between: [5, 6] }, text: "cat" }),
  ];
  for (const condition of yes) {
    await Everything.update({ id: "conditions", at: 1 }, { kind: "b" }, { condition });
  }
  for (const condition of [c().where("number").eq(4), c().where("flag").exists(), c().where("text").in(["dog"]), c().where("number").between(6, 7)]) {
    await refused(Everything.update({ id: "conditions", at: 1 }, { kind: "a" }, { condition }));
  }
});

test("batches", async () => {
  const items = Array.from({ length: 25 }, (_, i) => ({ id: "batch", at: i, number: i }));
  assert.deepEqual(await Everything.batchPut(items), { unprocessedItems: [] });
  const keys = Array.from({ length: 30 }, (_, i) => ({ id: "batch", at: i }));
  const got = await Everything.batchGet(keys, { consistent: true, attributes: ["id", "at", "number"] });
  assert.deepEqual(got.map((i) => i.number).sort((a, b) => a - b), items.map((i) => i.number));
  assert.deepEqual(got.unprocessedKeys, []);
  assert.deepEqual(await Everything.batchDelete(keys.slice(0, 25)), { unprocessedItems: [] });
  assert.equal((await Everything.batchGet(keys)).length, 0);
  await assert.rejects(Everything.batchGet([keys[0], keys[0]]), { name: "ValidationException", message: "Provided list of item keys contains duplicates" });
  await assert.rejects(Everything.batchPut([...items, { id: "batch", at: 99 }]), { name: "ValidationException" });
});

test("transactions", async () => {
  const Account = dynamoose.model("Account", { id: Number, balance: Number });
  await Account.create({ id: 1, balance: 100 });
  await Account.create({ id: 4, balance: 0 });
  await dynamoose.transaction([
    Account.transaction.update({ id: 1 }, { $ADD: { balance: -10 } }, { condition: new dynamoose.Condition("balance").ge(10) }),
    Account.transaction.create({ id: 2, balance: 10 }),
    Account.transaction.delete({ id: 3 }),
    Account.transaction.condition({ id: 4 }, new dynamoose.Condition("balance").eq(0)),
    Everything.transaction.create({ id: "transaction", at: 1 }),
  ]);
  const got = await dynamoose.transaction([Account.transaction.get(1), Account.transaction.get(2), Everything.transaction.get({ id: "transaction", at: 1 })]);
  assert.deepEqual(got.slice(0, 2).map((i) => i.balance), [90, 10]);
  assert.equal(got[2].id, "transaction");
  const cancelled = await dynamoose.transaction([
    Account.transaction.create({ id: 9, balance: 1 }),
    Account.transaction.create({ id: 1, balance: 1 }),
    Account.transaction.update({ id: 2 }, { $ADD: { balance: 1 } }),
  ]).then(() => null, (err) => err);
  assert.equal(cancelled.name, "TransactionCanceledException");
  assert.equal(cancelled.message, "Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed, None]");
  assert.deepEqual(cancelled.CancellationReasons.map((r) => [r.Code, r.Message]), [["None", undefined], ["ConditionalCheckFailed", "The conditional request failed"], ["None", undefined]]);
  assert.equal(await Account.get(9), undefined);
  assert.equal((await Account.get(2)).balance, 10);
  await sdk.deleteTable({ TableName: "Account" });
});

test("population, methods, serializers, several schemas", async () => {
  const Author = dynamoose.model("Author", { id: String, name: String });
  const Book = dynamoose.model("Book", { id: String, author: Author, others: { type: Array, schema: [Author] } });
  await Author.create({ id: "a", name: "Ann" });
  await Author.create({ id: "b", name: "Ben" });
  await Book.create({ id: "1", author: "a", others: ["a", "b"] });
  const book = await (await Book.get("1")).populate();
  assert.equal(book.author.name, "Ann");
  assert.deepEqual(book.others.map((o) => o.name), ["Ann", "Ben"]);
  const all = await Book.scan().exec();
  assert.equal((await all.populate())[0].author.name, "Ann");

  Author.methods.set("byName", async function (name) { return (await this.scan("name").eq(name).exec())[0]; });
  assert.equal((await Author.byName("Ben")).id, "b");
  Author.methods.item.set("shout", async function () { return this.name.toUpperCase(); });
  assert.equal(await (await Author.get("a")).shout(), "ANN");
  Author.serializer.add("short", { include: ["name"] });
  assert.deepEqual((await Author.get("a")).serialize("short"), { name: "Ann" });

  const Mixed = dynamoose.model("Mixed", [{ id: String, name: String }, { id: String, age: Number }]);
  await Mixed.create({ id: "1", name: "n" });
  await Mixed.create({ id: "2", age: 3 });
  assert.deepEqual([(await Mixed.get("1")).name, (await Mixed.get("2")).age], ["n", 3]);
  for (const TableName of ["Author", "Book", "Mixed"]) await sdk.deleteTable({ TableName });
});
