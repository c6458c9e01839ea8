// Package remote is the trigger engine's backend over a database on another machine, for any number of nodes at once: a
// backend.Shared. All that it keeps are rows of two tables of that database, changed by conditional writes only.
//
// The unit of work is a stream. Whoever has a stream's slice row runs all mappings on it, and claims each mapping's positions before
// it acts: it writes its epoch into them, and from then on every write of an earlier owner fails on the row's version. So no
// correctness rests on clocks; they only say how soon a node counts as dead, and spare most calls that would be made twice.
//
//	node.go    a node's beat, its deadline, and which streams are its own
//	claim.go   claims, and positions under a claim
//	define.go  definitions, which any node may change
//	feed.go    the shards of a claimed stream, and their readers
//	row.go     conditional writes that are tried again until it is known what became of them
//	client.go  the endpoint over HTTP
//	polled.go  one that is no Millstream
//
// A Millstream's answers say behind which number a read begins, so positions are numbers from the first moment, and an empty page says that
// there is nothing to read. Over other engines a Polled finds both out. docs/scale-out.md says what does not work yet.
package remote
