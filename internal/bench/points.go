package bench

import (
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"strconv"
)

// points are what was measured at some numbers of one thing, such as items.
type points struct {
	of    string // what x counts
	lines []line
}

func newPoints(of string, names ...string) *points {
	p := &points{of: of}
	for _, name := range names {
		p.lines = append(p.lines, line{name: name})
	}
	return p
}

// add takes a value of each line.
func (p *points) add(x int, values ...float64) {
	for i, v := range values {
		p.lines[i].points = append(p.lines[i].points, [2]float64{float64(x), v})
	}
}

// write keeps them in a folder, as NAME.csv and, drawn, as NAME.svg. An empty folder keeps nothing.
func (p *points) write(dir, name, title string, logarithmic bool) (err error) {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, name+".csv"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	head := []string{p.of}
	for _, l := range p.lines {
		head = append(head, l.name)
	}
	w := csv.NewWriter(f)
	_ = w.Write(head) // Error below tells
	for i, first := range p.lines[0].points {
		row := []string{strconv.Itoa(int(first[0]))}
		for _, l := range p.lines {
			row = append(row, strconv.FormatFloat(l.points[i][1], 'f', 0, 64))
		}
		_ = w.Write(row)
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".svg"), []byte(chart(title, p.lines, logarithmic)), 0o644)
}
