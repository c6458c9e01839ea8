// The console of a function: lines or JSON objects with the time, the request and the level, written
// as frames to the descriptor that Lambda offers, or else to stdout with one line for each event.

import * as fs from 'node:fs';
import * as util from 'node:util';

const { writeSync } = fs;
const { format } = util;
const env = process.env;

const levels = {
  TRACE: { name: 'TRACE', priority: 1, mask: 4 },
  DEBUG: { name: 'DEBUG', priority: 2, mask: 8 },
  INFO: { name: 'INFO', priority: 3, mask: 12 },
  WARN: { name: 'WARN', priority: 4, mask: 16 },
  ERROR: { name: 'ERROR', priority: 5, mask: 20 },
  FATAL: { name: 'FATAL', priority: 6, mask: 24 },
};
const textFrame = 0xa55a0003;
const jsonFrame = 0xa55a0002;

// write waits while a pipe is full.
function write(fd, data) {
  for (let done = 0; done < data.length;) {
    try {
      done += writeSync(fd, data, done);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

// say writes a line to stdout, past whatever the function made of process.stdout.
export function say(text) {
  write(1, Buffer.from(`${text}\n`));
}

function described(error, stack) {
  return {
    errorType: error?.constructor?.name ?? 'UnknownError', errorMessage: error.message,
    stackTrace: typeof error.stack === 'string' ? error.stack.split('\n') : stack,
  };
}

function json(now, level, requestId, tenantId, params) {
  const record = { timestamp: now.toISOString(), level: level.name, requestId };
  if (tenantId) record.tenantId = tenantId;
  if (params.length <= 1) {
    [record.message] = params;
    try {
      return JSON.stringify(record, (key, value) => (value instanceof Error ? { ...described(value, value.stack), ...value } : value));
    } catch {
      record.message = format(record.message);
      return JSON.stringify(record);
    }
  }
  record.message = format(...params);
  const error = params.find((param) => param instanceof Error);
  if (error) Object.assign(record, described(error, []));
  return JSON.stringify(record);
}

// patchConsole replaces the console's methods and returns what logs a failure. ids returns the request
// that is under way.
export function patchConsole(ids) {
  const isJSON = env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === 'JSON';
  const lowest = levels[env.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()] ?? levels.TRACE;
  const fd = parseInt(env._LAMBDA_TELEMETRY_LOG_FD, 10);
  delete env._LAMBDA_TELEMETRY_LOG_FD;

  const log = (level, params) => {
    const now = new Date();
    const { requestId, tenantId } = ids();
    const text = isJSON
      ? json(now, level, requestId, tenantId, params)
      : `${now.toISOString()}\t${requestId}\t${level.name}\t${format(...(params.length ? params : [undefined]))}`;
    if (!(fd > 0)) {
      say(text.replaceAll('\n', '\r'));
      return;
    }
    const frame = Buffer.allocUnsafe(16 + Buffer.byteLength(text));
    frame.writeUInt32BE(((isJSON ? jsonFrame : textFrame) | level.mask) >>> 0, 0);
    frame.writeInt32BE(frame.length - 16, 4);
    frame.writeBigInt64BE(BigInt(now.valueOf()) * 1000n, 8);
    frame.write(text, 16);
    write(fd, frame);
  };
  const at = (level) => (level.priority < lowest.priority ? () => {} : (...params) => log(level, params));
  console.trace = at(levels.TRACE);
  console.debug = at(levels.DEBUG);
  console.info = at(levels.INFO);
  console.log = console.info;
  console.warn = at(levels.WARN);
  console.error = at(levels.ERROR);
  console.fatal = at(levels.FATAL);
  const { error: failed, warn } = console;
  return {
    warn,
    // failure logs an error under a label; text is its form in a text log.
    failure: (label, error, text) => (isJSON ? failed(error) : failed(label, text(error))),
  };
}
