// Runs a JavaScript handler on the Lambda Runtime API.

import { readFileSync, existsSync, statSync } from 'node:fs';
import http from 'node:http';
import nodeModule, { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import util from 'node:util';

const env = process.env;
const api = env.AWS_LAMBDA_RUNTIME_API;
const root = env.LAMBDA_TASK_ROOT;
const [host, port] = api.split(':');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

// ---- the Runtime API

function call(method, name, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const options = { agent, host, port, method, path: `/2018-06-01/runtime/${name}`, headers };
    if (body !== undefined) {
      headers['Content-Type'] = 'application/json';
      headers['Content-Length'] = Buffer.byteLength(body);
    }
    const request = http.request(options, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.setNoDelay(true);
    request.end(body);
  });
}

function postError(name, document) {
  return call('POST', name, JSON.stringify(document), { 'Lambda-Runtime-Function-Error-Type': document.errorType });
}

// ---- errors and logs

let requestId = '';

function errorDocument(error) {
  if (util.types.isNativeError(error) || (error && error.name && error.message !== undefined && error.stack)) {
    return {
      errorType: String(error.name),
      errorMessage: String(error.message),
      trace: String(error.stack).split('\n'),
    };
  }
  return { errorType: typeof error, errorMessage: typeof error === 'object' ? JSON.stringify(error) : String(error), trace: [] };
}

function print(level, text) {
  process.stdout.write(`${new Date().toISOString()}\t${requestId || undefined}\t${level}\t${text}\n`);
}

for (const [method, level] of [['log', 'INFO'], ['info', 'INFO'], ['warn', 'WARN'], ['error', 'ERROR'], ['debug', 'DEBUG'], ['trace', 'TRACE'], ['fatal', 'FATAL']]) {
  console[method] = (...args) => print(level, util.format(...args));
}

// ---- finding modules: the package, then the project, then the machine

const fallbacks = (env.MILLSTREAM_MODULES || '').split(path.delimiter).filter((folder) => folder && existsSync(folder));
delete env.MILLSTREAM_MODULES;

function isBare(specifier) {
  return !/^(\.{0,2}\/|[a-zA-Z][a-zA-Z0-9+.-]*:|#)/.test(specifier) && specifier !== '.' && specifier !== '..';
}

function useFallbacks() {
  if (fallbacks.length === 0) return;
  // require() asks these folders last.
  env.NODE_PATH = fallbacks.join(path.delimiter);
  nodeModule.Module._initPaths();
  // import does not, so what it cannot find is looked for as if each folder's owner had asked.
  const parents = fallbacks.map((folder) => pathToFileURL(path.join(path.dirname(folder), 'millstream.mjs')).href);
  const hook = `
    const parents = ${JSON.stringify(parents)};
    const isBare = ${isBare.toString()};
    export async function resolve(specifier, context, next) {
      try {
        return await next(specifier, context);
      } catch (error) {
        if (error.code === 'ERR_MODULE_NOT_FOUND' && isBare(specifier)) {
          for (const parentURL of parents) {
            try { return await next(specifier, { ...context, parentURL }); } catch {}
          }
        }
        throw error;
      }
    }`;
  if (nodeModule.registerHooks) {
    nodeModule.registerHooks({
      resolve(specifier, context, next) {
        try {
          return next(specifier, context);
        } catch (error) {
          if (error.code === 'ERR_MODULE_NOT_FOUND' && isBare(specifier)) {
            for (const parentURL of parents) {
              try { return next(specifier, { ...context, parentURL }); } catch {}
            }
          }
          throw error;
        }
      },
    });
  } else if (nodeModule.register) {
    nodeModule.register(`data:text/javascript,${encodeURIComponent(hook)}`);
  }
}

// ---- loading the handler

class InitError extends Error {
  constructor(name, message, stack) {
    super(message);
    this.name = name;
    if (stack) this.stack = stack;
  }
}

// Node tells a missing package in its message only.
function cure(message) {
  const missing = /Cannot find (?:package|module) '((?:@[^/']+\/)?[^/']+)/.exec(message);
  if (missing && /^@(aws-sdk|smithy|aws-crypto)\//.test(missing[1])) {
    return `\nOn AWS it is part of the runtime; install it here with: npm install ${missing[1]}`;
  }
  return '';
}

function packageType(file) {
  for (let folder = path.dirname(file); folder.startsWith(root); folder = path.dirname(folder)) {
    const name = path.join(folder, 'package.json');
    if (existsSync(name)) {
      try { return JSON.parse(readFileSync(name, 'utf8')).type || 'commonjs'; } catch { return 'commonjs'; }
    }
  }
  return 'commonjs';
}

function isFile(name) {
  return existsSync(name) && statSync(name).isFile();
}

async function loadModule(base) {
  if (isFile(`${base}.mjs`)) return import(pathToFileURL(`${base}.mjs`).href);
  if (isFile(`${base}.js`) && packageType(`${base}.js`) === 'module') return import(pathToFileURL(`${base}.js`).href);
  const require = createRequire(path.join(root, 'millstream.cjs'));
  return require(isFile(`${base}.cjs`) && !isFile(`${base}.js`) ? `${base}.cjs` : base);
}

