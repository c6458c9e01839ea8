// Package differences is a differential tester: it sends the same requests, valid
// ones and deliberately broken ones, to Millstream and to dynoxide, an open
// implementation that is checked against AWS, and compares the answers.
//
// A run is a row of episodes. An episode has tables of its own and depends on
// nothing but the seed and its own number, so that each can be replayed alone, and
// be made shorter by leaving requests out (shrink.go).
//
// What differs must be explained by a class (classes.go): a rule, as narrow as
// possible, with the line of the description of AWS's behaviour that says that AWS
// answers as Millstream does, or that AWS leaves it open. A difference that no class
// explains is a failure of the run.
//
// The run also counts how often each of AWS's errors was answered (rows.txt), since
// an error that no request provokes was not tested.
//
// The package speaks the wire to two endpoints and imports no other room.
package differences
