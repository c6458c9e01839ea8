package worker

import "time"

// Boot tells which run of the machine this is, and how long that has lasted, with the time in which it
// slept. An empty id: it cannot be told. It may be called by many goroutines at once.
type Boot func() (id string, since time.Duration)

// Synchronized reports whether the machine says that its clock is kept right by a time service. A clock that a person has set is
// not, until the service has looked at it. It may be called by many goroutines at once.
type Synchronized func() bool
