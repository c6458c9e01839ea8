// Package faults does to a server what a bad client, or too many, can do to it, and looks at its memory and at whether others are
// served meanwhile. The server is a process of its own, since its memory is what is measured. docs/reliability.md has the table.
//
// Goodput is judged with MILLSTREAM_FAULTS_ALONE set, where no other tests run beside these. The tests are quick ones, unless MILLSTREAM_FAULTS is set: then there are as many clients as docs/reliability.md says.
package faults
