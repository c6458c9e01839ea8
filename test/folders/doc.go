// Package folders holds data folders that earlier releases have left, and the test
// that this release opens them.
//
// testdata/NAME.tar.zst is a folder as a kill has left it, of the release or commit
// NAME, with a live log, tables, an index, a time to live, streams with a split,
// records that are held, parked and waiting, a window under way and functions; since 7879ef4 with point-in-time recovery and a backup of a table.
// testdata/NAME.json.zst is what that release answered when it was asked for all of it,
// just before. Neither is ever changed. One more is made with every release:
//
//	go build -o /tmp/millstream ./cmd/millstream
//	go run ./test/folders/make -program /tmp/millstream -name v1.2.0
//
// testdata/kept/NAME.tar.zst has a folder with a range in quarantine, and the place to which it was replicated before and after; NAME.json.zst says
// what each holds. It is made with -kept besides.
//
// testdata/past/NAME.tar.zst is a folder with a recovery log of a table, and NAME.json.zst says what that was at some moments. It is made with -past besides.
//
// The command refused checks the other way round that an older program refuses a folder of this one's; .ci/long has it do so for db9eff9.
package folders
