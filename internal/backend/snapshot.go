package backend

import "strings"

// The items that a mapping begins with are read as a closed shard of the mapping's own, before all others. Its name is
// below those of streams' shards, so that what is set aside of it comes before what is set aside of them.
const snapshotPrefix = "existing-items/"

// SnapshotShard is the name of a mapping's shard of existing items.
func SnapshotShard(uuid string) string { return snapshotPrefix + uuid }

// IsSnapshot reports whether a shard is one of existing items.
func IsSnapshot(shard string) bool { return strings.HasPrefix(shard, snapshotPrefix) }

// SnapshotOf is the mapping to which a shard of existing items belongs; false for another shard.
func SnapshotOf(shard string) (uuid string, ok bool) { return strings.CutPrefix(shard, snapshotPrefix) }

// Nodes keep their mappings as rows of a table of the server whose tables they work over. That server keeps a mapping's existing items as long as there is the
// row whose keys are these, the second one with the mapping's id behind it.
const (
	NodesDefinitions = "def"
	NodesMapping     = "m#"
)
