package table

import (
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
)

// A change of a table is done when it is answered, but as on AWS its answer shows
// the state in between, and with a delay (Options.StatusDelay) later answers show it too for
// that long. The states in between are stored in the definition with the time at
// which they end, so that they survive a restart and need no timer: who reads a
// definition after that time sees the state that lasts.

// The statuses of tables and global indexes.
const (
	statusCreating = "CREATING"
	statusActive   = "ACTIVE"
	statusUpdating = "UPDATING"
	statusDeleting = "DELETING"
)

// What a passing state changes.
const (
	changeBilling    = "billing"
	changeThroughput = "throughput"
	changeStream     = "stream"
	changeClass      = "class"
	changeIndex      = "index"
	changeLoad       = "load" // of a new table with the items of a backup or an import (loader.go)
)

// view is a time at which a definition is shown. The answer to a change shows it
// between: with every state that has not been settled.
type view struct {
	now     int64 // ms since 1970
	between bool
}

// passing is a state in between, from one time until another, in ms since 1970.
type passing struct {
	SinceMS int64  `json:"sinceMs"`
	UntilMS int64  `json:"untilMs"`
	Status  string `json:"status"`
	Change  string `json:"change,omitempty"`
	// What is shown until it ends, where that is not what was asked for.
	Throughput *request.Throughput `json:"throughput,omitempty"` // with the decreases before
	Decreases  int                 `json:"decreases,omitempty"`
	Warm       *request.Throughput `json:"warm,omitempty"`
	Class      *shownClass         `json:"class,omitempty"`
	Encryption *request.Encryption `json:"encryption,omitempty"` // nil: the default before
	// Indexes are those that are made or removed.
	Indexes []string `json:"indexes,omitempty"`
}

// on reports whether the state is to be seen. A clock that was set back ends it.
func (p *passing) on(at int64) bool {
	return p != nil && at >= p.SinceMS && at < p.UntilMS
}

// seen reports whether the state is shown in a view.
func (p *passing) seen(v view) bool { return p != nil && (v.between || p.on(v.now)) }

// classStandard is the table class of who never chose one.
const classStandard = "STANDARD"

// shownClass is a table class, and when it was changed, in ms; 0: never.
type shownClass struct {
	Name      string `json:"name"`
	UpdatedMS int64  `json:"updatedMs,omitempty"`
}

// leavingIndex is a global index that is shown as being removed. Its entries are gone.
type leavingIndex struct {
	Index index   `json:"index"`
	Until passing `json:"until"`
}

// pass returns a state that begins now.
func (db *DB) pass(now int64, status, change string) *passing {
	return &passing{SinceMS: now, UntilMS: now + db.delay, Status: status, Change: change}
}

// settle forgets the states that have ended.
func (d *definition) settle(now int64) {
	end := func(p **passing) {
		if !(*p).on(now) {
			*p = nil
		}
	}
	end(&d.Passing)
	end(&d.Encrypting)
	end(&d.Warming)
	if len(d.Indexes) > 0 {
		d.Indexes = slices.Clone(d.Indexes)
	}
	for i := range d.Indexes {
		x := &d.Indexes[i]
		end(&x.Passing)
		end(&x.Warming)
	}
	if len(d.Leaving) > 0 {
		d.Leaving = slices.DeleteFunc(slices.Clone(d.Leaving), func(x leavingIndex) bool { return !x.Until.on(now) })
	}
}

// creating reports whether the table is still being made, so that its data cannot be
// reached.
func (d *definition) creating(at int64) bool {
	return d.Passing.on(at) && d.Passing.Status == statusCreating
}

// forChange finds a table that a request changes, or answers with its state.
func (db *DB) forChange(scope schema.Scope, name string, now int64) (*Table, *awserr.Error) {
	t := db.find(scope, name)
	switch {
	case t != nil && t.desc.Load().def.creating(now):
		return nil, awserr.TableBeingCreated(name)
	case t != nil:
		return t, nil
	case db.leavingTable(scope, name, now) != nil:
		return nil, awserr.TableBeingDeleted(name)
	}
	return nil, awserr.TableNotFound(name)
}

