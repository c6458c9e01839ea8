// Reads a stream to its end with dynamodb-streams-readable, which reads one shard: from
// the root shards on, and from each that ends to its children. It prints a line for
// each record, "key n sequence-number". Environment: STREAM_ARN, AWS_ENDPOINT_URL.
const { DynamoDBStreams } = require('@aws-sdk/client-dynamodb-streams');
const DynamoDBStreamReadable = require('dynamodb-streams-readable');

const client = new DynamoDBStreams({});
const arn = process.env.STREAM_ARN;

async function shards() {
  const all = [];
  for (let after; ; ) {
    const { StreamDescription: d } = await client.describeStream({ StreamArn: arn, ExclusiveStartShardId: after });
    all.push(...d.Shards);
    after = d.LastEvaluatedShardId;
    if (!after) return all;
  }
}

function read(shard) {
  const readable = DynamoDBStreamReadable(client, arn, { shardId: shard.ShardId, readInterval: 20 });
  readable.on('data', (records) => {
    for (const r of records) console.log(`${r.dynamodb.NewImage.pk.S} ${r.dynamodb.NewImage.n.N} ${r.dynamodb.SequenceNumber}`);
  });
  readable.on('error', (err) => {
    console.error(err);
    process.exit(1);
  });
  readable.on('end', async () => {
    const children = (await shards()).filter((s) => s.ParentShardId === shard.ShardId);
    if (children.length === 0) throw new Error(`shard ${shard.ShardId} has ended and no child is shown`);
    children.forEach(read);
  });
}

process.on('unhandledRejection', (err) => {
  console.error(err);
  process.exit(1);
});
process.stdin.resume().on('end', () => process.exit(0));
shards().then((all) => all.filter((s) => !s.ParentShardId).forEach(read));
