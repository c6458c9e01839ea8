package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// streamRecordBytes is about what a record of the soak's streams takes on the disk. Streams keep a day of records, so a soak of
// hours has them all.
const streamRecordBytes = 700

// figure is something that is to stay as it is.
type figure struct {
	name, unit string
	of         func(sample) float64
	slack      float64 // by which it may grow beyond a quarter
}

var figures = []figure{
	{"memory", "MB", func(x sample) float64 { return x.memory / (1 << 20) }, 48},
	{"heap", "MB", func(x sample) float64 { return x.heap / (1 << 20) }, 32},
	{"goroutines", "", func(x sample) float64 { return x.goroutines }, 40},
	{"descriptors", "", func(x sample) float64 { return x.files }, 40},
	{"processes", "", func(x sample) float64 { return x.processes }, 10},
	{"disk beyond what streams keep", "MB", func(x sample) float64 { return (x.disk - x.streams) / (1 << 20) }, 160},
	{"disk", "MB", func(x sample) float64 { return x.disk / (1 << 20) }, -1}, // shown
}

// middle is the median of a figure over the part of the samples from one share of them to another.
func (f figure) middle(all []sample, from, to float64) float64 {
	var values []float64
	for _, x := range all[int(from*float64(len(all))):int(to*float64(len(all)))] {
		values = append(values, f.of(x))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// judge compares the last fifth of the time with the second: the first is for caches and processes to fill.
func judge(all []sample) error {
	if len(all) < 20 {
		return errors.New("too short to be judged")
	}
	var grown []error
	for _, f := range figures {
		early, late := f.middle(all, 0.2, 0.4), f.middle(all, 0.8, 1)
		verdict := "shown"
		if f.slack >= 0 {
			if verdict = "flat"; late > 1.25*max(early, 0)+f.slack {
				verdict = "GROWN"
				grown = append(grown, fmt.Errorf("%s has grown from %.0f to %.0f %s", f.name, early, late, f.unit))
			}
		}
		fmt.Printf("%-30s %8.0f in the second fifth, %8.0f in the last %-3s %s\n", f.name, early, late, f.unit, verdict)
	}
	return errors.Join(grown...)
}

// write keeps the samples, and a plot of each figure.
func write(dir string, all []sample) (err error) {
	f, err := os.Create(filepath.Join(dir, "soak.csv"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := csv.NewWriter(f)
	head := []string{"seconds"}
	for _, f := range figures {
		head = append(head, f.name)
	}
	if err := w.Write(head); err != nil {
		return err
	}
	for _, x := range all {
		row := []string{fmt.Sprintf("%.0f", x.at.Seconds())}
		for _, f := range figures {
			row = append(row, fmt.Sprintf("%.2f", f.of(x)))
		}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	for _, f := range figures {
		name := filepath.Join(dir, strings.ReplaceAll(f.name, " ", "-")+".svg")
		if err := os.WriteFile(name, []byte(f.plot(all)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// plot draws a figure over time.
func (f figure) plot(all []sample) string {
	const width, height, left, top = 800, 240, 70, 30
	most := 1.0
	for _, x := range all {
		most = max(most, f.of(x)*1.1)
	}
	var last float64 // minutes
	if len(all) > 0 {
		last = all[len(all)-1].at.Minutes()
	}
	var line strings.Builder
	for _, x := range all {
		fmt.Fprintf(&line, "%.1f,%.1f ", left+width*x.at.Minutes()/max(last, 1e-9), top+height*(1-max(f.of(x), 0)/most))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", width+left+20, height+top+30)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="%d" y="18" font-size="14">%s %s</text>`+"\n", left, f.name, f.unit)
	for i := range 5 {
		y := top + height - height*i/4
		fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#ddd"/><text x="%d" y="%d" text-anchor="end">%.0f</text>`+"\n", left, y, left+width, y, left-6, y+4, most*float64(i)/4)
		x := left + width*i/4
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%.1f min</text>`+"\n", x, top+height+18, last*float64(i)/4)
	}
	fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="#2563a8" stroke-width="1.5"/>`+"\n</svg>\n", strings.TrimSpace(line.String()))
	return b.String()
}
