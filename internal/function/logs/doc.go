// Package logs keeps what functions print: bounded files per function, the
// newest lines in memory, and followers. A function that prints without end costs
// a bounded rate of bytes; what is beyond it is dropped with a note that says so.
package logs
