package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	fillRate    = 2000 // writes a second while an index is made
	fillClients = 16
)

// measureFill adds an index to a table of a million items while it is written, and
// takes what that does to the writes: their 99th percentile at most doubles. Then
// another index is made while the stream is turned off, a third index is removed and
// the server is killed halfway. An index that differs from its table in the end is an
// error.
func measureFill(ctx context.Context, o Options, r *report) error {
	items := 1_000_000
	if o.Quick {
		items = 20_000
	}
	dir, remove, err := o.folder()
	if err != nil {
		return err
	}
	defer remove()
	data := filepath.Join(dir, "data")
	c, _, err := serve(ctx, o, data)
	if err != nil {
		return err
	}
	defer func() { c.kill() }()

	if err := (shape{indexes: 1}).make(ctx, c.endpoint, table); err != nil {
		return err
	}
	if err := loadSmall(ctx, c.endpoint, items); err != nil {
		return err
	}
	before, err := pacedPuts(ctx, c.endpoint, items, func() error { return pause(ctx, o.duration()) })
	if err != nil {
		return err
	}
	start := time.Now()
	var took time.Duration
	during, err := pacedPuts(ctx, c.endpoint, items, func() error {
		if err := addIndex(ctx, c.endpoint, "g1"); err != nil {
			return err
		}
		_, err := awaitActive(ctx, c.endpoint, table)
		took = time.Since(start)
		return err
	})
	if err != nil {
		return err
	}
	entries, err := equalToTable(ctx, c.endpoint, "g1")
	if err != nil {
		return err
	}
	p99 := func(all []time.Duration) float64 { return float64(quantile(all, 0.99)) }
	r.add(result{
		name:     fmt.Sprintf("write latency while an index of %s items is filled, %s, 99th percentile", thousands(int64(items)), perSecond(fillRate)),
		measured: p99(during), budget: 2 * p99(before), atMost: true, ceiling: p99(before), ceilingName: "the same writes before", format: milliseconds,
		why: fmt.Sprintf("the filling took %.1f s and %s writes; the index equals its table in %s entries.", took.Seconds(), thousands(int64(len(during))), thousands(int64(entries))),
	})

	_, err = pacedPuts(ctx, c.endpoint, items, func() error {
		if err := addIndex(ctx, c.endpoint, "g2"); err != nil {
			return err
		}
		if err := updateTable(ctx, c.endpoint, map[string]any{"StreamSpecification": map[string]any{"StreamEnabled": false}}); err != nil {
			return err
		}
		drop := []map[string]any{{"Delete": map[string]string{"IndexName": "index-g0"}}}
		if err := updateTable(ctx, c.endpoint, map[string]any{"GlobalSecondaryIndexUpdates": drop}); err != nil {
			return err
		}
		for {
			indexes, err := describeIndexes(ctx, c.endpoint)
			if err != nil {
				return err
			}
			for _, index := range indexes {
				if index.IndexName != "index-g2" || index.ItemCount < items/2 {
					continue
				}
				if index.IndexStatus != "CREATING" {
					return fmt.Errorf("the index is %s before it could be interrupted", index.IndexStatus)
				}
				c.kill()
				return errKilled
			}
			if err := pause(ctx, 2*time.Millisecond); err != nil {
				return err
			}
		}
	})
	if !errors.Is(err, errKilled) {
		return fmt.Errorf("killing the server halfway: %w", err)
	}
	next, _, err := serve(ctx, o, data)
	if err != nil {
		return fmt.Errorf("start after the kill: %w", err)
	}
	c = next
	state, err := describeIndexes(ctx, c.endpoint)
	if err != nil {
		return err
	}
	if _, err := awaitActive(ctx, c.endpoint, table); err != nil {
		return err
	}
	for _, index := range []string{"g1", "g2"} {
		if entries, err = equalToTable(ctx, c.endpoint, index); err != nil {
			return fmt.Errorf("after kill -9 halfway: %w", err)
		}
	}
	r.note("killed halfway through filling another index, with the stream turned off and a third index removed\n  meanwhile (%v at the restart): both indexes equal the table, the new one in %s entries", state, thousands(int64(entries)))
	return c.stop()
}

var errKilled = errors.New("the server was killed")

// A small item has its key, a value for each index, and what it was written by. One
// in ten lacks the values of the indexes.

func smallItem(indexed bool) string {
	keys := ""
	if indexed {
		keys = `"g1":{"S":"` + mark + `"},"g2":{"S":"` + mark + `"},`
	}
	return `{"pk":{"S":"` + mark + `"},` + keys + `"v":{"S":"` + mark + strings.Repeat("x", 84) + `"}}`
}

// smallFields fills a small item in: its key, and what depends on by.
func smallFields(i, key, by int) int {
	switch i {
	case 0:
		return key
	case 1, 2:
		return by * (31 + i) % 997
	}
	return by
}

