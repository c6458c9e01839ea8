package table

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
)

// BenchmarkPutIndexed stores new items of 1 KiB, synced, in tables with 0, 1 and 5
// global indexes that project their keys.
func BenchmarkPutIndexed(b *testing.B) {
	for _, n := range []int{0, 1, 5} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newDiskWorld(b)
			attributes := `{"AttributeName":"pk","AttributeType":"S"}`
			var indexes []string
			for i := range n {
				attributes += fmt.Sprintf(`,{"AttributeName":"i%d","AttributeType":"S"}`, i)
				indexes = append(indexes, fmt.Sprintf(`{"IndexName":"idx%d","KeySchema":[{"AttributeName":"i%d","KeyType":"HASH"}],"Projection":{"ProjectionType":"KEYS_ONLY"}}`, i, i))
			}
			members := ""
			if n > 0 {
				members = `,"GlobalSecondaryIndexes":[` + strings.Join(indexes, ",") + `]`
			}
			w.must(b, "CreateTable", fmt.Sprintf(`{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[%s],
				"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}]%s}`, attributes, members))
			value := item.String(strings.Repeat("x", 900))
			ctx := context.Background()
			parallel(b, func(i int64) {
				id := item.String(fmt.Sprintf("%012d", i))
				it := item.NewItem([]item.Entry{{Name: "i0", Value: id}, {Name: "i1", Value: id}, {Name: "i2", Value: id}, {Name: "i3", Value: id}, {Name: "i4", Value: id},
					{Name: "pk", Value: id}, {Name: "v", Value: value}})
				if _, err := w.db.PutItem(ctx, scope, &request.PutItem{Common: request.Common{TableName: "tab"}, Item: it}); err != nil {
					b.Error(err)
				}
			})
		})
	}
}
