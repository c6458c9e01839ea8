package bench

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// curved are the numbers of connections of the curves.
var curved = []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000}

// stepKeys is how many keys a client has in a step, more than it writes.
const stepKeys = 100_000_000

// times counts how long requests took, each to 5 %: element i those of about 2^(i/16) microseconds.
type times [512]uint64

func (t *times) add(took time.Duration) {
	i := 0
	if us := float64(took) / float64(time.Microsecond); us > 1 {
		i = min(int(16*math.Log2(us)), len(t)-1)
	}
	t[i]++
}

func (t *times) addAll(other *times) {
	for i, n := range other {
		t[i] += n
	}
}

// at is how long the quickest part of the requests took, such as 0.99 of them.
func (t *times) at(part float64) time.Duration {
	all := uint64(0)
	for _, n := range t {
		all += n
	}
	rest := part * float64(all)
	for i, n := range t {
		if rest -= float64(n); rest <= 0 && n > 0 {
			return time.Duration(math.Exp2((float64(i)+0.5)/16) * float64(time.Microsecond))
		}
	}
	return 0
}

// A step is what an endpoint did with a number of connections.
type step struct {
	connections int
	rate        float64 // requests a second
	times       times
}

// A curve is an endpoint's steps of one operation.
type curve struct {
	operation, name string
	steps           []step
}

// measureCurves drives PutItem and GetItem with 1 to 1,000 connections, here and at each peer in turn, and prints rates and how long requests
// take. With Plots it keeps the points as CSV and draws them.
func measureCurves(ctx context.Context, o Options, r *report) error {
	length := max(o.duration()/4, 500*time.Millisecond)
	fmt.Fprintf(r.out, "requests a second, their median and the 99 of 100, by connections, 1 KiB, stream on, %v each\n", length)
	var curves []*curve
	err := onServer(ctx, o, func(c *child, _ string) error {
		for _, p := range append([]Peer{{"Millstream", c.endpoint}}, o.Peers...) {
			of, err := curvesOf(ctx, r, p, length)
			curves = append(curves, of...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || o.Plots == "" {
		return err
	}
	return plots(o.Plots, curves)
}

func curvesOf(ctx context.Context, r *report, p Peer, length time.Duration) (curves []*curve, err error) {
	name := fmt.Sprintf("%s-curves-%d", table, time.Now().UnixNano())
	if _, err := makeTable(ctx, p.Endpoint, name, true); err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, call(context.WithoutCancel(ctx), p.Endpoint, "DeleteTable", map[string]string{"TableName": name}, nil))
	}()
	host, err := hostOf(p.Endpoint)
	if err != nil {
		return nil, err
	}
	const known = 100 // keys of a client that are written before they are read
	for _, op := range []struct {
		name string
		next func(client int) func(n int) []byte
	}{
		{"PutItem", func(client int) func(int) []byte { return puts(host, name, client) }},
		{"GetItem", func(client int) func(int) []byte { return gets(host, name, client, known) }},
	} {
		if op.name == "GetItem" {
			if err := writeKeys(ctx, host, name, curved[len(curved)-1], known); err != nil {
				return nil, err
			}
		}
		c := &curve{operation: op.name, name: p.Name}
		curves = append(curves, c)
		for i, n := range curved {
			next := op.next
			if op.name == "PutItem" { // each step has keys of its own
				next = func(client int) func(int) []byte {
					put := op.next(client)
					return func(n int) []byte { return put(n + i*stepKeys) }
				}
			}
			each := make([]times, n)
			answers, took, err := loadTimed(ctx, p.Endpoint, n, length, next, each)
			if err != nil {
				fmt.Fprintf(r.out, "  %-12s %-8s %5d connections: %v\n", p.Name, op.name, n, err)
				break // a peer may have fewer places
			}
			s := step{connections: n, rate: float64(answers) / took.Seconds()}
			for i := range each {
				s.times.addAll(&each[i])
			}
			c.steps = append(c.steps, s)
			fmt.Fprintf(r.out, "  %-12s %-8s %5d connections %12s %10s %10s\n", p.Name, op.name, n, perSecond(s.rate), milliseconds(float64(s.times.at(0.5))), milliseconds(float64(s.times.at(0.99))))
		}
	}
	fmt.Fprintln(r.out)
	return curves, nil
}

// writeKeys writes the keys 0..known-1 of every client, by one connection.
func writeKeys(ctx context.Context, host, table string, clients, known int) error {
	c, err := dial(ctx, host)
	if err != nil {
		return err
	}
	defer c.Close()
	for client := range clients {
		request := puts(host, table, client)
		for n := range known {
			if err := c.roundTrip(request(n)); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// plots writes the curves to a folder: curves.csv, and for each operation how many a second and how long they take.
func plots(dir string, curves []*curve) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "curves.csv"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := csv.NewWriter(f)
	_ = w.Write([]string{"endpoint", "operation", "connections", "a second", "median us", "99 % us", "99.9 % us"}) // Error below tells
	for _, c := range curves {
		for i := range c.steps {
			s := &c.steps[i]
			row := []string{c.name, c.operation, strconv.Itoa(s.connections), fmt.Sprintf("%.0f", s.rate)}
			for _, part := range []float64{0.5, 0.99, 0.999} {
				row = append(row, strconv.FormatInt(s.times.at(part).Microseconds(), 10))
			}
			_ = w.Write(row)
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	for _, op := range []string{"PutItem", "GetItem"} {
		var rates, took []line
		for _, c := range curves {
			if c.operation != op {
				continue
			}
			rate, median, slow := line{name: c.name}, line{name: c.name + ", median"}, line{name: c.name + ", 99 of 100"}
			for i := range c.steps {
				s := &c.steps[i]
				x := float64(s.connections)
				rate.points = append(rate.points, [2]float64{x, s.rate})
				median.points = append(median.points, [2]float64{x, float64(s.times.at(0.5)) / float64(time.Millisecond)})
				slow.points = append(slow.points, [2]float64{x, float64(s.times.at(0.99)) / float64(time.Millisecond)})
			}
			rates = append(rates, rate)
			if c.name == curves[0].name {
				took = append(took, median, slow)
			}
		}
		name := strings.ToLower(op)
		for file, text := range map[string]string{
			name + "-rate.svg": chart(op+"s a second, by connections", rates, false), name + "-time.svg": chart("milliseconds that "+op+" takes, by connections", took, true),
		} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
