// Counts hashtags in windows that follow each other (tumbling windows). What a call
// returns as state, the next call of the window is given; at the end of a window it is
// given once more, and written down.
import { DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";

const db = new DynamoDBClient({});

export const handler = async (event) => {
  const state = { tweets: 0, calls: 0, tags: {}, ...event.state };
  for (const { dynamodb: change } of event.Records ?? []) {
    state.tweets++;
    for (const tag of new Set(change.NewImage.text.S.match(/#\w+/g))) {
      state.tags[tag] = (state.tags[tag] ?? 0) + 1;
    }
  }
  state.calls++;
  if (event.isFinalInvokeForWindow && state.tweets > 0) {
    // The whole of the window under the window's own key: writing it again changes nothing.
    await db.send(new PutItemCommand({
      TableName: process.env.TRENDS,
      Item: {
        shard: { S: event.shardId }, start: { S: event.window.start }, end: { S: event.window.end },
        tweets: { N: String(state.tweets) }, calls: { N: String(state.calls) },
        tags: { M: Object.fromEntries(Object.entries(state.tags).map(([tag, n]) => [tag, { N: String(n) }])) },
      },
    }));
  }
  return { state };
};
