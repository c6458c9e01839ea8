// Command soak runs a server for hours under everything at once, and looks whether anything grows: mixed operations on tables, ten
// event source mappings to functions in Node.js, Python and Go, functions that crash and that take too long, deployments, a table that is made and
// dropped each minute, and backups. Every few seconds it notes the server's memory, goroutines, descriptors, processes and disk; at the end
// it writes them to soak.csv, draws each as an SVG, and judges them. It ends with code 1 when something has grown.
//
//	go run ./test/soak -bin ./millstream -length 2h -out soak
//
// It needs node and python3.
package main
