package function

import "github.com/millstreamdb/millstream/internal/function/process"

// AdoptOrphans has this program end what functions have left behind: for a program that is a server and nothing else.
func AdoptOrphans() { process.AdoptOrphans() }
