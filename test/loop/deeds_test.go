package loop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// What the goroutines of a round do to the tables and their triggers.

// writer writes until it has done n operations or the life ends.
func (l *life) writer(rng *rand.Rand, n int) {
	for range n {
		select {
		case <-l.stop:
			return
		default:
		}
		if err := l.write(rng); err != nil {
			l.fail(err)
		}
		l.point()
		switch k := rng.IntN(20); {
		case k < 8:
		case k < 19:
			time.Sleep(time.Duration(rng.IntN(int(4 * time.Millisecond))))
		default:
			time.Sleep(time.Duration(rng.IntN(int(600 * time.Millisecond))))
		}
	}
}

// write makes one operation, and notes what it was told.
func (l *life) write(rng *rand.Rand) error {
	key := fmt.Sprintf("k%d", rng.IntN(8))
	value := fmt.Sprint(l.r.values.Add(1))
	a := ack{table: "orders", value: value}
	if rng.IntN(4) == 0 {
		a.table = "events"
	}
	l.note(func(order int) { a.begin = order })
	var err error
	switch rng.IntN(8) {
	case 0, 1, 2:
		err = l.put(a.table, key, value)
	case 3: // the same write twice: the second changes nothing
		if err = l.put(a.table, key, value); err == nil {
			err = l.put(a.table, key, value)
		}
	case 4:
		_, err = do(request.DecodePutItem, l.db.PutItem, `{"TableName":%q,"Item":{"pk":{"S":%q},"w":{"S":%q}},
			"ConditionExpression":"attribute_not_exists(pk)"}`, a.table, key, value)
	case 5:
		_, err = do(request.DecodeUpdateItem, l.db.UpdateItem, `{"TableName":%q,"Key":{"pk":{"S":%q}},"UpdateExpression":"SET w = :w",
			"ExpressionAttributeValues":{":w":{"S":%q}}}`, a.table, key, value)
	case 6:
		res, e := do(request.DecodeDeleteItem, l.db.DeleteItem, `{"TableName":%q,"Key":{"pk":{"S":%q}},"ReturnValues":"ALL_OLD"}`, a.table, key)
		if err = e; e == nil {
			if res.Attributes == nil {
				return nil
			}
			a.removed, a.value = true, res.Attributes.Get("w").Text()
		}
	case 7: // two items in one batch
		_, err = do(request.DecodeBatchWriteItem, l.db.BatchWriteItem, `{"RequestItems":{%q:[
			{"PutRequest":{"Item":{"pk":{"S":%q},"w":{"S":%q}}}},
			{"PutRequest":{"Item":{"pk":{"S":"%sx"},"w":{"S":"%sx"}}}}]}}`, a.table, key, value, key, value)
	}
	if e, ok := errors.AsType[*awserr.Error](err); ok && e.Code == "ConditionalCheckFailedException" {
		return nil
	}
	if err != nil {
		return err
	}
	a.logged = a.table == "orders" || !l.r.ended.Load()
	l.note(func(order int) {
		a.end = order
		l.acks = append(l.acks, a)
	})
	return nil
}

// settings are parameters of chance for a mapping.
func settings(rng *rand.Rand, s subscriber) mapping.Settings {
	out := mapping.Settings{
		BatchSize:                 new([]int{1, 2, 7, 100}[rng.IntN(4)]),
		ParallelizationFactor:     new([]int{1, 1, 3, 10}[rng.IntN(4)]),
		MaximumRetryAttempts:      new(s.retries),
		MaximumRecordAgeInSeconds: new(-1),
	}
	if rng.IntN(8) == 0 {
		out.MaximumBatchingWindowInSeconds = new(1)
	} else {
		out.MaximumBatchingWindowInSeconds = new(0)
	}
	return out
}

// create makes a mapping that is not there yet.
func (l *life) createMapping(rng *rand.Rand, s subscriber) {
	c := &created{}
	l.note(func(order int) {
		c.begin = order
		l.creates[s.function] = c
	})
	v, err := l.loop.create(l.r.arns[s.table], s.function, s.start, settings(rng, s), s.onFailure)
	if err != nil {
		l.fail(err)
		return
	}
	l.note(func(order int) {
		c.end = order
		l.gens[s.function] = v.Generation
	})
}

func (l *life) has(function string) (uuid string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for uuid, f := range l.uuids {
		if f == function {
			return uuid, true
		}
	}
	return "", false
}

// control makes control operations of chance until the life ends.
func (l *life) control(rng *rand.Rand) {
	for {
		select {
		case <-l.stop:
			return
		case <-time.After(time.Duration(rng.IntN(int(40 * time.Millisecond)))):
		}
		s := subscribers[rng.IntN(len(subscribers))]
		uuid, ok := l.has(s.function)
		if !ok {
			l.createMapping(rng, s)
			continue
		}
		set := settings(rng, s)
		switch k := rng.IntN(20); {
		case k < 6:
			set = mapping.Settings{Enabled: new(rng.IntN(2) == 0)}
		case k < 9:
			set.Enabled = new(true)
		case k == 9:
			l.endStream()
			continue
		case k < 12:
			l.split(rng)
			continue
		}
		l.update(uuid, s.function, set)
	}
}

func (l *life) update(uuid, function string, set mapping.Settings) {
	n := -1
	if set.Enabled != nil && !*set.Enabled {
		l.note(func(int) {
			n = len(l.changes)
			l.changes = append(l.changes, change{function: function, from: time.Now()})
		})
	}
	v, err := l.engine.Update(context.Background(), scope, uuid, set)
	if err != nil {
		l.fail(err)
		return
	}
	l.note(func(int) {
		l.gens[function] = v.Generation
		if n >= 0 {
			l.changes[n].to = time.Now()
		}
	})
}

// split gives a table one more shard, up to six.
func (l *life) split(rng *rand.Rand) {
	table := []string{"orders", "events"}[rng.IntN(2)]
	open := 0
	for _, sh := range l.streams.Get(l.r.arns[table]).Shards() {
		if _, closed := sh.End(); !closed {
			open++
		}
	}
	if table == "events" && l.ended || open >= 6 {
		return
	}
	ids, err := l.db.SplitShards(context.Background(), scope, table, "", open+1)
	if err != nil {
		l.fail(err)
		return
	}
	l.note(func(int) { l.shards[table] = ids; l.splits++ })
}

// endStream switches off the stream of events.
func (l *life) endStream() {
	if l.ended { // written by this goroutine only
		return
	}
	l.r.ended.Store(true)
	if _, err := do(request.DecodeUpdateTable, l.db.UpdateTable, `{"TableName":"events","StreamSpecification":{"StreamEnabled":false}}`); err != nil {
		l.fail(err)
		return
	}
	l.note(func(int) { l.ended = true })
}

const writers = 4
