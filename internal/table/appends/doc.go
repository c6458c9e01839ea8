// Package appends judges histories of transactions over lists: transactions append values that are never used twice, and
// read whole lists. Since a list shows in which order it was appended to, a history shows which transaction came before
// which; when that goes in a circle, no order of the transactions explains what their clients saw. The idea and the names of the
// anomalies are those of Elle (Kingsbury, Alvaro: Elle, VLDB 2020).
//
// The package is for tests and no part of the product. It imports nothing of the project.
package appends
