// The 4.x line of AWS's client, of Node.js 24 and newer: no callbacks, nothing that waits for the event
// loop, and errors that nothing catches end the process.

import { RuntimeAPI } from './api.mjs';
import { causeHeader, errorClass, logged, unreadable, withoutDelete } from './errors.mjs';
import { patchConsole, say } from './log.mjs';
import { loadHandler, setGlobals, streams } from './modules.mjs';
import { HttpResponseStream, responseStream } from './stream.mjs';

const env = process.env;
const { setImmediate } = globalThis;
const CallbackHandlerDeprecated = errorClass('CallbackHandlerDeprecated');
const JSONStringifyError = errorClass('JSONStringifyError');
const PlatformError = errorClass('PlatformError');

const keys = {
  REQUEST_ID: Symbol.for('_AWS_LAMBDA_REQUEST_ID'),
  X_RAY_TRACE_ID: Symbol.for('_AWS_LAMBDA_X_RAY_TRACE_ID'),
  TENANT_ID: Symbol.for('_AWS_LAMBDA_TENANT_ID'),
};

// InvokeStore is what AWS's packages find as awslambda.InvokeStore.
class InvokeStore {
  static PROTECTED_KEYS = keys;
  #context;
  isProtectedKey(key) { return Object.values(keys).includes(key); }
  getRequestId() { return this.get(keys.REQUEST_ID) ?? '-'; }
  getXRayTraceId() { return this.get(keys.X_RAY_TRACE_ID); }
  getTenantId() { return this.get(keys.TENANT_ID); }
  getContext() { return this.#context; }
  hasContext() { return this.#context !== undefined; }
  get(key) { return this.#context?.[key]; }
  set(key, value) {
    if (this.isProtectedKey(key)) throw new Error(`Cannot modify protected Lambda context field: ${String(key)}`);
    this.#context ??= {};
    this.#context[key] = value;
  }
  run(context, fn) {
    this.#context = context;
    return fn();
  }
}

function errorDocument(error) {
  try {
    if (error instanceof Error) {
      return {
        errorType: error.name?.replaceAll('\x7f', '%7F'),
        errorMessage: error.message?.replaceAll('\x7f', '%7F'),
        trace: error.stack ? withoutDelete(error.stack).split('\n') : [],
      };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    return { errorType: 'handled', errorMessage: unreadable, trace: [] };
  }
}

function serialise(value) {
  let text;
  try {
    text = JSON.stringify(value === undefined ? null : value);
  } catch {
    throw new JSONStringifyError('Unable to stringify response body');
  }
  if (text === undefined) throw new TypeError('Wrong arguments');
  return text;
}

function parseHeader(text, name) {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new PlatformError(`Failed to parse ${name} as JSON: ${error.message}`);
  }
}

function newContext(headers) {
  const trace = headers['lambda-runtime-trace-id'];
  if (trace) env._X_AMZN_TRACE_ID = trace;
  else delete env._X_AMZN_TRACE_ID;
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  return {
    clientContext: parseHeader(headers['lambda-runtime-client-context'], 'lambda-runtime-client-context'),
    identity: parseHeader(headers['lambda-runtime-cognito-identity'], 'lambda-runtime-cognito-identity'),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    tenantId: headers['lambda-runtime-aws-tenant-id'],
    xRayTraceId: trace ?? '',
    getRemainingTimeInMillis: () => deadline - Date.now(),
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
  };
}

// run serves the function. What it rejects with is caught by nobody: Node.js prints it and ends.
export async function run() {
  const api = new RuntimeAPI();
  setGlobals(HttpResponseStream);
  const store = new InvokeStore();
  if (globalThis.awslambda) globalThis.awslambda.InvokeStore = store;
  const log = patchConsole(() => ({ requestId: store.getRequestId(), tenantId: store.getTenantId() }));
  const logFailure = (label, error) => {
    log.failure(label, error instanceof Error ? error : new Error(String(error)), (shown) => logged(shown, errorDocument));
  };
  let handler;
  let streaming;
  try {
    handler = await loadHandler(env._HANDLER, true);
    streaming = streams(handler);
    if (handler.length >= 3 && !streaming) {
      throw new CallbackHandlerDeprecated('ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need to modify this function to use a supported handler signature to use Node.js 24 or later. For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.');
    }
  } catch (error) {
    logFailure('Init Error', error);
    const document = errorDocument(error);
    await api.post('init/error', JSON.stringify(document), `Lambda-Runtime-Function-Error-Type: ${document.errorType}\r\n`);
    api.release();
    throw error;
  }
  for (;;) {
    const { headers, body } = await api.next();
    const context = newContext(headers);
    const event = JSON.parse(body.toString('utf8'));
    const name = `invocation/${context.awsRequestId}`;
    await store.run({ [keys.REQUEST_ID]: context.awsRequestId, [keys.X_RAY_TRACE_ID]: context.xRayTraceId }, async () => {
      if (streaming) {
        await serveStream(api, handler, streaming, event, context, log, logFailure);
        return;
      }
      let answer;
      try {
        const result = await handler(event, context);
        await new Promise((resolve) => setImmediate(resolve));
        answer = serialise(result);
      } catch (error) {
        await new Promise((resolve) => setImmediate(resolve));
        logFailure('Invoke Error', error);
        await api.post(`${name}/error`, JSON.stringify(errorDocument(error)), causeHeader(error));
        return;
      }
      const response = await api.post(`${name}/response`, answer);
      if (response && response.status !== 202) {
        say(`[ERROR] [${Date.now()}] LAMBDA_RUNTIME Failed to post handler success response. Http response code: ${response.status}. ${response.body}`);
      }
    });
  }
}

async function serveStream(api, handler, options, event, context, log, logFailure) {
  const { stream, done, fail } = responseStream(api, context.awsRequestId, options);
  done.catch(() => {}); // it may come while the handler still runs
  try {
    const result = handler(event, stream, context);
    if (!(typeof result === 'object' && result !== null && typeof result.then === 'function')) {
      throw new Error('Streaming does not support non-async handlers.');
    }
    if (typeof await result !== 'undefined') log.warn('Streaming handlers ignore return values.');
    await done;
  } catch (error) {
    logFailure('Invoke Error', error);
    await fail(errorDocument(error));
  }
}
