package examples

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"
)

// The books are exact, though each payment is called back three times.
func TestPaymentCallback(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.pay(0, payments)
	p.settle()
	p.check(payments)
	t.Logf("answered: %s", p.took)
}

// And though the server is killed in the middle.
func TestPaymentCallbackKilled(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	for round := range 2 {
		p.pay(round*payments/2, (round+1)*payments/2)
		if round == 0 {
			p.kill()
			p.start()
		}
	}
	p.settle()
	p.check(payments)
}

const payments = 120

// provider is a stand-in for the payment provider, and the application.
type provider struct {
	*app
	mu   sync.Mutex
	took times
}

func newProvider(t *testing.T) *provider {
	return &provider{app: serve(t, "payment-callback", "template.yaml", []string{nodeModules(t, "@aws-sdk/client-dynamodb")})}
}

func amount(n int) int      { return n%7 + 1 }
func invoice(n int) string  { return fmt.Sprint("i-", n%20) }
func customer(n int) string { return fmt.Sprint("c-", n%10) }

// pay calls payments back, each three times.
func (p *provider) pay(from, to int) {
	p.t.Helper()
	const callers = 2
	var calling sync.WaitGroup
	for c := range callers {
		calling.Go(func() {
			for n := from + c; n < to; n += callers {
				for range 3 {
					start := time.Now()
					p.call(http.MethodPost, "/payments", map[string]any{
						"payment": fmt.Sprint("p-", n), "invoice": invoice(n), "customer": customer(n), "amount": amount(n),
					}, 204, nil)
					p.mu.Lock()
					p.took = append(p.took, time.Since(start))
					p.mu.Unlock()
				}
			}
		})
	}
	calling.Wait()
}

// check compares the books with n payments.
func (p *provider) check(n int) {
	p.t.Helper()
	paid, months := map[string]int{}, map[string]int{}
	for i := range n {
		paid[invoice(i)] += amount(i)
		months[customer(i)]++
	}
	if got := len(p.scan("Ledger")); got != n {
		p.t.Errorf("the ledger has %d payments of %d", got, n)
	}
	for table, c := range map[string]struct {
		key, sum string
		want     map[string]int
	}{"Invoices": {"invoice", "paid", paid}, "Entitlements": {"customer", "months", months}} {
		items := p.scan(table)
		if len(items) != len(c.want) {
			p.t.Errorf("%s has %d items, want %d", table, len(items), len(c.want))
		}
		for _, it := range items {
			if got := text(it[c.sum]); got != strconv.Itoa(c.want[text(it[c.key])]) {
				p.t.Errorf("%s %s: %s, want %d", table, text(it[c.key]), got, c.want[text(it[c.key])])
			}
		}
	}
}
