package lane

import "github.com/millstreamdb/millstream/internal/counter"

// Counters count records and calls; package counter lists them.
type Counters = counter.Mapping
