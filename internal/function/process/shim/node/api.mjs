// The connection to the Runtime API. It speaks HTTP over a socket of its own, opened before the
// function's code is loaded, so that what that code patches, mocks or traces (http, fetch, timers)
// neither sees these calls nor changes them.

import * as net from 'node:net';

const { connect } = net;
const exit = process.exit.bind(process);
const address = process.env.AWS_LAMBDA_RUNTIME_API;
const [host, port] = address.split(':');
const headEnd = Buffer.from('\r\n\r\n');

export class RuntimeAPI {
  #socket = null;
  #pending = null; // resolves the request under way
  #head = null; // of a response whose head has not come whole
  #response = null; // whose body comes
  #missing = 0; // bytes of it

  constructor() {
    this.#open();
  }

  // next waits for an event. While the function works on it the connection does not keep the
  // process alive.
  async next() {
    const response = await this.#send(`GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: ${address}\r\n\r\n`);
    if (response?.status !== 200) exit(1); // the environment is ending
    this.release();
    return response;
  }

  // release lets the process end although the connection is there.
  release() {
    this.#socket?.unref();
  }

  // post sends a document and returns the response, or null when the connection broke.
  post(path, body, headers = '') {
    const head = `POST /2018-06-01/runtime/${path} HTTP/1.1\r\nHost: ${address}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n`;
    return this.#send(head + body);
  }

  // stream begins an answer whose length is not known. done is the response to it.
  stream(path) {
    const socket = this.#ready();
    let begun = false;
    const begin = (contentType) => {
      if (begun) return;
      begun = true;
      socket.write(`POST /2018-06-01/runtime/${path} HTTP/1.1\r\nHost: ${address}\r\nLambda-Runtime-Function-Response-Mode: streaming\r\nTrailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\nContent-Type: ${clean(contentType)}\r\nTransfer-Encoding: chunked\r\n\r\n`);
    };
    return {
      done: this.#answer(),
      write(contentType, chunk, callback) {
        begin(contentType);
        if (chunk.length === 0) return callback();
        socket.cork();
        socket.write(`${chunk.length.toString(16)}\r\n`);
        socket.write(chunk);
        socket.write('\r\n', callback);
        socket.uncork();
      },
      end(contentType, trailers, callback) {
        begin(contentType);
        const lines = Object.entries(trailers).map(([name, value]) => `${name}: ${clean(value)}\r\n`);
        socket.write(`0\r\n${lines.join('')}\r\n`, callback);
      },
      destroy: () => socket.destroy(),
    };
  }

  #open() {
    const socket = connect({
      host, port, noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafeSlow(64 << 10),
        callback: (n, buffer) => {
          this.#received(buffer.subarray(0, n));
          return true;
        },
      },
    });
    // Its own from here on, whatever becomes of the prototypes.
    for (const name of ['write', 'cork', 'uncork', 'ref', 'unref', 'destroy']) socket[name] = socket[name];
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#socket = this.#head = this.#response = null;
      this.#resolve(null);
    });
    this.#socket = socket;
  }

  #ready() {
    if (!this.#socket || this.#socket.destroyed) this.#open();
    this.#socket.ref();
    return this.#socket;
  }

  #send(text) {
    this.#ready().write(text);
    return this.#answer();
  }

  #answer() {
    return new Promise((resolve) => { this.#pending = resolve; });
  }

  #resolve(response) {
    const resolve = this.#pending;
    this.#pending = null;
    resolve?.(response);
  }

  #received(chunk) {
    if (!this.#response) {
      if (this.#head) chunk = Buffer.concat([this.#head, chunk]);
      const end = chunk.indexOf(headEnd);
      if (end < 0) {
        this.#head = Buffer.from(chunk);
        return;
      }
      this.#head = null;
      const [first, ...lines] = chunk.toString('utf8', 0, end).split('\r\n');
      const headers = {};
      for (const line of lines) {
        const colon = line.indexOf(':');
        headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
      }
      this.#missing = Number(headers['content-length'] ?? 0);
      this.#response = { status: Number(first.slice(9, 12)), headers, body: Buffer.allocUnsafe(this.#missing) };
      chunk = chunk.subarray(end + 4);
    }
    const { body, headers } = this.#response;
    this.#missing -= chunk.copy(body, body.length - this.#missing);
    if (this.#missing > 0) return;
    const response = this.#response;
    this.#response = null;
    if (headers.connection === 'close') {
      this.#socket.destroy();
      this.#socket = null;
    }
    this.#resolve(response);
  }
}

function clean(value) {
  return String(value).replace(/[\r\n]/g, ' ');
}
