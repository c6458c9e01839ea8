// Package item holds DynamoDB's values: the ten attribute types, exact numbers,
// the binary form that reaches disk, the wire codec, order-preserving keys and
// sizes. It is pure: no I/O, no clock, no goroutine. It imports awserr only.
//
// # Binary form of a value
//
// A value is a tag byte, which is its [Type], and a payload:
//
//	S, B        length, then that many bytes (S: valid UTF-8)
//	N           the number form below, which ends itself
//	BOOL        one byte, 0 or 1
//	NULL        nothing
//	SS, NS, BS  length, then count and the elements, whole values of type S, N or B
//	L           length, then count and the elements, whole values
//	M           length, then count and the entries; an entry is the length of the
//	            name, the name (valid UTF-8, 1 to 65535 bytes), and a whole value
//
// length and count are unsigned LEB128 varints in their shortest form (as
// encoding/binary). The length of a container covers its count and all its
// elements, so that every value but a number is skipped without looking inside,
// and a number after at most 22 bytes.
//
// The form is canonical. Entries of a map are strictly ascending by the bytes
// of their names, elements of a set are strictly ascending in DynamoDB's order
// of values (sets are not empty), and a number has one encoding. So two values
// are equal by DynamoDB's rules, where sets and maps have no order and 1.0
// equals 1, if and only if their bytes are equal. A value nests at most
// [MaxDepth] levels.
//
// An [Item] is the version byte [ItemVersion], then a value of type M.
//
// # Number form
//
// A number other than zero is written as ±0.d₁d₂...dₙ × 100^e with base-100
// digits d₁ and dₙ not 0. With 38 decimal digits and DynamoDB's range n is at
// most 20 and e runs from -64 to 63. The form is
//
//	positive  0x80+(e+64), then each digit as d+1 (1 to 100), then 0x00
//	zero      0x80 0x00
//	negative  every byte of the form of the absolute value, complemented
//
// Comparing forms byte by byte compares the numbers, also when other bytes
// follow, and no form is the beginning of another.
//
// # Key form
//
// [AppendKey] writes the key form of a scalar, which has no tag, as the schema
// of the table knows the type. An N is its number form. An S or B is its bytes
// with each 0x00 written as 0x00 0xFF, then 0x00 0x01. The order of key forms
// of one type is DynamoDB's order of the values, also when other bytes follow.
// [PartitionHash] is xxhash64 with seed 0 of the key form.
//
// # Text that is not Unicode
//
// A body that is not UTF-8 is malformed JSON. An escaped surrogate without its
// partner, which JSON's grammar allows, becomes "?", as Java encodes it.
// Builders (AppendString, AppendMap) leave it to the caller to hand in UTF-8.
//
// # Who owns bytes
//
// A Value returned by an accessor shares the bytes of what it was cut from.
// What a [Reader] returns owns its bytes and does not alias the text it read.
package item
