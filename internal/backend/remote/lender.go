package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/backend"
)

// A Client is a Lender by Millstream's own protocol.

var _ Lender = (*Client)(nil)

// ownPath is where that is.
const ownPath = "/_millstream/v1/"

// own makes a request of Millstream's own protocol. Its errors are *wire.Error, or leave open what was done.
func (c *Client) own(ctx context.Context, method, path string, q url.Values, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if in == nil {
		body = nil
	}
	r, err := http.NewRequestWithContext(ctx, method, c.URL+ownPath+path+"?"+q.Encode(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("X-Millstream", "1")
	key, err := c.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, key, r, hex.EncodeToString(sum[:]), "millstream", c.Region, time.Now()); err != nil {
		return err
	}
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode == http.StatusOK {
		return json.Unmarshal(answer, out)
	}
	var failed struct{ Error *wire.Error }
	if json.Unmarshal(answer, &failed) != nil || failed.Error == nil {
		return fmt.Errorf("the tables' server answers %s to %s %s: %.200s", resp.Status, method, path, answer)
	}
	failed.Error.Status = resp.StatusCode
	return failed.Error
}

// refusedWith returns the code of an error of Millstream's own protocol.
func refusedWith(err error) string {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e.Code
	}
	return ""
}

// Lend implements Lender.
func (c *Client) Lend(ctx context.Context, uuid, stream, control string) (l Lent, err error) {
	scope, _, _, ok := arn.Stream(stream)
	if !ok {
		return l, ErrGone
	}
	var out wire.LentItems
	err = c.own(ctx, http.MethodPost, "items", nil, wire.LendItems{Trigger: uuid, Stream: stream, Account: scope.Account, Region: scope.Region, Table: control}, &out)
	switch refusedWith(err) {
	case "":
	case wire.NoStream:
		return l, ErrGone
	case wire.NoItems:
		return l, backend.ErrNoSnapshot
	case "NotFound":
		return l, &backend.Lacking{Why: "The server of the tables is of an earlier release, which keeps no items for triggers of nodes: bring it to this one first"}
	}
	if err != nil {
		return l, err
	}
	l = Lent{Items: out.Items, AtMS: out.AtMS, Places: map[string]LentPlace{}}
	if l.Last, err = number(out.Last); err != nil {
		return l, err
	}
	for _, p := range out.Shards {
		after, err := number(p.After)
		if err != nil {
			return l, err
		}
		l.Places[p.Shard] = LentPlace{After: after, Done: p.Done}
	}
	return l, nil
}

// Items implements Lender.
func (c *Client) Items(ctx context.Context, uuid, stream string, after uint64, limit int) (Items, error) {
	var out wire.LentPage
	err := c.own(ctx, http.MethodGet, "items/"+uuid, url.Values{"stream": {stream}, "after": {strconv.FormatUint(after, 10)}, "limit": {strconv.Itoa(limit)}}, nil, &out)
	switch refusedWith(err) {
	case wire.NoStream:
		err = ErrGone
	case "NotFound":
		err = ErrNotKept
	}
	return Items{Records: out.Records, End: out.End}, err
}

// EndLent implements Lender.
func (c *Client) EndLent(ctx context.Context, uuid string) error {
	return c.own(ctx, http.MethodDelete, "items/"+uuid, nil, nil, &struct{}{})
}
