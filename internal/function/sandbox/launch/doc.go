// Package launch is the first process of a sandbox: this same program, started again in namespaces of its own.
//
// It gets a plan over a socket, and carries it out: it makes a root of its own from read-only trees, then starts the programs that it is asked to, and
// tells how each has ended. The thread that starts them has no rights from the beginning; another one mounts what is to be seen, and gives its rights up
// when all of it is there. So a program that knows of no function yet may wait for one. Go's other threads keep theirs, in the sandbox's user
// namespace; they start no program. When its server closes the socket it ends, and with it, since it is the first process of its namespace, all that
// is in the sandbox.
//
// It runs while the program's packages are initialised, before those that take long: Go initialises a package as soon as what it imports is,
// in the order of their paths. So it may import what is in the table of the rooms and nothing else, or each start takes 9 ms longer.
// It promises that a sandbox whose plan could not be carried out whole runs nothing of a function.
package launch
