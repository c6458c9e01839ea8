package app

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/backend/remote"
	"github.com/millstreamdb/millstream/internal/server"
	"github.com/millstreamdb/millstream/internal/storm"
)

// Probed is what an endpoint of DynamoDB was found to do.
type Probed = remote.Probed

// StormProgress is told while the storm lasts.
type StormProgress = storm.Progress

// StormCalls are calls of one kind that the nodes made.
type StormCalls struct {
	Operation string  `json:"operation"`
	Calls     uint64  `json:"calls"`
	Refused   uint64  `json:"refused"` // a condition did not hold, as a rule
	Failed    uint64  `json:"failed"`
	PerSecond float64 `json:"perSecond"`
}

// StormReport is what a storm over an endpoint has found.
type StormReport struct {
	storm.Report
	NewShards int          `json:"newShards"` // that the stream has got meanwhile
	Splits    int          `json:"splits"`    // of shards that were asked for
	NotSplit  string       `json:"notSplit,omitempty"`
	Cost      StormCost    `json:"cost"`
	Calls     []StormCalls `json:"calls"`
}

// VerifyOptions of Verify.
type VerifyOptions struct {
	URL, Region string
	Storm       time.Duration // 0: only probes
	Rate        int           // writes a second in the storm
	Lease       time.Duration // of its nodes
	Probed      func(Probed)
	Begins      func(prefix string, dollars float64) // the storm, over tables whose names begin so; what it would cost on Amazon DynamoDB, about
	Progress    func(StormProgress)

	patience time.Duration
	over     func() // is called when the storm writes no more
}

// Verify finds out what an endpoint can do of what nodes need (serve --tables), with tables of its own that it removes, and unless something is missing without
// which nodes do not work, has some work there in a storm. The report is nil when there was none.
func Verify(ctx context.Context, o VerifyOptions) (lacks int, r *StormReport, err error) {
	keys, err := chainOf(DefaultAccount)
	if err != nil {
		return 0, nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost, transport.DisableCompression, transport.ResponseHeaderTimeout = 256, true, time.Minute
	if transport.TLSClientConfig, err = trusted(os.Getenv("AWS_CA_BUNDLE")); err != nil {
		return 0, nil, err
	}
	client := &remote.Client{URL: strings.TrimSuffix(o.URL, "/"), Region: cmp.Or(o.Region, DefaultRegion), Credentials: keys, HTTP: &http.Client{Transport: transport}}
	transactions := false
	if err := remote.Verify(ctx, client, func(f Probed) {
		if !f.Has && f.Required {
			lacks++
		}
		transactions = transactions || f.Has && f.What == remote.ProbedTransactions
		o.Probed(f)
	}); err != nil || lacks > 0 || o.Storm == 0 {
		return lacks, nil, err
	}
	foreign, err := (&node{client: client, log: slog.New(slog.DiscardHandler)}).isForeign(ctx, server.AuthOff)
	if err != nil {
		return 0, nil, err
	}
	r, err = runStorm(ctx, client, foreign, o, transactions)
	return 0, r, err
}
