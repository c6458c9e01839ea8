// Package logs is the door of CloudWatch Logs: as much of it as is asked to read what functions
// print, over the logs that are kept anyway. It decodes a request, makes a call of package
// function, and encodes the answer.
package logs
