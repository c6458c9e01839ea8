// Package store is the one place that knows the storage engine (Pebble). It
// gives the rooms above ordered bytes: batches that are atomic, a log that is
// a prefix after any crash, reads, and the means to keep two promises.
//
//   - Acknowledged means durable: a [Commit] whose Sync returned nil survives
//     the loss of power. The first error or panic from the engine's write path
//     poisons the store for good; from then on every method returns that error.
//   - No answer depends on what a crash could take back: an applied batch is
//     visible before it is durable, so a reader waits, for the commits whose
//     effect it saw ([Commit.Wait]) or for everything applied so far
//     ([Store.Barrier]).
//
// A store lives in a folder: VERSION (the folder's format), LOCK (one process
// at a time) and db/ (one Pebble database). All of it goes through one vfs.FS.
// The key spaces are listed in keyspace.go; what follows a prefix byte belongs
// to the room that owns the space.
//
// The package imports nothing of the project.
package store
