package wire

import "time"

// Version is the answer of the server about itself.
type Version struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Protocol int    `json:"protocol"`
}

// Runtime tells whether functions of a runtime of Lambda's can run on the server.
type Runtime struct {
	Why string `json:"why,omitempty"` // they cannot; empty: they can
}

// Package names what is in a function's package.
type Package struct {
	Handler string   `json:"handler"`
	Files   []string `json:"files"`
}

// Status is the state of the server.
type Status struct {
	Version    string    `json:"version"`
	Started    time.Time `json:"started"`
	Account    string    `json:"account"`
	Region     string    `json:"region"`
	Durability string    `json:"durability"`
	Auth       string    `json:"auth"` // off, warn or on
	Data       string    `json:"data"` // the folder; "" when in memory
	// KeyFile has the key that seals what is secret in the data, and is in no backup; "" when there is none.
	KeyFile   string   `json:"keyFile,omitempty"`
	Healthy   bool     `json:"healthy"`
	Problem   string   `json:"problem,omitempty"`  // why it is not healthy
	Degraded  []string `json:"degraded,omitempty"` // what does not work although it is, such as damaged files
	Tables    int      `json:"tables"`
	Functions int      `json:"functions"`
	Triggers  int      `json:"triggers"`
	// Replication is how far it has come; absent: nothing is replicated.
	Replication *Replication `json:"replication,omitempty"`
	// Standbys are those that follow the server itself; absent: it keeps nothing for any.
	Standbys *Standbys `json:"standbys,omitempty"`
	// Standby is there while the server is a standby, of which tables, functions and triggers are not counted.
	Standby *Standby `json:"standby,omitempty"`
}

// Standby is how far a standby has come.
type Standby struct {
	Of         string    `json:"of"`             // the place
	Host       string    `json:"host,omitempty"` // of the server that replicates there
	State      string    `json:"state"`          // what it does
	Has        bool      `json:"has"`            // it has had all that the place had, since it was started
	LagSeconds float64   `json:"lagSeconds"`     // how long ago that was
	To         time.Time `json:"to"`             // what was copied to the place by then is there
	Segments   uint64    `json:"segments"`
	Failing    string    `json:"failing,omitempty"` // why it cannot go on now
}

// Promoted tells of a standby that goes on in the place of the server that it followed.
type Promoted struct {
	Place   string    `json:"place"`
	To      time.Time `json:"to"`      // what was copied to the place by then is there
	Segment uint64    `json:"segment"` // by which the place was taken over
}

// Replication is how far a server has come that copies what is committed to another place.
type Replication struct {
	Place      string    `json:"place"`
	LagSeconds float64   `json:"lagSeconds"`       // age of the oldest write that could not be restored from there; 0: all could
	Waiting    int       `json:"waitingBatches"`   // that were committed and are not known to be there
	Segments   uint64    `json:"segments"`         // that the place has
	Backup     string    `json:"backup,omitempty"` // with which a restore begins; absent: it is being made
	BackupMade time.Time `json:"backupMade,omitzero"`
	Bytes      int64     `json:"bytes"`             // copied since the start, without backups
	Failing    string    `json:"failing,omitempty"` // why nothing can be copied now
	// KeepSeconds is for how long any moment can be restored; absent: nothing is removed. Oldest is the first moment that can be, as of when it was
	// last looked for. NotRemoved says why what is older could not be removed, if so.
	KeepSeconds float64   `json:"keepSeconds,omitempty"`
	Oldest      time.Time `json:"oldest,omitzero"`
	NotRemoved  string    `json:"notRemoved,omitempty"`
}

// Console is a link to the console.
type Console struct {
	URL string `json:"url"` // good once
}
