// Package backendtest is one suite of cases for every implementation of backend.Backend: what the trigger engine relies
// on, each promise by itself. Run runs it over a World, which a test makes of the implementation. RunBroken shows
// that every case can fail: it runs each against backends that break one promise on purpose.
//
// It is not part of the program.
package backendtest
