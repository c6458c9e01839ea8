package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// OwnTables are tables that are made to try an endpoint, and removed. Their names have a part that nobody else's have.
type OwnTables struct {
	c      *Client
	prefix string
	names  []string
}

// OwnTables are none yet.
func (c *Client) OwnTables() *OwnTables {
	return &OwnTables{c: c, prefix: "millstream-verify-" + strings.ToLower(nonce()) + "-"}
}

// Prefix begins their names.
func (o *OwnTables) Prefix() string { return o.prefix }

// NewTable has keys that are texts; Sort and Stream may be empty.
type NewTable struct{ Partition, Sort, Stream string }

// ownFor is how long a table may take to be made, or to be removed. Neither ends with who asks for it: it would be there, and nobody would know.
const ownFor = 2 * time.Minute

// Make makes a table, and waits until it is there.
func (o *OwnTables) Make(ctx context.Context, name string, t NewTable) (whole, streamARN string, err error) {
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownFor)
	defer cancel()
	whole = o.prefix + name
	var attributes, keys []map[string]string
	for _, k := range []struct{ name, kind string }{{t.Partition, "HASH"}, {t.Sort, "RANGE"}} {
		if k.name != "" {
			attributes = append(attributes, map[string]string{"AttributeName": k.name, "AttributeType": "S"})
			keys = append(keys, map[string]string{"AttributeName": k.name, "KeyType": k.kind})
		}
	}
	in := map[string]any{"TableName": whole, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": attributes, "KeySchema": keys}
	if t.Stream != "" {
		in["StreamSpecification"] = map[string]any{"StreamEnabled": true, "StreamViewType": t.Stream}
	}
	err = o.c.Do(ctx, "CreateTable", in, nil)
	if !refusals[codeOf(err)] { // it is there, or may be: an engine that answers of an error of its own may have made it
		o.names = append(o.names, whole)
	}
	if err != nil {
		return "", "", fmt.Errorf("a table cannot be made: %w", err)
	}
	streamARN, err = o.c.active(ctx, whole)
	return whole, streamARN, err
}

// refusals are answers after which no table was made, and none is to be removed: who may not make one may not do that either.
var refusals = map[string]bool{
	"AccessDeniedException": true, "ExpiredTokenException": true, "IncompleteSignatureException": true, "InvalidSignatureException": true, "MissingAuthenticationTokenException": true,
	"UnknownOperationException": true, "UnrecognizedClientException": true, "ValidationException": true,
}

// MakeNodes makes the tables of a backend, whose prefix is that of these.
func (o *OwnTables) MakeNodes(ctx context.Context, b *Backend) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownFor)
	defer cancel()
	o.names = append(o.names, b.control, b.progress, b.bell)
	return o.c.MakeTables(ctx, b)
}

// active waits until a table is, and tells its stream.
func (c *Client) active(ctx context.Context, table string) (streamARN string, err error) {
	for {
		var out struct {
			Table struct {
				TableStatus, LatestStreamArn string
			}
		}
		if err := c.Do(ctx, "DescribeTable", map[string]any{"TableName": table}, &out); err != nil {
			return "", err
		}
		if out.Table.TableStatus == "ACTIVE" {
			return out.Table.LatestStreamArn, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return "", fmt.Errorf("the table %s is %s: %w", table, out.Table.TableStatus, ctx.Err())
		}
	}
}

// Remove removes all that were made, also when ctx is over. Its error names those that are left.
func (o *OwnTables) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownFor)
	defer cancel()
	errs := make([]error, len(o.names))
	var all sync.WaitGroup
	for i, name := range o.names {
		all.Go(func() {
			if err := o.c.drop(ctx, name); err != nil {
				errs[i] = fmt.Errorf("the table %s is left there: %w", name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// drop removes a table, also one that is protected, or is being changed.
func (c *Client) drop(ctx context.Context, name string) error {
	for refused := 0; ; {
		err := c.Do(ctx, "DeleteTable", map[string]any{"TableName": name}, nil)
		switch codeOf(err) {
		case "ResourceInUseException", "LimitExceededException", "ThrottlingException": // later
		case "ResourceNotFoundException":
			return nil
		default:
			if err == nil {
				return nil
			}
			if refused++; refused == 3 {
				return err
			}
			// One that is not protected may refuse this, and engines that know of no protection do.
			_ = c.Do(ctx, "UpdateTable", map[string]any{"TableName": name, "DeletionProtectionEnabled": false}, nil)
			if refused == 1 {
				continue
			}
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return err
		}
	}
}
