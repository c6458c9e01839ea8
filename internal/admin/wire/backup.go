package wire

import "time"

// Stage is a copy of the server's data folder that does not change: what a backup reads.
type Stage struct {
	ID    string      `json:"id"`
	Files []StageFile `json:"files"`
}

// StageFile is one of its files.
type StageFile struct {
	Name string `json:"name"` // below the data folder, with slashes
	Size int64  `json:"size"`
}

// Backup tells the server of a backup of it that was made or, with Verified, found whole.
type Backup struct {
	ID       string    `json:"id"`
	Made     time.Time `json:"made"`
	Chained  bool      `json:"chained,omitempty"` // it begins what the server replicates, which made it
	Verified bool      `json:"verified,omitempty"`
}
