package app

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/millstreamdb/millstream/internal/backend/remote"
)

// Probed is what an endpoint of DynamoDB was found to do.
type Probed = remote.Probed

// Verify finds out what an endpoint can do of what nodes need (serve --tables), with a table of its own that it removes.
func Verify(ctx context.Context, url, region string, report func(Probed)) error {
	keys, err := chainOf(DefaultAccount)
	if err != nil {
		return err
	}
	return remote.Verify(ctx, &remote.Client{URL: strings.TrimSuffix(url, "/"), Region: cmp.Or(region, DefaultRegion), Credentials: keys, HTTP: http.DefaultClient}, report)
}
