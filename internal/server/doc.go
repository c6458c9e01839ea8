// Package server is the front door: one listener for AWS's protocols, the
// protocol of Millstream's own tools, metrics and health.
//
// It decides who may come in and how much at once, and nothing else:
//
//   - Host and Origin. Creating a function starts processes, so a web page must
//     not reach this port. A request is taken only under a loopback name or a
//     listed one (which defeats DNS rebinding), never from a page of another
//     origin, and no CORS header is ever sent.
//   - SigV4's form. Every AWS call carries an Authorization of SigV4's form, else
//     it gets AWS's error. The credential's region and account are the scope in
//     which names live. The signature itself is not verified: on loopback any
//     credentials pass, and listening beyond loopback is refused unless asked for.
//   - Admission. Connections, requests under way and bytes of bodies are bounded;
//     beyond them callers get AWS's throttling error, which SDKs retry.
//   - Panics. A panic of a handler may have left a lock locked, and a server that
//     lives on behind it hangs for ever. So none is recovered: it ends the
//     process (see Config.OnPanic).
//
// Connections are internal/door's. The rooms behind come in as http.Handlers and
// functions.
package server
