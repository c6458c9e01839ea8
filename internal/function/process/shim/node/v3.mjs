// The 3.x line of AWS's client, of Node.js 22 and older: callbacks, context.done and the like, and an
// answer that waits until the event loop has nothing left to do.

import * as util from 'node:util';
import { RuntimeAPI } from './api.mjs';
import { causeHeader, errorClass, logged, unreadable, withoutDelete } from './errors.mjs';
import { patchConsole, say } from './log.mjs';
import { loadHandler, setGlobals, streams } from './modules.mjs';
import { HttpResponseStream, responseStream } from './stream.mjs';

const env = process.env;
const exit = process.exit.bind(process);
const { setImmediate } = globalThis;
const requestIdKey = Symbol.for('aws.lambda.runtime.requestId');
const tenantIdKey = Symbol.for('aws.lambda.runtime.tenantId');
const beforeExitKey = Symbol.for('aws.lambda.beforeExit');

const UnhandledPromiseRejection = errorClass('UnhandledPromiseRejection');
const NodeJsExit = errorClass('NodeJsExit');
const neverSettled = 'The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a Promise that was never settled. For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes';

let log;
let lastId = ''; // of the newest request, for what no handler catches
let crashing = false;

const isPromise = (value) => value && value.then && typeof value.then === 'function';

function isErrorLike(value) {
  return value && typeof value.name === 'string' && value.name && typeof value.message === 'string' && value.message && typeof value.stack === 'string' && value.stack;
}

function errorDocument(error) {
  try {
    if (util.types.isNativeError(error) || isErrorLike(error)) {
      return {
        errorType: error.name === undefined ? undefined : withoutDelete(error.name),
        errorMessage: error.message === undefined ? undefined : withoutDelete(error.message),
        trace: withoutDelete(error.stack).split('\n'),
      };
    }
    return { errorType: typeof error, errorMessage: error.toString(), trace: [] };
  } catch {
    return { errorType: 'handled', errorMessage: unreadable };
  }
}

function logFailure(label, error) {
  log.failure(label, error instanceof Error ? error : new Error(error), (shown) => logged(shown, errorDocument));
}

function serialise(value) {
  let text;
  try {
    text = JSON.stringify(value === undefined ? null : value);
  } catch {
    throw new Error('Unable to stringify response body');
  }
  if (text === undefined) throw new TypeError('Wrong arguments');
  return text;
}

function onEmptyLoop(run) {
  globalThis[beforeExitKey] = run;
}
const onEmptyLoopNothing = () => onEmptyLoop(() => {});

// crash tells of an error that nothing caught, on a connection of its own because the usual one may
// wait for an event, and ends the process.
async function crash(label, error, code) {
  crashing = true;
  logFailure(label, error);
  const document = errorDocument(error);
  const api = new RuntimeAPI();
  if (lastId) await api.post(`invocation/${lastId}/error`, JSON.stringify(document), causeHeader(error));
  else await api.post('init/error', JSON.stringify(document), `Lambda-Runtime-Function-Error-Type: ${document.errorType}\r\n`);
  exit(code);
}

export async function run() {
  const api = new RuntimeAPI();
  log = patchConsole(() => ({ requestId: globalThis[requestIdKey], tenantId: globalThis[tenantIdKey] }));
  process.on('uncaughtException', (error) => crash('Uncaught Exception', error, 129));
  process.on('unhandledRejection', (reason, promise) => {
    const error = Object.assign(new UnhandledPromiseRejection(reason), { reason, promise });
    crash('Unhandled Promise Rejection', error, 128);
  });
  onEmptyLoopNothing();
  process.on('beforeExit', () => globalThis[beforeExitKey]());
  let handler;
  let streaming;
  try {
    setGlobals(HttpResponseStream);
    handler = await loadHandler(env._HANDLER, false);
    streaming = streams(handler);
  } catch (error) {
    crash('Uncaught Exception', error, 129);
    return;
  }
  const isAsync = handler.constructor?.name === 'AsyncFunction';
  const iterate = () => setImmediate(() => {
    if (crashing) return;
    (streaming ? serveStream(api, handler, streaming, iterate) : serve(api, handler, isAsync, iterate)).catch((error) => {
      crash('Uncaught Exception', error, 129);
    });
  });
  iterate();
}

