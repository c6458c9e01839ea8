package bench

import "time"

// ServerCommand is the hidden command that the program which calls Main has: serve,
// with GoFunctions functions in Go that do nothing, called GoFunctionPrefix and a
// number from 0 on.
const (
	ServerCommand    = "bench-server"
	GoFunctions      = 100
	GoFunctionPrefix = "go-"
)

// Options of Main; the zero value measures everything with the defaults.
type Options struct {
	// Endpoint, such as http://127.0.0.1:4567, drives another DynamoDB endpoint
	// with the load of "operations" and nothing else. It must accept any signature,
	// as emulators do.
	Endpoint string
	// Peers are driven beside Millstream in "operations".
	Peers []Peer
	// Quick takes seconds instead of minutes: for CI and a first impression, not
	// for figures to quote. Unless Only says more, it takes the five quickest measurements.
	Quick bool
	// Only names the measurements to run; empty means all. See Names.
	Only []string
	// Duration is the length of each measurement; 0 means 10 s, or 2 s with Quick.
	Duration time.Duration
	// Connections is how many clients write and read at once; 0 means 32.
	Connections int
	// Dir is the folder under which data folders are made and removed; empty
	// means the system's temporary folder. Its disk is what is measured.
	Dir string
	// Durability is handed to the server; empty means its default, sync.
	Durability string
	// LoadedBytes is how much is written before the start-up after a kill and the
	// sustained write figure are taken; 0 means 256 MiB, or 32 MiB with Quick.
	LoadedBytes int64
	// Backlog is how many records "catchup" and "poison", and how many messages "queuebacklog"
	// find waiting; 0 means 400,000 records and a million messages, or 50,000 with Quick.
	Backlog int
	// Items is how many "growth" writes; 0 means a million, or 20,000 with Quick.
	Items int
	// Plots is a folder for the points and pictures of "curves", "growth", "fanout" and "processors"; empty: none.
	Plots string
	// env are variables of the server under test.
	env []string
	// command is what starts the server under test; empty means serve.
	command string
	// ServerArgs are appended to the arguments of `serve`.
	ServerArgs []string
}

func (o Options) duration() time.Duration {
	switch {
	case o.Duration > 0:
		return o.Duration
	case o.Quick:
		return 2 * time.Second
	}
	return 10 * time.Second
}

func (o Options) connections() int {
	if o.Connections > 0 {
		return o.Connections
	}
	return 32
}

func (o Options) items() int {
	switch {
	case o.Items > 0:
		return max(o.Items, o.connections())
	case o.Quick:
		return 20_000
	}
	return 1_000_000
}

func (o Options) loadedBytes() int64 {
	switch {
	case o.LoadedBytes > 0:
		return o.LoadedBytes
	case o.Quick:
		return 32 << 20
	}
	return 256 << 20
}
