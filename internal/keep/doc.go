// Package keep is the backups, exports and imports of tables: what is there of them, and the two workers that
// make them. Package table freezes and fills tables, package export has the files' form; here is what becomes of
// each request, durably.
//
// # Promises
//
// A backup or an export is the table at one moment, whole: what was acknowledged before the request is in it, and a
// transaction is in it or not. It is AVAILABLE, or COMPLETED, only once all of it has been written. When
// damage has taken some of the items it is refused, or fails; it is never short. Work that a crash cut off begins again at the
// next start, from the same moment: what was frozen stays until the end. A table that was being filled is emptied first.
//
// # Order
//
// To make a backup: freeze the table, write the row (the answer), write the files, write the row, remove what was frozen. What
// has no row is removed by Open. To remove one: the row, then the files. To restore or export a moment: freeze the table with its
// recovery log, write the row, and so on.
package keep
