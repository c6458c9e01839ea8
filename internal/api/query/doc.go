// Package query speaks AWS's query protocol for the services that use it: a form in, XML
// out. A service gives its operations, each of which reads the form and writes the result.
//
// It takes calls by POST only, as SDKs send them. AWS takes GET as well, but a link can be
// followed by somebody who never meant to call anything.
package query
