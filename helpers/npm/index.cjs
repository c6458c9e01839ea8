// Starts Millstream for a test and speaks its admin protocol: start, settle, the
// clock, stop. README.md shows how it is used; index.d.ts has the types.
'use strict';

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

// The AWS services that a Millstream serves. Others go where they always went.
const services = ['DYNAMODB', 'DYNAMODB_STREAMS', 'LAMBDA'];
const source = 'github.com/millstreamdb/millstream/cmd/millstream@latest';
const maxOutput = 1 << 20; // characters of the server's output that are kept
const stopLimit = 20_000; // ms until a server that does not end is killed

// command finds the program: MILLSTREAM_BIN, the package millstream beside this one, `millstream` on the PATH, or Go, which
// builds it into the user's cache.
function command(env) {
  if (env.MILLSTREAM_BIN) return [env.MILLSTREAM_BIN];
  const found = (program) => (env.PATH || '').split(path.delimiter).some((dir) => {
    try {
      fs.accessSync(path.join(dir, program), fs.constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  try {
    return [require('millstream').program()];
  } catch (err) {
    if (err.code !== 'MODULE_NOT_FOUND') throw err;
  }
  if (found('millstream')) return ['millstream'];
  if (found('go')) {
    const bin = path.join(env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'millstream', 'bin');
    const built = spawnSync('go', ['install', source], { env: { ...env, GOBIN: bin }, encoding: 'utf8' });
    if (built.status !== 0) throw new Error(`go install ${source}: ${built.stderr || built.error}`);
    return [path.join(bin, 'millstream')];
  }
  throw new Error('millstream was not found: set MILLSTREAM_BIN to the program, put it on the PATH, or install Go');
}

class Millstream {
  #child;
  #ended; // a promise of how the process ended
  #onExit;

  constructor(child, ended, region) {
    this.#child = child;
    this.#ended = ended;
    this.#onExit = () => child.kill('SIGKILL');
    process.once('exit', this.#onExit);
    this.region = region;
    this.output = '';
  }

  // config is what the AWS SDK's clients take.
  get config() {
    return { endpoint: this.endpoint, region: this.region, credentials: { accessKeyId: 'local', secretAccessKey: 'local' } };
  }

  // env has the variables by which every AWS SDK and the AWS CLI find the server.
  get env() {
    return {
      ...Object.fromEntries(services.map((s) => ['AWS_ENDPOINT_URL_' + s, this.endpoint])),
      AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local', AWS_REGION: this.region, AWS_DEFAULT_REGION: this.region,
      MILLSTREAM_ENDPOINT: this.endpoint,
    };
  }

  // settle waits until every trigger has handled what has been written so far.
  async settle({ timeout = '30s' } = {}) {
    const s = await this.admin('POST', 'settle', { timeout: duration(timeout) });
    if (s.settled) return;
    const behind = (s.behind || []).map((t) => `${t.function} on ${t.table || t.queue} by ${t.lagRecords} records (${trouble(t)})`);
    const why = s.timeStands ? 'while time stands still (advance moves it)' : `after ${timeout}`;
    throw new Error(`not settled ${why}; behind are: ${behind.join(', ')}`);
  }

  // now is the server's time.
  async now() {
    return new Date((await this.admin('GET', 'clock')).now);
  }

  // advance moves a manual clock on, by milliseconds or a text such as '20m', and
  // returns the new time when everything that was due has been done.
  async advance(by, { timeout = '30s' } = {}) {
    const a = await this.admin('POST', 'clock/advance', { by: duration(by), timeout: duration(timeout) });
    if (a.quiet) return new Date(a.now);
    throw new Error(`functions have not answered within ${timeout}; the clock stands at ${a.now}, ${a.advancedMs} ms on`);
  }

  // admin makes a request of the admin protocol and returns its document.
  async admin(method, name, query = {}) {
    const url = `${this.endpoint}/_millstream/v1/${name}?${new URLSearchParams(query)}`;
    const response = await fetch(url, { method, headers: { 'X-Millstream': '1' } });
    const document = await response.json();
    if (!response.ok) throw new Error(document.error?.message ?? document.message ?? `status ${response.status}`);
    return document;
  }

  // stop ends the server; what it held in memory is gone.
  async stop() {
    process.removeListener('exit', this.#onExit);
    this.#child.kill('SIGTERM');
    const limit = setTimeout(() => this.#child.kill('SIGKILL'), stopLimit);
    await this.#ended;
    clearTimeout(limit);
  }

  async [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    await this.stop();
  }
}

// trouble says why a trigger is behind: the error of what blocks it. A call that succeeded may have named records that
// failed, so its last result is no answer.
function trouble(t) {
  const [b] = [...(t.shards || []).map((shard) => shard.blocked), (t.setAside || {}).blocked].filter(Boolean);
  if (b) return `${b.attempts} attempts${b.keys ? ` on ${JSON.stringify(b.keys)}` : ''}: ${b.error}`;
  if (t.error) return t.error; // of a queue
  return t.lastResult === 'OK' ? 'under way' : t.lastResult;
}

// duration is how the protocol writes a time span: numbers are milliseconds.
const duration = (d) => (typeof d === 'number' ? `${d}ms` : d);

async function start(options = {}) {
  const { clock = 'real', template, data, region = 'us-east-1', args = [], cwd, print = false } = options;
  const env = { ...process.env, ...options.env };
  const [program, ...first] = options.command ?? command(env);
  const child = spawn(program, [
    ...first, 'serve', '--listen', '127.0.0.1:0', '--http-listen', '127.0.0.1:0', '--region', region, '--clock', clock,
    ...(data ? ['--data', data] : ['--in-memory']), ...(template ? ['--template', template] : []), ...args,
  ], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });

  let failed;
  const ended = new Promise((resolve) => {
    child.once('error', (err) => { failed = err; resolve(); });
    child.once('close', () => resolve());
  });
  const mill = new Millstream(child, ended, region);
  const ready = new Promise((resolve) => {
    const take = (text) => {
      mill.output = (mill.output + text).slice(-maxOutput);
      if (print) process.stderr.write(text);
    };
    child.stderr.setEncoding('utf8').on('data', take);
    let greeting = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      take(text);
      if (greeting === null) return;
      greeting += text;
      const endpoint = /AWS_ENDPOINT_URL=(\S+)[^]*AWS_DEFAULT_REGION=\S+\n/.exec(greeting);
      if (!endpoint || (template && !/^Deployed .*\n/m.test(greeting))) return;
      mill.endpoint = endpoint[1];
      mill.httpEndpoint = /HTTP APIs.*: (\S+)/.exec(greeting)?.[1];
      greeting = null;
      resolve(true);
    });
  });
  if (await Promise.race([ready, ended])) return mill;
  await mill.stop();
  throw failed ?? new Error(`millstream did not start:\n${mill.output}`);
}

module.exports = { start, Millstream };
