package table

import (
	"fmt"
	"testing"
)

// Tables are listed by name, those whose names have a text in them, with what a list shows.
func TestSummaries(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"zebras", "Orders", "old-orders", "invoices"} {
		w.must(t, "CreateTable", fmt.Sprintf(`{"TableName":%q,"BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}]}`, name))
	}
	w.must(t, "UpdateTimeToLive", `{"TableName":"Orders","TimeToLiveSpecification":{"AttributeName":"ends","Enabled":true}}`)
	w.must(t, "PutItem", `{"TableName":"Orders","Item":{"pk":{"S":"a"}}}`)
	list, all, err := w.db.Summaries(t.Context(), scope, "ORDERS", 1)
	if err != nil || all != 2 || len(list) != 1 || list[0].Name != "Orders" || list[0].TTL != "ends" || list[0].ItemCount != 1 {
		t.Errorf("%d of %d: %+v %v", len(list), all, list, err)
	}
	list, all, err = w.db.Summaries(t.Context(), scope, "", 10)
	if err != nil || all != 4 || len(list) != 4 || list[3].Name != "zebras" || list[3].TTL != "" {
		t.Errorf("%d of %d: %+v %v", len(list), all, list, err)
	}
	other := scope
	other.Account = "222222222222"
	if list, all, err = w.db.Summaries(t.Context(), other, "", 10); err != nil || all != 0 || len(list) != 0 {
		t.Errorf("%d of %d in another account: %v", len(list), all, err)
	}
}
