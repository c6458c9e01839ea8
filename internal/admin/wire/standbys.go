package wire

import (
	"encoding/json"
	"time"
)

// Seed is a copy of the server's data folder, with which a standby begins that follows the server itself. What it says to
// standbys (Here, and the questions of standbys) is defined where they are, in package chain.
type Seed struct {
	Stage
	Here json.RawMessage `json:"here"`
}

// Rest is what a server had committed that is over now, and the one that goes on in its place had not.
type Rest struct {
	Segments [][]byte `json:"segments,omitempty"`
}

// The codes of errors that a standby tells apart.
const (
	CodeBeginAnew = "StandbyBeginsAnew"
	CodeBehind    = "BehindStandby"
	CodeMore      = "MoreToRead"
	CodeYounger   = "Younger"
	CodeFenced    = "Overtaken"
	CodeOther     = "OtherDatabase"
	CodeNotNow    = "FeedsNoStandby"
)

// Followed tells of a standby that follows the server itself.
type Followed struct {
	Host       string  `json:"host"`
	LagSeconds float64 `json:"lagSeconds"` // since it had all; 0: it has
	Away       bool    `json:"away,omitempty"`
}

// Standbys tells of those that follow the server itself.
type Standbys struct {
	Kept     int64      `json:"kept"` // bytes, for them
	Failing  string     `json:"failing,omitempty"`
	Standbys []Followed `json:"standbys,omitempty"`
}

// Followed says whether some standby has all that was written so long ago.
func (s *Standbys) Followed(ago time.Duration) bool {
	for _, one := range s.Standbys {
		if (one.LagSeconds == 0 || one.LagSeconds < ago.Seconds()) && !one.Away {
			return true
		}
	}
	return false
}
