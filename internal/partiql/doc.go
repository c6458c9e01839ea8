// Package partiql reads PartiQL statements and says what they ask for, in the
// values of package request: a Statement is parsed without the table (Parse), and
// held against its keys later (Plan, Action). What is wrong with its values is
// reported once the whole statement can be read.
//
// It is pure. A statement has at most 8192 bytes, of which every token takes one:
// that bounds the depth of each recursion here and the size of each tree.
//
// Where AWS's behaviour is on record, it was followed; texts without evidence are
// marked in package awserr.
package partiql
