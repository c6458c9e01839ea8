package backendtest

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// World is a place with tables, streams and a backend over them. Items are numbers: the key, and how often the item was
// written. Each case has a world of its own. Methods fail the test when they cannot do what they are asked for.
type World interface {
	// Backend is what is under test; after a Crash another one.
	Backend() backend.Backend
	// Stream makes a table with a stream of so many shards, and returns the stream's ARN.
	Stream(shards int) (arn string)
	// Write writes the items of these keys, one after the other, and returns when all that is durable. It may be called by
	// several goroutines at once for different keys.
	Write(arn string, keys ...int)
	// Item tells which item a record is about, and that it is the nth write of it.
	Item(r lane.Record) (key, nth int)
	// Stored is how often an item was written, as the table has it.
	Stored(arn string, key int) (nth int)
	// Writes is a list in the form of TransactItems that makes the nth write of an item; refused: one that cannot be made.
	Writes(arn string, key, nth int) []byte
	Refused(arn string) []byte
	// Sends is a list in the form of SendMessage requests that sends these bodies to a queue of the world's; unsendable: one whose last message cannot be
	// sent. Sent are the bodies of all messages that the queue ever had.
	Sends(bodies ...string) []byte
	Unsendable(body string) []byte
	Sent() []string
	// Split ends a shard, and opens two children. SwitchOff ends the stream; it can still be read.
	Split(arn, shard string)
	SwitchOff(arn string)
	// Age, in a bubble, lets so much time pass that all records written so far are past their retention, and removed.
	Age(arn string)
	// Crash loses whatever is not durable at this moment, and opens the world again.
	Crash()
}

// T is what a case needs of a testing.T.
type T interface {
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

// Case is one promise.
type Case struct {
	Name string
	Run  func(t T, w World)
	// Sleeps: the case lets time pass, so it runs in a bubble of testing/synctest. The others do not, because in a
	// bubble no time passes while writers are at work, and a backend may wait for it.
	Sleeps bool
}

// Cases are all promises.
func Cases() (all []Case) {
	for _, part := range [][]Case{reading, shards, trimming, mappings, committing, transactions, setAside, places, snapshots, crashes} {
		all = append(all, part...)
	}
	return all
}

// Run runs the suite; open makes a world for one case.
func Run(t *testing.T, open func(t *testing.T) World) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if c.Sleeps {
				synctest.Test(t, func(t *testing.T) { c.Run(t, open(t)) })
				return
			}
			c.Run(t, open(t))
		})
	}
}
