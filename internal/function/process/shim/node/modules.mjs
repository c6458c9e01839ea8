// Finding modules: first the function's own, then the project's, then the machine's.

import * as fs from 'node:fs';
import nodeModule, { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { HandlerNotFound, ImportModuleError, MalformedHandlerName, MalformedStreamingHandler, UserCodeSyntaxError } from './errors.mjs';

const env = process.env;
const { existsSync } = fs;
export const root = env.LAMBDA_TASK_ROOT;
const require = createRequire(import.meta.url);

function isBare(specifier) {
  return !/^(\.{0,2}\/|[a-zA-Z][a-zA-Z0-9+.-]*:|#)/.test(specifier) && specifier !== '.' && specifier !== '..';
}

// useFallbacks makes require and import look into the folders that the server names, last.
export function useFallbacks() {
  const folders = (env.MILLSTREAM_MODULES || '').split(path.delimiter).filter((folder) => folder && existsSync(folder));
  delete env.MILLSTREAM_MODULES;
  if (folders.length === 0) return;
  env.NODE_PATH = [...(env.NODE_PATH || '').split(path.delimiter).filter(Boolean), ...folders].join(path.delimiter);
  nodeModule.Module._initPaths();
  // import does not look at NODE_PATH, so what it cannot find is looked for as if each folder's owner had asked.
  const parents = folders.map((folder) => pathToFileURL(path.join(path.dirname(folder), 'millstream.mjs')).href);
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
    nodeModule.register(`data:text/javascript,${encodeURIComponent(`
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
      }`)}`);
  }
}

// cure says how to install what AWS's runtime brings along. Node tells a missing package in its
// message only.
function cure(message) {
  const missing = /Cannot find (?:package|module) '((?:@[^/']+\/)?[^/']+)/.exec(message);
  if (missing && /^@(aws-sdk|smithy|aws-crypto)\//.test(missing[1])) {
    return `\nOn AWS it is part of the runtime; install it here with: npm install ${missing[1]}`;
  }
  return '';
}

function parse(handler) {
  if (handler.includes('..')) {
    throw new MalformedHandlerName(`'${handler}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const last = path.basename(handler);
  const match = /^([^.]*)\.(.*)$/.exec(last);
  if (!match) throw new MalformedHandlerName('Bad handler');
  return { folder: handler.slice(0, handler.indexOf(last)).replace(/\/$/, ''), file: match[1], member: match[2] };
}

function isModuleFolder(folder) {
  if (folder.endsWith('/node_modules')) return false;
  const file = path.join(folder, 'package.json');
  if (existsSync(file)) {
    try {
      return JSON.parse(fs.readFileSync(file, 'utf8'))?.type === 'module';
    } catch (error) {
      console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
      return false;
    }
  }
  return folder !== '/' && isModuleFolder(path.dirname(folder));
}

const tryRequire = (file) => (existsSync(file) ? require(file) : undefined);
const tryImport = async (file) => (existsSync(file) ? import(pathToFileURL(file).href) : undefined);

async function loadV3(base) {
  const isModule = existsSync(`${base}.js`) && isModuleFolder(path.dirname(base));
  return tryRequire(base) || (!isModule && tryRequire(`${base}.js`)) || (isModule && await tryImport(`${base}.js`))
    || await tryImport(`${base}.mjs`) || tryRequire(`${base}.cjs`);
}

async function loadV4(base) {
  for (const extension of ['', '.js', '.mjs', '.cjs']) {
    const loaded = await tryImport(base + extension);
    if (loaded) return loaded;
  }
  return undefined;
}

// loadHandler loads the function's module, and finds its handler in it.
export async function loadHandler(handler, isV4) {
  const { folder, file, member } = parse(handler);
  let loaded;
  try {
    loaded = await (isV4 ? loadV4 : loadV3)(path.resolve(root, folder, file));
    if (!loaded) loaded = require(require.resolve(file, { paths: [root, isV4 ? path.join(root, folder) : folder] }));
  } catch (error) {
    if (error instanceof SyntaxError) {
      const wrong = new UserCodeSyntaxError(String(error));
      if (isV4) wrong.stack = error.stack;
      throw wrong;
    }
    const notFound = error?.code === 'MODULE_NOT_FOUND';
    if (notFound || error?.code === 'ERR_MODULE_NOT_FOUND') error.message += cure(error.message);
    if (notFound && (!isV4 || error instanceof Error)) throw new ImportModuleError(String(error));
    throw error;
  }
  const find = (from) => member.split('.').reduce((at, key) => (isV4 && typeof at !== 'object' ? undefined : at && at[key]), from);
  let found = find(loaded);
  if (!found && isV4 && typeof loaded === 'object' && 'default' in loaded) found = find(loaded.default);
  if (!found) throw new HandlerNotFound(`${handler} is undefined or not exported`);
  if (typeof found !== 'function') throw new HandlerNotFound(`${handler} is not a function`);
  return found;
}

const streaming = Symbol.for('aws.lambda.runtime.handler.streaming');
const highWaterMark = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');

// setGlobals gives the function's code what marks a handler as streaming.
export function setGlobals(HttpResponseStream) {
  if (['1', 'true'].includes(env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) return;
  globalThis.awslambda = {
    ...globalThis.awslambda,
    streamifyResponse(handler, options) {
      handler[streaming] = 'response';
      if (typeof options?.highWaterMark === 'number') handler[highWaterMark] = parseInt(options.highWaterMark, 10);
      return handler;
    },
    HttpResponseStream,
  };
}

// streams reports whether a handler is to be given a stream, and with what mark.
export function streams(handler) {
  const mark = handler[streaming];
  if (mark === undefined || mark === null || mark === false) return null;
  if (mark !== 'response') throw new MalformedStreamingHandler('Only response streaming is supported.');
  const high = Number(handler[highWaterMark]);
  return { highWaterMark: high > 0 ? high : undefined };
}
