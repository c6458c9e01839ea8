package bench

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// An item of the load is 1 KiB by DynamoDB's rules: a key of 16 digits and one
// text.
const (
	keyDigits = 16
	itemBytes = 1024
)

var filler = strings.Repeat("x", itemBytes-keyDigits-len("pk")-len("v"))

// puts returns a source of PutItem requests of client, each with its own key:
// the digits are changed in place in one message.
func puts(host, table string, client int) func(n int) []byte {
	return fields(host, "PutItem", `{"TableName":"`+table+`","Item":`+keyItem+`}`, client, func(n, _ int) int { return n })
}

// noisyPuts is puts whose texts nothing can compress to less than three quarters, for what is about the bytes on the disk.
func noisyPuts(host, table string, client int) func(n int) []byte {
	request := puts(host, table, client)
	return func(n int) []byte {
		all := request(n)
		at := bytes.LastIndex(all, []byte(`"}}}`)) - len(filler)
		copy(all[at:], noiseOf(uint64(n)*64 + uint64(client))[:len(filler)])
		return all
	}
}

// noise is some text of random letters and digits, of which each item has a piece.
var noise = sync.OnceValue(func() []byte {
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]byte, 4<<20)
	for i := range all {
		all[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[random.IntN(64)]
	}
	return all
})

// noiseOf is the piece of an item: as much as an item and its record have.
func noiseOf(item uint64) []byte {
	at := item * 0x9e3779b97f4a7c15 % (4<<20 - 2*itemBytes)
	return noise()[at : at+2*itemBytes]
}

// gets is puts for consistent GetItem requests over the first known keys of the
// client, in an order that is not the written one.
func gets(host, table string, client, known int) func(n int) []byte {
	body := `{"TableName":"` + table + `","Key":{"pk":{"S":"` + mark + `"}},"ConsistentRead":true}`
	return fields(host, "GetItem", body, client, func(n, _ int) int { return n * 7919 % known })
}

// writeKey writes 4 digits of the client and 12 of n.
func writeKey(dst []byte, client, n int) {
	for i := keyDigits - 1; i >= 4; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
	for i := 3; i >= 0; i-- {
		dst[i] = byte('0' + client%10)
		client /= 10
	}
}

// makeTable creates a table and waits until it is ready; it returns the ARN of
// its stream, empty without one.
func makeTable(ctx context.Context, endpoint, name string, stream bool) (streamARN string, err error) {
	in := map[string]any{
		"TableName": name, "BillingMode": "PAY_PER_REQUEST",
		"KeySchema":            []map[string]string{{"AttributeName": "pk", "KeyType": "HASH"}},
		"AttributeDefinitions": []map[string]string{{"AttributeName": "pk", "AttributeType": "S"}},
	}
	if stream {
		in["StreamSpecification"] = map[string]any{"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}
	}
	if err := call(ctx, endpoint, "CreateTable", in, nil); err != nil {
		return "", err
	}
	return awaitActive(ctx, endpoint, name)
}

// awaitActive waits until a table and its indexes are ready; it returns the ARN of
// the table's stream.
func awaitActive(ctx context.Context, endpoint, name string) (streamARN string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute) // an index of a million items is filled meanwhile
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		var out struct {
			Table struct {
				TableStatus, LatestStreamArn string
				GlobalSecondaryIndexes       []struct{ IndexStatus string }
			}
		}
		if err := call(ctx, endpoint, "DescribeTable", map[string]string{"TableName": name}, &out); err != nil {
			return "", err
		}
		ready := out.Table.TableStatus == "ACTIVE"
		for _, index := range out.Table.GlobalSecondaryIndexes {
			ready = ready && index.IndexStatus == "ACTIVE"
		}
		if ready {
			return out.Table.LatestStreamArn, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("table %s or an index of it is not ACTIVE: %w", name, ctx.Err())
		case <-poll.C:
		}
	}
}