async function loadHandler() {
  const name = env._HANDLER;
  const match = /^(.*?)([^/]*)$/.exec(name);
  const [folder, last] = [match[1], match[2]];
  const dot = last.indexOf('.');
  if (dot < 1 || dot === last.length - 1) throw new InitError('Runtime.MalformedHandlerName', 'Bad handler');
  const [file, member] = [last.slice(0, dot), last.slice(dot + 1)];
  const base = path.resolve(root, folder, file);
  if (!base.startsWith(root + path.sep)) {
    throw new InitError('Runtime.MalformedHandlerName', `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  let loaded;
  try {
    loaded = await loadModule(base);
  } catch (error) {
    if (error instanceof SyntaxError) throw new InitError('Runtime.UserCodeSyntaxError', String(error), error.stack);
    if (error && (error.code === 'MODULE_NOT_FOUND' || error.code === 'ERR_MODULE_NOT_FOUND')) {
      throw new InitError('Runtime.ImportModuleError', `Error: ${error.message}${cure(error.message)}`, error.stack);
    }
    throw error;
  }
  const find = (from) => member.split('.').reduce((at, key) => (at === undefined || at === null ? undefined : at[key]), from);
  let handler = find(loaded);
  if (handler === undefined && loaded && loaded.default) handler = find(loaded.default);
  if (handler === undefined) throw new InitError('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  if (typeof handler !== 'function') throw new InitError('Runtime.HandlerNotFound', `${name} is not a function`);
  return handler;
}

// ---- one invocation

// What runs when the event loop has nothing left to do.
let onEmpty = null;
process.on('beforeExit', () => {
  const run = onEmpty;
  onEmpty = null;
  if (run) run();
});

// From Node.js 24 on, AWS's client lets the process end where an older one reports an error.
const endsUnsettled = Number(/^AWS_Lambda_nodejs(\d+)/.exec(env.AWS_EXECUTION_ENV)?.[1]) >= 24;

function neverSettled() {
  const error = new Error('The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a Promise that was never settled. For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes');
  error.name = 'Runtime.NodeJsExit';
  return error;
}

function run(handler, event, context) {
  return new Promise((resolve, reject) => {
    let settled = false;
    let waits = true;
    const settle = (error, result) => {
      if (settled) return;
      settled = true;
      const end = () => {
        onEmpty = null;
        if (error !== null && error !== undefined) reject(error);
        else resolve(result);
      };
      if (waits && context.callbackWaitsForEmptyEventLoop && !error) onEmpty = end;
      else setImmediate(end);
    };
    const immediately = (error, result) => {
      waits = false;
      settle(error, result);
    };
    context.done = settle;
    context.succeed = (result) => immediately(null, result);
    context.fail = (error) => immediately(error === undefined || error === null ? new Error('handled') : error);
    // A handler that leaves nothing running and never answers has answered nothing, unless it
    // promised an answer: then its work was never done.
    let promised = handler.constructor.name === 'AsyncFunction';
    onEmpty = () => {
      settled = true;
      if (!promised) resolve(null);
      else if (endsUnsettled) process.exit(0);
      else reject(neverSettled());
    };
    const result = handler(event, context, settle);
    if (result && typeof result.then === 'function') {
      promised = true;
      result.then((value) => {
        if (settled) return;
        settled = true;
        onEmpty = null;
        resolve(value);
      }, (error) => {
        if (settled) return;
        settled = true;
        onEmpty = null;
        reject(error === undefined || error === null ? new Error(String(error)) : error);
      });
    } else if (handler.length < 3 && result !== undefined) {
      immediately(null, result);
    }
  });
}

function newContext(headers) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  const client = headers['lambda-runtime-client-context'];
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: client ? JSON.parse(client) : undefined,
    identity: undefined,
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: requestId,
    getRemainingTimeInMillis: () => Math.max(deadline - Date.now(), 0),
  };
}

async function fail(name, error, label) {
  const document = errorDocument(error);
  print('ERROR', `${label}\t${JSON.stringify({ ...document, trace: undefined, stack: document.trace })}`);
  await postError(name, document);
}

async function serve(handler) {
  for (;;) {
    const { status, headers, body } = await call('GET', 'invocation/next');
    if (status !== 200) process.exit(1); // the environment is ending
    requestId = headers['lambda-runtime-aws-request-id'];
    if (headers['lambda-runtime-trace-id']) env._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id'];
    const name = `invocation/${requestId}`;
    let answer;
    try {
      const result = await run(handler, body.length ? JSON.parse(body.toString('utf8')) : {}, newContext(headers));
      try {
        answer = JSON.stringify(result === undefined ? null : result);
        if (answer === undefined) answer = 'null';
      } catch (error) {
        const wrong = new Error(`Unable to stringify response body: ${error.message}`);
        wrong.name = 'Runtime.MarshalError';
        throw wrong;
      }
    } catch (error) {
      await fail(`${name}/error`, error, 'Invoke Error');
      continue;
    }
    await call('POST', `${name}/response`, answer).catch((error) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') throw error; // an over-long answer was refused
    });
  }
}

// A failure that no handler caught ends the process, after it was told.
async function crash(error, label) {
  try {
    if (requestId) await fail(`invocation/${requestId}/error`, error, label);
    else await fail('init/error', error, label);
  } catch {}
  process.exit(129);
}

process.on('uncaughtException', (error) => crash(error, 'Uncaught Exception'));
process.on('unhandledRejection', (reason) => {
  const error = new Error(reason instanceof Error ? `${reason.name}: ${reason.message}` : String(reason));
  error.name = 'Runtime.UnhandledPromiseRejection';
  if (reason instanceof Error) error.stack = reason.stack;
  crash(error, 'Unhandled Promise Rejection');
});

try {
  useFallbacks();
  const handler = await loadHandler();
  serve(handler);
} catch (error) {
  try {
    await fail('init/error', error, 'Uncaught Exception');
  } finally {
    process.exit(1);
  }
}
