package admin

import (
	"context"
	"net/url"
	"strconv"
)

// Try calls each for the last records of a table's stream, oldest first, with whether one of the filters takes them. What is
// suspicious about the filters comes first, on a Trial without a record.
func (c *Client) Try(ctx context.Context, table string, filters []string, last int, each func(Trial) error) error {
	q := url.Values{"table": {table}, "filter": filters, "last": {strconv.Itoa(last)}}
	return lines(ctx, c, "try", q, nil, each)
}
