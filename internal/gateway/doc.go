// Package gateway is the front door: it answers HTTP requests by calling functions,
// as API Gateway and Lambda's function URLs do.
//
// An API is a set of routes, put and replaced as a whole, and kept in the store; it
// is of kind "http" (API Gateway's HTTP APIs) or "rest" (its REST APIs). A function
// URL belongs to its function, which keeps it. Requests become events of the payload
// formats 2.0 or 1.0, answers become HTTP answers, and what goes wrong is answered
// as AWS answers it.
//
// A route may name an authorizer: a function that is asked first, or the issuer of signed
// tokens, whose keys are read from it. What it says is remembered as long as it is to count,
// and until the API is put again.
//
// A request reaches an API or a URL
//
//   - under the host name <id>.localhost, whole;
//   - under any other name, by a path that begins with /<id>;
//   - otherwise it goes to the only API there is, or when there is none to the only
//     function URL.
//
// Web pages may come here, as they may on AWS; what other origins are told follows the
// CORS settings. That is why the front door has a listener of its own: to a browser it
// is another origin than the AWS protocols, which no page may reach.
//
// Its APIs are rows of the store. Functions come in as an interface.
package gateway
