package folders

import "time"

// Kept is what is known of a fixture of testdata/kept: a table, of which damage has taken some items, and where it was replicated to before.
type Kept struct {
	Items map[string]string // text by id
	Lost  []string          // ids that damage has taken
	Whole time.Time         // up to then nothing was lost
	Late  []string          // ids that came after it
}
