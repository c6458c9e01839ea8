// Stands in for the native addon of AWS's client for Node.js, whose build takes a C++ compiler:
// next() answers later, done() and error() block until their POST is answered.
const http = require('node:http');
const { spawnSync } = require('node:child_process');
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const get = http.get;
const write = process.stdout.write.bind(process.stdout);

exports.next = () => new Promise((resolve, reject) => {
  get({ host, port, path: '/2018-06-01/runtime/invocation/next', agent: false }, (response) => {
    const parts = [];
    response.on('data', (part) => parts.push(part));
    response.on('end', () => {
      const headers = {
        'lambda-runtime-deadline-ms': Number(response.headers['lambda-runtime-deadline-ms']),
        'lambda-runtime-trace-id': response.headers['lambda-runtime-trace-id'] ?? '',
      };
      for (const name of ['aws-request-id', 'invoked-function-arn', 'client-context', 'cognito-identity', 'aws-tenant-id']) {
        const value = response.headers[`lambda-runtime-${name}`];
        if (value) headers[`lambda-runtime-${name}`] = value;
      }
      resolve({ bodyJson: Buffer.concat(parts).toString('utf8'), headers });
    });
  }).on('error', reject);
});

const script = `
  const [host, port, path] = process.argv.slice(1);
  const parts = [];
  process.stdin.on('data', (p) => parts.push(p)).on('end', () => {
    const body = Buffer.concat(parts);
    const request = require('http').request({ host, port, path, method: 'POST', headers: { 'content-type': 'application/json', 'content-length': body.length } }, (r) => {
      let text = '';
      r.on('data', (p) => { text += p; }).on('end', () => console.log(r.statusCode + ' ' + text.trim()));
    });
    request.on('error', () => {});
    request.end(body);
  });`;

function post(id, verb, what, ...texts) {
  if (texts.some((text) => typeof text !== 'string')) throw new TypeError('Wrong arguments');
  const path = `/2018-06-01/runtime/invocation/${id}/${verb}`;
  const { stdout } = spawnSync(process.execPath, ['-e', script, host, port, path], { input: texts[0], env: {} });
  const answer = stdout.toString().trim();
  if (answer.slice(0, 3) !== '202') {
    write(`[ERROR] [${Date.now()}] LAMBDA_RUNTIME Failed to post handler ${what} response. Http response code: ${answer.slice(0, 3)}. ${answer.slice(4)}\n`);
  }
  return null;
}

exports.done = (id, body) => post(id, 'response', 'success', body);
exports.error = (id, body, cause) => post(id, 'error', 'failure', body, cause);
