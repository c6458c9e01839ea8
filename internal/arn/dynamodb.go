package arn

import "strings"

// Table takes a table's ARN apart, of any partition; ok is false for any other text,
// the ARNs of indexes and streams included.
func Table(text string) (scope Scope, table string, ok bool) {
	a, ok := Parse(text)
	if !ok || a.Service != "dynamodb" || !isWord(a.Partition, len(a.Partition), ".") {
		return Scope{}, "", false
	}
	table, ok = strings.CutPrefix(a.Resource, "table/")
	if !ok || !isWord(table, 255, ".") {
		return Scope{}, "", false
	}
	return a.Scope(), table, true
}

// Stream takes a stream's ARN apart; ok is false for any other text.
func Stream(text string) (scope Scope, table, label string, ok bool) {
	a, ok := Parse(text)
	if !ok || a.Partition != "aws" || a.Service != "dynamodb" {
		return Scope{}, "", "", false
	}
	p := strings.Split(a.Resource, "/")
	if len(p) != 4 || p[0] != "table" || p[2] != "stream" || p[1] == "" || p[3] == "" {
		return Scope{}, "", "", false
	}
	return a.Scope(), p[1], p[3], true
}

// TableOf is the table in a stream's ARN, empty for any other text.
func TableOf(streamARN string) string {
	_, table, _, _ := Stream(streamARN)
	return table
}

// Part takes the ARN of a table's backup, export or import apart; kind is one of these words, and id what names it among its
// kind. ok is false for any other text.
func Part(text, kind string) (scope Scope, table, id string, ok bool) {
	of, id, found := strings.Cut(text, "/"+kind+"/")
	if !found || !isWord(id, 64, "") {
		return Scope{}, "", "", false
	}
	scope, table, ok = Table(of)
	return scope, table, id, ok && len(table) >= 3
}
