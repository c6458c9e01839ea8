// Package http runs functions that are HTTP services: a call is a POST of its
// event, and the status and body are the answer.
//
// 2xx is an answer. 429, 503, and a connection that could not be made mean that
// the event was not delivered. Anything else, and a timeout, is a function error.
package http
