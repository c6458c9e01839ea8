// sqs-consumer: workers that receive, delete, give back and take batches, over a queue with a dead-letter queue.
const assert = require("node:assert");
const { test } = require("node:test");
const { SQSClient, CreateQueueCommand, GetQueueAttributesCommand, GetQueueUrlCommand, SendMessageBatchCommand } = require("@aws-sdk/client-sqs");
const { Consumer } = require("sqs-consumer");

const sqs = new SQSClient({});

async function queue(name, attributes) {
  return (await sqs.send(new CreateQueueCommand({ QueueName: name, Attributes: attributes }))).QueueUrl;
}

// withDead makes a queue whose messages are received twice, and then are dead letters.
async function withDead(name) {
  const dead = await queue(`${name}-dead`);
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: dead, AttributeNames: ["QueueArn"] }));
  const policy = JSON.stringify({ deadLetterTargetArn: Attributes.QueueArn, maxReceiveCount: 2 });
  return [await queue(name, { VisibilityTimeout: "30", RedrivePolicy: policy }), dead];
}

async function send(QueueUrl, n) {
  for (let i = 0; i < n; i += 10) {
    const Entries = [...Array(10).keys()].map((j) => ({
      Id: `${j}`, MessageBody: `${i + j}`, MessageAttributes: { n: { DataType: "Number", StringValue: `${i + j}` } },
    }));
    await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
  }
}

async function left(QueueUrl) {
  const names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: names }));
  return names.map((n) => Attributes[n]).join("+");
}

// work runs a consumer until the queue is empty.
async function work(options) {
  const app = Consumer.create({ sqs, waitTimeSeconds: 1, ...options });
  app.on("error", (err) => assert.fail(err));
  app.start();
  while ((await left(options.queueUrl)) !== "0+0") await new Promise((done) => setTimeout(done, 100));
  const stopped = new Promise((done) => app.on("stopped", done));
  app.stop();
  await stopped;
}

test("each message is handled once and deleted, and what fails goes to the dead-letter queue", async () => {
  const [queueUrl, dead] = await withDead("single");
  await send(queueUrl, 50);
  const seen = new Map();
  await work({
    queueUrl, batchSize: 10, messageAttributeNames: ["All"], terminateVisibilityTimeout: true, // given back at once
    handleMessage: async (m) => {
      assert.strictEqual(m.MessageAttributes.n.StringValue, m.Body);
      seen.set(m.Body, (seen.get(m.Body) || 0) + 1);
      if (m.Body.endsWith("3")) throw new Error("not this one");
      return m;
    },
  });
  assert.strictEqual(seen.size, 50);
  for (const [body, n] of seen) assert.strictEqual(n, body.endsWith("3") ? 2 : 1, body);
  assert.strictEqual(await left(dead), "5+0");
});

test("batches: what the handler returns is deleted, the rest comes again", async () => {
  const queueUrl = await queue("batch", { VisibilityTimeout: "1" });
  await send(queueUrl, 20);
  const seen = new Map();
  await work({
    queueUrl, batchSize: 10,
    handleMessageBatch: async (all) => all.filter((m) => {
      seen.set(m.Body, (seen.get(m.Body) || 0) + 1);
      return Number(m.Body) % 2 === 0 || seen.get(m.Body) === 2;
    }),
  });
  for (const [body, n] of seen) assert.strictEqual(n, Number(body) % 2 === 0 ? 1 : 2, body);
  assert.strictEqual(seen.size, 20);
});

test("a queue that is not there is an error that consumers know", async () => {
  await assert.rejects(sqs.send(new GetQueueUrlCommand({ QueueName: "none" })), { name: "QueueDoesNotExist" });
});
