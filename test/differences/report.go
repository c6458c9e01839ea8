package differences

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
)

// Report is what a run found. Its methods may be called at once.
type Report struct {
	mu         sync.Mutex
	features   Features
	requests   int
	errors     int
	operations map[string]int
	rows       []int
	classes    map[string]int
	healed     int // differences of what is stored, after which data was made equal again
	episodes   int
	// Unexplained are the first of each kind of difference that no class explains.
	Unexplained []*Difference
	kinds       map[string]int
	unexplained int
}

func newReport(features Features) *Report {
	return &Report{features: features, operations: map[string]int{}, rows: make([]int, len(rows())), classes: map[string]int{}, kinds: map[string]int{}}
}

// count notes one answer of Millstream.
func (r *Report) count(request *Request, answer *Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	r.operations[request.Op]++
	if answer.failed() {
		r.errors++
	}
	for _, i := range rowsOf(answer) {
		r.rows[i]++
	}
}

// add notes the differences of one episode.
func (r *Report) add(differences []*Difference, healed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.episodes++
	r.healed += healed
	for _, d := range differences {
		for _, c := range d.Classes {
			r.classes[c]++
		}
		if len(d.Classes) == 0 {
			r.unexplained++
			kind := d.kind()
			if r.kinds[kind]++; r.kinds[kind] == 1 {
				r.Unexplained = append(r.Unexplained, d)
			}
		}
	}
}

// enough is how often each error should be answered.
const enough = 20

// Counts are the figures that decide whether a run passes.
type Counts struct {
	Requests, Unexplained, Classes, Rows, RowsHit int
}

// Counts returns the run's figures so far. Rows counts the errors of the features
// under test.
func (r *Report) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := Counts{Requests: r.requests, Unexplained: r.unexplained, Classes: len(r.classes)}
	for i, row := range rows() {
		if row.needs&^r.features == 0 {
			c.Rows++
			if r.rows[i] >= enough {
				c.RowsHit++
			}
		}
	}
	return c
}

// Print writes the whole report: of the errors the counts that are too small, or
// every one.
func (r *Report) Print(w io.Writer, every bool) {
	c := r.Counts()
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(w, "%d requests in %d episodes, %d answered with an error, %d carried out by one server alone\n", r.requests, r.episodes, r.errors, r.healed)
	for _, op := range slices.Sorted(maps.Keys(r.operations)) {
		fmt.Fprintf(w, "%8d  %s\n", r.operations[op], op)
	}
	fmt.Fprintf(w, "errors: %d of %d answered %d times or more\n", c.RowsHit, c.Rows, enough)
	for i, row := range rows() {
		if row.needs&^r.features == 0 && (every || r.rows[i] < enough) {
			fmt.Fprintf(w, "%8d  %s\n", r.rows[i], row.id)
		}
	}
	fmt.Fprintf(w, "explained: %d of %d classes met\n", len(r.classes), len(classes))
	for _, class := range classes {
		if n := r.classes[class.name]; n > 0 {
			fmt.Fprintf(w, "%8d  %s (%s)\n", n, class.name, class.section)
		}
	}
	fmt.Fprintf(w, "unexplained: %d, of %d kinds\n", r.unexplained, len(r.kinds))
	kinds := slices.SortedFunc(maps.Keys(r.kinds), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.kinds[b], r.kinds[a]), cmp.Compare(a, b))
	})
	for _, kind := range kinds {
		fmt.Fprintf(w, "%8d  %s\n", r.kinds[kind], kind)
	}
}
