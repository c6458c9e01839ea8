package wire

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