// checkFree returns the error of a change that cannot be made during another one.
// Deletion protection, tags, policies and time to live change at any time.
func (d *definition) checkFree(r *request.UpdateTable, now int64) *awserr.Error {
	if d.Encrypting.on(now) && r.Encryption != nil && !sameEncryption(r.Encryption, d.Settings.Encryption) {
		return awserr.EncryptionBeingUpdated()
	}
	if e := d.checkIndexesFree(r, now); e != nil {
		return e
	}
	p := d.Passing
	if !p.on(now) {
		return nil
	}
	units := p.Change == changeBilling || p.Change == changeThroughput
	structural := slices.ContainsFunc(r.Indexes, func(u request.IndexUpdate) bool { return u.Update == nil })
	switch {
	case r.PayPerRequest != nil || r.Throughput != nil:
		if units {
			return awserr.ThroughputBeingUpdated(d.Name)
		}
		return awserr.CannotDuring("change table IOPS", d.under(p))
	case r.Stream != nil:
		switch {
		case p.Change == changeStream:
			return awserr.StreamInProgress(d.Name, d.LatestLabel, d.streamOperation())
		case units:
			return awserr.CannotDuring("enable or disable stream", d.under(p))
		}
		return awserr.CannotDuring("change stream status", d.under(p))
	case structural && p.Change == changeIndex:
		return awserr.OneIndexAtOnce()
	case structural:
		return awserr.CannotDuring("create or delete index", d.under(p))
	case r.TableClass != "":
		return awserr.CannotDuring("update table class", d.under(p))
	case r.OnDemand != nil:
		return awserr.OnDemandDuring(map[string]string{
			changeBilling: "BillingMode update", changeThroughput: "BillingMode update", changeStream: "stream status update",
			changeClass: "TableClass update", changeIndex: "index update",
		}[p.Change])
	}
	return nil
}

// under says what is under way, as AWS does in the middle of its errors.
func (d *definition) under(p *passing) string {
	table := ". Table: " + d.Name
	switch p.Change {
	case changeStream:
		return "when stream status is being updated" + table + " Stream: " + d.LatestLabel + " Operation: " + d.streamOperation()
	case changeClass:
		return "when a table class update is in progress" + table + " TableClassUpdateInProgress: " + d.Settings.TableClass
	case changeIndex:
		doing := "created"
		if len(d.Leaving) > 0 {
			doing = "deleted"
		}
		return "when an index is being " + doing + table + " Indexes: " + showNames(p.Indexes)
	}
	return "while table IOPS are being updated" + table
}

func (d *definition) streamOperation() string {
	if d.StreamID == 0 {
		return "DISABLE"
	}
	return "ENABLE"
}

func showNames(names []string) string {
	out := "["
	for i, n := range names {
		if i > 0 {
			out += ", "
		}
		out += n
	}
	return out + "]"
}

// checkIndexesFree returns the error of a change of an index that is changing.
func (d *definition) checkIndexesFree(r *request.UpdateTable, now int64) *awserr.Error {
	for i := range r.Indexes {
		u := &r.Indexes[i]
		name := u.Delete
		if u.Update != nil {
			name = u.Update.Name
		}
		if slices.ContainsFunc(d.Leaving, func(x leavingIndex) bool { return x.Until.on(now) && x.Index.Name == name }) {
			return awserr.IndexBeingDeleted(d.Name, name)
		}
		x := d.index(name)
		if x == nil || !x.Passing.on(now) {
			continue
		}
		switch {
		case x.Passing.Status == statusUpdating:
			return awserr.IndexBeingUpdated(d.Name, name)
		case u.Update != nil:
			return awserr.IndexNotBackfilling(d.Name, name)
		}
		return awserr.IndexAllocating(d.Name, name)
	}
	return nil
}

// checkDeletable returns the error of DeleteTable while something is changing.
func (d *definition) checkDeletable(now int64) *awserr.Error {
	changing := slices.ContainsFunc(d.Indexes, func(x index) bool { return x.Passing.on(now) })
	switch p := d.Passing; {
	case p.on(now) && p.Change == changeStream:
		return awserr.StreamBeingSwitched()
	case p.on(now) && p.Change == changeIndex, changing:
		return awserr.IndexesBeingChanged()
	case p.on(now), d.Encrypting.on(now), d.Warming.on(now):
		return awserr.TableBeingUpdated(d.Name)
	}
	return nil
}
