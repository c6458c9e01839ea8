// Takes GitHub's webhook: looks at its signature, writes the job down, and answers.
import { createHmac, timingSafeEqual } from "node:crypto";
import { DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";

const db = new DynamoDBClient({});
const TableName = process.env.JOBS;

const answer = (statusCode, body) => ({ statusCode, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

export const handler = async (event) => {
  if (event.routeKey.startsWith("GET")) {
    const { Item } = await db.send(new GetItemCommand({ TableName, Key: { commit: { S: event.pathParameters.commit } }, ConsistentRead: true }));
    return Item ? answer(200, Object.fromEntries(Object.entries(Item).map(([k, v]) => [k, v.S ?? Number(v.N)]))) : answer(404, {});
  }
  const body = Buffer.from(event.body ?? "", event.isBase64Encoded ? "base64" : "utf8");
  if (!signed(body, event.headers["x-hub-signature-256"])) return answer(401, { error: "the signature is not right" });
  const hook = JSON.parse(body);
  if (event.headers["x-github-event"] !== "pull_request" || !["opened", "synchronize"].includes(hook.action)) return answer(200, { ignored: true });
  const commit = hook.pull_request.head.sha;
  try {
    await db.send(new PutItemCommand({
      TableName,
      Item: { commit: { S: commit }, repository: { S: hook.repository.full_name }, status: { S: "queued" } },
      ConditionExpression: "attribute_not_exists(#c)", // GitHub delivers again what it is not sure of
      ExpressionAttributeNames: { "#c": "commit" },
    }));
  } catch (err) {
    if (err.name !== "ConditionalCheckFailedException") throw err;
    return answer(200, { commit, known: true });
  }
  return answer(202, { commit });
};

function signed(body, signature = "") {
  const want = Buffer.from("sha256=" + createHmac("sha256", process.env.SECRET).update(body).digest("hex"));
  const got = Buffer.from(signature);
  return got.length === want.length && timingSafeEqual(got, want);
}
