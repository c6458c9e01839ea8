// Package chain copies what is committed to a place, a second after it was, and makes of it what a server had at any moment.
//
// The chain of a place is a row of objects, chain/0000000000000000 and so on: segments, each with batches of the engine's log in their
// order, or with none. A backup in the same place is where a restore begins; the segments from the one that its manifest names on
// hold all that came after it.
//
// # Promises
//
// What is told as shipped can be restored: a restored folder is a prefix of the commits, with all that was acknowledged up to the
// moment asked for. It is never ahead of what the server itself would recover.
//
// A gap is never passed in silence. Batches are numbered, so one that is missing shows; the shipper then makes a new backup by
// itself, and a restore ends before the gap and says so.
//
// No two servers both believe that they ship. A segment is put only where none is, so the chain is one row with one successor
// each. Every run begins with a segment of its own, its claim: from then on all other servers fail at their next one, and stop.
//
// What is removed, since it is too old to be kept, is removed behind a floor that says so before (keep.go): nobody takes what was removed for what
// was never there.
//
// A standby is a prefix of the commits of who ships (follow.go), and when it is promoted has all that was shipped before its claim.
//
// A server may also keep the row itself for standbys that ask it (relay.go, followprimary.go): there is no place then, and no past.
//
// # Who may go on
//
// A claim names the open of the folder (store.Lineage). A run goes on in the chain when the newest claim is that of the open just before
// it, and its log reaches back to the chain's end. Otherwise it begins anew, behind a gap and with a new backup, unless the chain shows
// that the folder is older than what was shipped, or of another database: then it is refused, and so is it at each later start. The folder
// lists its own claims for that (store.Owned); in a copy that is to go on there is no list, and its incarnation is raised. A standby puts its own claim, right behind
// the last segment that it has, and takes its name for its folder: who opens that goes on in the chain without a gap.
package chain
