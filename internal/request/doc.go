// Package request holds the operations of the DynamoDB and Streams APIs as values:
// decoding from the wire, and every check that needs no state, in AWS's order. It is
// pure.
//
// # Layers
//
// AWS has two validators of requests and moves operations from the older to the newer
// one. layers.go says which operation is where, and is the one place where a refusal is
// wrapped because of it: counted ("1 validation error detected: "), named ("... for key
// :v"), or as it is. stages.go has, for each operation on items, one table of checks in
// AWS's order for each layer; checks.go has what the tables are made of. A request that
// the current layer cannot read (item.Reader.Strange, or a table's unreadable) is
// decoded again for the older one, as AWS hands it over whole.
//
// Batches, transactions and statements are lists of small requests. Their checks walk
// the lists, and so stand in code, stage by stage; layers.go decides on their texts all
// the same.
//
// # Three ways to read members
//
// All of them read the body once, with item.Reader, and none uses reflection.
//
//   - members (members.go) reads what operations on items share. It is the hot path: one
//     struct, a bit for each member, nothing allocated that a request does not have.
//   - declaration (definitions.go) reads CreateTable and UpdateTable. Their members nest
//     four structures deep, and most become values of package schema, so each structure
//     has a Go type.
//   - rules (unused.go) reads the operations that nobody uses here, and those of backups,
//     exports and imports (backups.go), which have many members and little to do with most: a
//     table of what AWS's model says of them is enough.
//
// One way for all would be the rules, with a value for every kind of member; that is an
// allocation for each member on the hot path, and CreateTable would take its definitions
// out of untyped lists. A new operation on items takes bits; one on tables takes a struct
// of its own, as in ttl.go; one that is only refused takes rules.
package request
