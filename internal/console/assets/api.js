// What the page asks of the server: Millstream's own protocol and AWS's, as any client does. What changes something comes with the page's
// origin, which the browser adds.

export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function answer(response) {
  const text = await response.text();
  if (response.ok) return text === '' ? {} : JSON.parse(text);
  let code = '', message = text;
  try {
    const doc = JSON.parse(text);
    const error = doc.error ?? doc;
    code = (response.headers.get('X-Amzn-Errortype') ?? error.code ?? error.__type ?? error.Type ?? '').split('#').pop();
    message = error.message ?? error.Message ?? text;
  } catch { /* not JSON: the text itself says it */ }
  throw new Refused(response.status, code, message || response.statusText);
}

export const query = (q) => {
  const set = Object.entries(q ?? {}).filter(([, v]) => v !== undefined && v !== null && v !== '');
  return set.length ? '?' + new URLSearchParams(set) : '';
};

// own asks Millstream's own protocol.
export const own = async (path, q, method = 'GET', body) =>
  answer(await fetch('/_millstream/v1/' + path + query(q), { method, body }));
// ownText is own for an answer whose text matters, such as numbers of more digits than JavaScript's have.
export const ownText = async (path, q, body) => {
  const response = await fetch('/_millstream/v1/' + path + query(q), { method: 'POST', body });
  if (!response.ok) await answer(response);
  return response.text();
};
export const act = (path, q, body) => own(path, q, 'POST', body);

const targets = { dynamodb: 'DynamoDB_20120810.', streams: 'DynamoDBStreams_20120810.' };

// dynamodb and streams ask for an operation of these services.
const target = (service) => async (operation, input) =>
  answer(await fetch('/aws/dynamodb/', {
    method: 'POST', body: typeof input === 'string' ? input : JSON.stringify(input ?? {}),
    headers: { 'Content-Type': 'application/x-amz-json-1.0', 'X-Amz-Target': targets[service] + operation },
  }));
export const dynamodb = target('dynamodb');
export const streams = target('streams');

// lambda asks one of Lambda's paths.
export const lambda = async (method, path, body, headers) =>
  answer(await fetch('/aws/lambda' + path, { method, headers, body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body) }));

// lines reads a stream of documents, one a line, until signal ends it or each returns false.
export async function lines(path, q, signal, each, ready) {
  const response = await fetch('/_millstream/v1/' + path + query(q), { signal });
  if (!response.ok) await answer(response);
  ready?.();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n');
    rest = parts.pop();
    for (const part of parts) {
      if (part.trim() === '') continue;
      const doc = JSON.parse(part);
      if (doc.error && doc.error.code) throw new Refused(500, doc.error.code, doc.error.message);
      each(doc);
    }
  }
}

// metrics are what the server measures: the sum of each name over its labels, without histograms.
export async function metrics() {
  const response = await fetch('/metrics'), sums = new Map();
  if (!response.ok) await answer(response);
  for (const line of (await response.text()).split('\n')) {
    const found = line.match(/^([a-z_]+)(?:\{.*\})? ([^ ]+)$/);
    if (found && !found[1].endsWith('_bucket')) sums.set(found[1], (sums.get(found[1]) ?? 0) + Number(found[2]));
  }
  return sums;
}

// pages follows NextToken-like members: ask(token) returns [list, token].
export async function pages(ask) {
  const all = [];
  let token;
  do {
    const [list, next] = await ask(token);
    all.push(...list);
    token = next;
  } while (token);
  return all;
}

export const functionList = () => pages(async (t) => {
  const a = await lambda('GET', '/2015-03-31/functions' + query({ Marker: t }));
  return [a.Functions, a.NextMarker];
});