// loadSmall writes the items, which fillClients clients share out.
func loadSmall(ctx context.Context, endpoint string, items int) error {
	host, err := hostOf(endpoint)
	if err != nil {
		return err
	}
	failures := make(chan error, fillClients)
	var all sync.WaitGroup
	for client := range fillClients {
		all.Go(func() {
			const marks = 4 // of an item
			body := `{"RequestItems":{"` + table + `":[` + list(written, `{"PutRequest":{"Item":`+smallItem(true)+`}}`) + `]}}`
			next := fields(host, "BatchWriteItem", body, client, func(n, i int) int {
				key := n*written + i/marks
				return smallFields(i%marks, key, key)
			})
			c, err := dial(ctx, host)
			if err != nil {
				failures <- err
				return
			}
			defer c.Close()
			for n := 0; n < items/fillClients/written && ctx.Err() == nil; n++ {
				if err := c.roundTrip(next(n)); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return ctx.Err()
	}
}

// pacedPuts writes over the items, and new ones, at an even pace until meanwhile
// has returned. The latencies, sorted, count from the moment at which each write was
// due, so that a stall counts for all the writes that it held up.
func pacedPuts(ctx context.Context, endpoint string, items int, meanwhile func() error) (latencies []time.Duration, err error) {
	host, err := hostOf(endpoint)
	if err != nil {
		return nil, err
	}
	conns := make([]*conn, fillClients)
	for i := range conns {
		if conns[i], err = dial(ctx, host); err != nil {
			return nil, err
		}
		defer conns[i].Close()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex // of latencies and failure
	var failure error
	var writing sync.WaitGroup
	for client, c := range conns {
		writing.Go(func() {
			took, err := putEvenly(ctx, c, host, client, items/fillClients)
			mu.Lock()
			defer mu.Unlock()
			latencies = append(latencies, took...)
			if err != nil && failure == nil {
				failure = err
			}
		})
	}
	err = meanwhile()
	cancel()
	writing.Wait()
	slices.Sort(latencies)
	if err == nil {
		err = failure
	}
	return latencies, err
}

// putEvenly is one client of pacedPuts; known is how many items of its own there are.
func putEvenly(ctx context.Context, c *conn, host string, client, known int) (latencies []time.Duration, err error) {
	source := func(indexed bool) func(int) []byte {
		body := `{"TableName":"` + table + `","Item":` + smallItem(indexed) + `}`
		last := strings.Count(body, mark) - 1
		return fields(host, "PutItem", body, client, func(n, i int) int {
			if i == last {
				i = 3
			}
			return smallFields(i, n*7919%(known+known/10), n)
		})
	}
	indexed, bare := source(true), source(false)
	due := time.Now().Add(time.Duration(client) * time.Second / fillRate)
	wait := time.NewTimer(time.Until(due))
	defer wait.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return latencies, nil
		case <-wait.C:
		}
		next := indexed
		if n%10 == 0 {
			next = bare
		}
		if err := c.roundTrip(next(n)); err != nil {
			return latencies, err
		}
		latencies = append(latencies, time.Since(due))
		due = due.Add(fillClients * time.Second / fillRate)
		wait.Reset(time.Until(due))
	}
}

func updateTable(ctx context.Context, endpoint string, change map[string]any) error {
	change["TableName"] = table
	return call(ctx, endpoint, "UpdateTable", change, nil)
}

// addIndex makes a global index whose key is the attribute.
func addIndex(ctx context.Context, endpoint, attribute string) error {
	return updateTable(ctx, endpoint, map[string]any{
		"AttributeDefinitions": []map[string]string{{"AttributeName": attribute, "AttributeType": "S"}},
		"GlobalSecondaryIndexUpdates": []map[string]any{{"Create": map[string]any{
			"IndexName": "index-" + attribute, "Projection": map[string]string{"ProjectionType": "ALL"},
			"KeySchema": []map[string]string{{"AttributeName": attribute, "KeyType": "HASH"}},
		}}},
	})
}

type indexDescription struct {
	IndexName, IndexStatus string
	ItemCount              int
}

func describeIndexes(ctx context.Context, endpoint string) ([]indexDescription, error) {
	var out struct {
		Table struct {
			GlobalSecondaryIndexes []indexDescription
		}
	}
	err := call(ctx, endpoint, "DescribeTable", map[string]string{"TableName": table}, &out)
	return out.Table.GlobalSecondaryIndexes, err
}

// equalToTable compares an index with what its table makes of it, both read whole,
// and returns the number of entries.
func equalToTable(ctx context.Context, endpoint, attribute string) (entries int, err error) {
	seed := maphash.MakeSeed()
	want, wantSum, err := sumItems(ctx, endpoint, seed, "", attribute)
	if err != nil {
		return 0, err
	}
	got, gotSum, err := sumItems(ctx, endpoint, seed, "index-"+attribute, attribute)
	if err != nil {
		return 0, err
	}
	if got != want || gotSum != wantSum {
		return 0, fmt.Errorf("index %s has %d entries of sum %x, its table makes %d of sum %x", attribute, got, gotSum, want, wantSum)
	}
	return got, nil
}

// sumItems reads a table or an index whole; it returns how many items have the
// attribute, and a sum over them in which their order does not count.
func sumItems(ctx context.Context, endpoint string, seed maphash.Seed, index, attribute string) (n int, sum uint64, err error) {
	in := map[string]any{"TableName": table}
	if index != "" {
		in["IndexName"] = index
	} else {
		in["ConsistentRead"] = true
	}
	for {
		var page struct {
			Items            []map[string]struct{ S, N string }
			LastEvaluatedKey json.RawMessage
		}
		if err := call(ctx, endpoint, "Scan", in, &page); err != nil {
			return 0, 0, err
		}
		for _, it := range page.Items {
			if value, found := it[attribute]; found {
				n++
				sum += maphash.String(seed, it["pk"].S+value.S+it["v"].S+fmt.Sprint(len(it)))
			}
		}
		if page.LastEvaluatedKey == nil {
			return n, sum, nil
		}
		in["ExclusiveStartKey"] = page.LastEvaluatedKey
	}
}