async function begin(api) {
  const { headers, body } = await api.next();
  lastId = headers['lambda-runtime-aws-request-id'];
  globalThis[requestIdKey] = lastId;
  globalThis[tenantIdKey] = headers['lambda-runtime-aws-tenant-id'];
  return { headers, body: body.toString('utf8'), id: lastId };
}

function parseHeader(text, name) {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot parse ${name} as json: ${error.toString()}`);
  }
}

function complete(context, headers) {
  const trace = headers['lambda-runtime-trace-id'];
  if (trace) env._X_AMZN_TRACE_ID = trace;
  else delete env._X_AMZN_TRACE_ID;
  const deadline = headers['lambda-runtime-deadline-ms'];
  return Object.assign(context, {
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parseHeader(headers['lambda-runtime-client-context'], 'ClientContext'),
    identity: parseHeader(headers['lambda-runtime-cognito-identity'], 'CognitoIdentity'),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    tenantId: headers['lambda-runtime-aws-tenant-id'],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  });
}

// waiting adds callbackWaitsForEmptyEventLoop to a context.
function waiting(members) {
  let waits = true;
  const context = {
    get callbackWaitsForEmptyEventLoop() { return waits; },
    set callbackWaitsForEmptyEventLoop(value) { waits = value; },
    ...members,
  };
  Object.defineProperty(context, 'callbackWaitsForEmptyEventLoop', {
    get: () => waits, set: (value) => { waits = value; }, enumerable: true, configurable: true,
  });
  return context;
}

async function serve(api, handler, isAsync, next) {
  const { headers, body, id } = await begin(api);
  let completed = false;
  const answer = (value) => {
    if (completed) {
      console.error('Invocation has already been reported as done. Cannot call complete more than once per invocation.');
      return;
    }
    completed = true;
    api.post(`invocation/${id}/response`, serialise(value)).then((response) => {
      if (response && response.status !== 202) {
        say(`[ERROR] [${Date.now()}] LAMBDA_RUNTIME Failed to post handler success response. Http response code: ${response.status}. ${response.body}`);
      }
      next();
    });
  };
  const fail = (error) => {
    logFailure('Invoke Error', error);
    api.post(`invocation/${id}/error`, JSON.stringify(errorDocument(error)), causeHeader(error)).then(next);
  };
  const isGiven = (error) => error !== undefined && error !== null;

  let finished = false;
  const once = (settle) => (...args) => {
    if (finished) return;
    settle(...args);
    finished = true;
  };
  const done = (error, value) => {
    onEmptyLoopNothing();
    if (isGiven(error)) fail(error);
    else answer(value);
  };
  const context = waiting({
    succeed: once((value) => done(null, value)),
    fail: once((error) => (isGiven(error) ? done(error) : done('handled'))),
    done: once(done),
  });
  const callback = once((error, value) => {
    onEmptyLoopNothing();
    if (isGiven(error)) fail(error);
    else if (!context.callbackWaitsForEmptyEventLoop) answer(value);
    else onEmptyLoop(() => setImmediate(() => answer(value)));
  });
  // What was promised and never came has not been done; who only forgot to call back has answered null.
  let promised = isAsync;
  onEmptyLoop(() => {
    finished = true;
    onEmptyLoopNothing();
    if (promised) {
      completed = true;
      fail(new NodeJsExit(neverSettled));
    } else answer(null);
  });
  try {
    const result = handler(JSON.parse(body), complete(context, headers), callback);
    if (isPromise(result)) {
      promised = true;
      result.then(context.succeed, context.fail).catch(context.fail);
    }
  } catch (error) {
    callback(error);
  }
}

async function serveStream(api, handler, options, next) {
  const { headers, body, id } = await begin(api);
  const context = waiting({});
  const { stream, done, fail } = responseStream(api, id, options);
  const after = () => {
    onEmptyLoopNothing();
    if (!context.callbackWaitsForEmptyEventLoop) next();
    else onEmptyLoop(() => setImmediate(() => { onEmptyLoopNothing(); next(); }));
  };
  done.catch(() => {}); // it may come while the handler still runs
  try {
    complete(context, headers);
    const result = handler(JSON.parse(body), stream, context);
    if (!isPromise(result)) throw 'Streaming does not support non-async handlers.'; // eslint-disable-line no-throw-literal
    if (typeof await result !== 'undefined') log.warn('Streaming handlers ignore return values.');
    await done;
  } catch (error) {
    logFailure('Invoke Error', error);
    await fail(errorDocument(error));
  }
  api.release();
  after();
}
