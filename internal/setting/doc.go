// Package setting holds Millstream's own settings, which AWS does not have. Each is
// a tag: of an event source mapping, of its function, or of its table. All that is
// known of one stands in one entry of list.go: its name, where it may be put, its
// values, and what it does. Tables, functions, mappings and templates check tags
// with Check and read them with Read; the table of docs/settings.md is made of Rows.
//
// It is a pure room: no I/O, no clock, no goroutine. It imports internal/nearest.
package setting
