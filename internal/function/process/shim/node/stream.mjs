// Streamed answers.

import * as nodeStream from 'node:stream';
import { InvalidStreamingOperation } from './errors.mjs';

const { Writable } = nodeStream;

// responseStream returns what a streaming handler writes its answer to. done is the Runtime API's
// response; fail ends the stream with an error document.
export function responseStream(api, id, { highWaterMark }) {
  const request = api.stream(`invocation/${id}/response`);
  let contentType = 'application/octet-stream';
  let trailers = {};
  let written = false;
  const stream = new Writable({
    highWaterMark,
    write: (chunk, encoding, callback) => request.write(contentType, chunk, callback),
    final: (callback) => request.end(contentType, trailers, callback),
    destroy(error, callback) {
      if (!stream.writableFinished) request.destroy();
      callback(error);
    },
  });
  stream.on('error', () => {}); // done tells it
  stream.setContentType = (type) => {
    if (written) throw new InvalidStreamingOperation('Cannot set content-type, too late.');
    contentType = type;
  };
  const write = stream.write.bind(stream);
  stream.write = (chunk, encoding, callback) => {
    if (typeof chunk !== 'string' && !Buffer.isBuffer(chunk) && !(chunk instanceof Uint8Array)) chunk = JSON.stringify(chunk);
    const first = !written;
    written = true;
    if (first && typeof stream._onBeforeFirstWrite === 'function') stream._onBeforeFirstWrite((prelude) => write(prelude));
    return write(chunk, encoding, callback);
  };
  return {
    stream,
    done: request.done.then((response) => {
      if (!response) throw new Error('aborted');
    }),
    async fail(document) {
      if (!stream.writableEnded) {
        trailers = {
          'Lambda-Runtime-Function-Error-Type': document.errorType,
          'Lambda-Runtime-Function-Error-Body': Buffer.from(JSON.stringify(document)).toString('base64'),
        };
        stream.end();
      }
      await request.done;
    },
  };
}

// HttpResponseStream puts the status and headers of an HTTP answer before its body.
export class HttpResponseStream {
  static from(stream, prelude) {
    stream.setContentType('application/vnd.awslambda.http-integration-response');
    const text = JSON.stringify(prelude);
    stream._onBeforeFirstWrite = (write) => {
      write(text);
      write(new Uint8Array(8));
    };
    return stream;
  }
}
