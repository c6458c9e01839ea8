package remote

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// Client is an Endpoint over HTTP: of DynamoDB's protocol what the rows need, and no more. It never tries twice: a second try that nobody
// knows of would be a write that may arrive at any time.
type Client struct {
	URL         string
	Region      string
	Credentials aws.CredentialsProvider
	HTTP        *http.Client
}

var _ Endpoint = (*Client)(nil)

const (
	tablesAPI  = "DynamoDB_20120810."
	streamsAPI = "DynamoDBStreams_20120810."
)

// failure is an error of the endpoint.
type failure struct {
	Code    string
	Message string
	Item    map[string]attribute
	Reasons []reason
}

// foreign is an answer that is none of DynamoDB's, as of a proxy in between.
type foreign struct {
	status int
	text   string
}

func (f *foreign) Error() string { return f.text }

// final reports whether it is the same each time.
func (f *foreign) final() bool {
	return f.status/100 == 4 && f.status != http.StatusRequestTimeout && f.status != http.StatusTooManyRequests
}

type reason struct {
	Code, Message string
	Item          map[string]json.RawMessage // of any kind
}

func (f *failure) Error() string { return f.Code + ": " + f.Message }

// attribute is a value of an item, as far as rows have some.
type attribute struct {
	S *string `json:",omitempty"`
	N *string `json:",omitempty"`
}

func text(s string) attribute      { return attribute{S: &s} }
func wholeOf(n uint64) attribute   { s := strconv.FormatUint(n, 10); return attribute{N: &s} }
func (a attribute) string() string { return *cmp.Or(a.S, a.N, new(string)) }

// maxRequest is DynamoDB's bound of a request; a server refuses what is longer, and may end the connection without a word.
const (
	maxRequest = 16 << 20
	tooLong    = "RequestTooLong"
)

// call makes one request. header has the answer's headers.
func (c *Client) call(ctx context.Context, service, operation string, in, out any, wait time.Duration) (header http.Header, err error) {
	var encoded bytes.Buffer
	e := json.NewEncoder(&encoded)
	e.SetEscapeHTML(false) // what functions write may be full of <, and would have six times the length
	if err := e.Encode(in); err != nil {
		return nil, err
	}
	body := encoded.Bytes()
	if len(body) > maxRequest {
		return nil, &failure{Code: tooLong, Message: fmt.Sprintf("%s of %d bytes; a request has at most %d", operation, len(body), maxRequest)}
	}
	to := c.URL
	if service == streamsAPI {
		to = streamsAt(to)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", service+operation)
	if service == streamsAPI {
		r.Header.Set("X-Millstream-Wait", strconv.FormatInt(wait.Milliseconds(), 10))
	}
	key, err := c.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, key, r, hex.EncodeToString(sum[:]), "dynamodb", c.Region, time.Now()); err != nil {
		return nil, err
	}
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		var f struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
			Upper   string `json:"Message"`
			Item    map[string]attribute
			Reasons []reason `json:"CancellationReasons"`
		}
		if err := json.Unmarshal(answer, &f); err != nil || f.Type == "" {
			return nil, &foreign{resp.StatusCode, fmt.Sprintf("the tables' endpoint answers %s to %s: %.200s", resp.Status, operation, answer)}
		}
		return nil, &failure{Code: f.Type[strings.LastIndex(f.Type, "#")+1:], Message: cmp.Or(f.Message, f.Upper), Item: f.Item, Reasons: f.Reasons}
	}
	if len(answer) == 0 { // as to TagResource
		return resp.Header, nil
	}
	return resp.Header, json.Unmarshal(answer, out)
}

// streamsAt is where the streams of tables at a URL are: Amazon's are at a host of their own.
func streamsAt(tables string) string {
	scheme, host, _ := strings.Cut(tables, "://")
	if name, _, _ := strings.Cut(host, ":"); strings.HasPrefix(name, "dynamodb.") && (strings.HasSuffix(name, ".amazonaws.com") || strings.HasSuffix(name, ".amazonaws.com.cn")) {
		return scheme + "://streams." + host
	}
	return tables
}

// Do makes a request of DynamoDB that is about no row.
func (c *Client) Do(ctx context.Context, operation string, in, out any) error {
	if out == nil {
		out = &struct{}{}
	}
	_, err := c.call(ctx, tablesAPI, operation, in, out, 0)
	return err
}

// CodeOf is the code of an error that the endpoint has answered, such as ResourceInUseException; empty: it is none.
func CodeOf(err error) string { return codeOf(err) }

func codeOf(err error) string {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.Code
	}
	return ""
}

// Row's attributes.
const (
	attrP, attrS, attrV, attrW, attrData, attrBody, attrUntil = "p", "s", "v", "w", "d", "b", "x"
)

func rowOf(item map[string]attribute) (r Row, err error) {
	r = Row{P: item[attrP].string(), S: item[attrS].string(), W: item[attrW].string(), Data: item[attrData].string(), Body: item[attrBody].string()}
	if r.V, err = strconv.ParseUint(item[attrV].string(), 10, 64); err != nil {
		err = fmt.Errorf("remote: the row %s / %s has no version", r.P, r.S)
	}
	return r, err
}

// Put implements Endpoint.
func (c *Client) Put(ctx context.Context, table string, r Row, v uint64) error {
	operation, in := "PutItem", map[string]any{"TableName": table, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
	values := map[string]attribute{}
	switch {
	case v == 0:
		in["ConditionExpression"] = "attribute_not_exists(p)"
	default:
		in["ConditionExpression"], values[":v"] = "v = :v", wholeOf(v)
	}
	if r.KeepBody {
		operation, in["Key"] = "UpdateItem", map[string]attribute{attrP: text(r.P), attrS: text(r.S)}
		in["UpdateExpression"] = "SET v = :new, w = :w, d = :d"
		values[":new"], values[":w"], values[":d"] = wholeOf(r.V), text(r.W), text(r.Data)
	} else {
		in["Item"] = itemOf(r)
	}
	if len(values) > 0 {
		in["ExpressionAttributeValues"] = values
	}
	_, err := c.call(ctx, tablesAPI, operation, in, &struct{}{}, 0)
	return conditional(err)
}

func itemOf(r Row) map[string]attribute {
	item := map[string]attribute{attrP: text(r.P), attrS: text(r.S), attrV: wholeOf(r.V), attrW: text(r.W), attrData: text(r.Data)}
	if r.Body != "" {
		item[attrBody] = text(r.Body)
	}
	if r.Until != 0 {
		item[attrUntil] = wholeOf(uint64(r.Until))
	}
	return item
}

// conditional tells a condition that did not hold from other errors.
func conditional(err error) error {
	f, ok := errors.AsType[*failure](err)
	if !ok || f.Code != "ConditionalCheckFailedException" {
		return err
	}
	if len(f.Item) == 0 {
		return &Refused{}
	}
	now, err := rowOf(f.Item)
	if err != nil {
		return err
	}
	return &Refused{Now: &now}
}

// Delete implements Endpoint.
func (c *Client) Delete(ctx context.Context, table, p, s string, v uint64) error {
	in := map[string]any{"TableName": table, "Key": map[string]attribute{attrP: text(p), attrS: text(s)}}
	if v > 0 {
		in["ConditionExpression"], in["ReturnValuesOnConditionCheckFailure"] = "attribute_not_exists(p) OR v = :v", "ALL_OLD"
		in["ExpressionAttributeValues"] = map[string]attribute{":v": wholeOf(v)}
	}
	_, err := c.call(ctx, tablesAPI, "DeleteItem", in, &struct{}{}, 0)
	return conditional(err)
}

// Part implements Endpoint.
func (c *Client) Part(ctx context.Context, table, p, from string, limit int, heads bool) (rows []Row, next string, err error) {
	in := map[string]any{"TableName": table, "ConsistentRead": true, "KeyConditionExpression": "p = :p", "Limit": limit}
	values := map[string]attribute{":p": text(p)}
	if from != "" {
		in["KeyConditionExpression"], values[":s"] = "p = :p AND s >= :s", text(from)
	}
	in["ExpressionAttributeValues"] = values
	if heads {
		in["ProjectionExpression"] = "p, s, v, w, d"
	}
	var out struct {
		Items            []map[string]attribute
		LastEvaluatedKey map[string]attribute
	}
	if _, err := c.call(ctx, tablesAPI, "Query", in, &out, 0); err != nil {
		return nil, "", err
	}
	for _, item := range out.Items {
		r, err := rowOf(item)
		if err != nil {
			return nil, "", err
		}
		rows = append(rows, r)
	}
	if last, more := out.LastEvaluatedKey[attrS]; more {
		next = last.string() + " " // the least text behind it that a key may be: none has a blank
	}
	return rows, next, nil
}

// Query implements Endpoint.
func (c *Client) Query(ctx context.Context, table, p, s string) (rows []Row, err error) {
	in := map[string]any{
		"TableName": table, "ConsistentRead": true, "KeyConditionExpression": "p = :p",
	}
	values := map[string]attribute{":p": text(p)}
	if s != "" {
		in["KeyConditionExpression"], values[":s"] = "p = :p AND s = :s", text(s)
	}
	in["ExpressionAttributeValues"] = values
	for {
		var out struct {
			Items            []map[string]attribute
			LastEvaluatedKey map[string]attribute
		}
		if _, err := c.call(ctx, tablesAPI, "Query", in, &out, 0); err != nil {
			return nil, err
		}
		for _, item := range out.Items {
			r, err := rowOf(item)
			if err != nil {
				return nil, err
			}
			rows = append(rows, r)
		}
		if len(out.LastEvaluatedKey) == 0 {
			return rows, nil
		}
		in["ExclusiveStartKey"] = out.LastEvaluatedKey
	}
}

// Transact implements Endpoint.
func (c *Client) Transact(ctx context.Context, items []json.RawMessage, rows []Written) error {
	return c.transact(ctx, tablesAPI, map[string]any{}, items, rows)
}

// TransactSending implements Sender.
func (c *Client) TransactSending(ctx context.Context, items []json.RawMessage, messages json.RawMessage, rows []Written) error {
	err := c.transact(ctx, strings.TrimSuffix(wire.SendingTarget, transactWrite), map[string]any{"SendMessages": messages}, items, rows)
	if u, is := errors.AsType[*Unwritable](err); is && u.code == "UnknownOperationException" {
		return &Unwritable{Messages: true, Why: "the server of the tables (serve --tables) is of an earlier release, which does not take messages from nodes: bring it to this one first"}
	}
	if f, is := errors.AsType[*foreign](err); is && f.final() { // what lets the other operations through
		return &Unwritable{Messages: true, Why: f.text + " (what stands in front of the server of the tables is to let requests with the target " + wire.SendingTarget + " through)"}
	}
	return err
}

const transactWrite = "TransactWriteItems"

// transact makes a transaction of items and rows with what in has.
func (c *Client) transact(ctx context.Context, service string, in map[string]any, items []json.RawMessage, rows []Written) error {
	all := make([]any, 0, len(items)+len(rows))
	for _, i := range items {
		all = append(all, i)
	}
	for _, w := range rows {
		all = append(all, map[string]any{"Put": map[string]any{
			"TableName": w.Table, "Item": itemOf(w.Row), "ConditionExpression": "v = :v", "ExpressionAttributeValues": map[string]attribute{":v": wholeOf(w.V)},
			"ReturnValuesOnConditionCheckFailure": "ALL_OLD",
		}})
	}
	in["TransactItems"] = all
	_, err := c.call(ctx, service, transactWrite, in, &struct{}{}, 0)
	f, is := errors.AsType[*failure](err)
	if !is {
		return err
	}
	switch f.Code {
	case "TransactionCanceledException":
		cancelled := &Cancelled{}
		for i, r := range f.Reasons {
			one := Reason{Code: r.Code, Message: r.Message}
			if i >= len(items) && len(r.Item) > 0 {
				item := map[string]attribute{}
				for name, text := range r.Item {
					var a attribute
					if err := json.Unmarshal(text, &a); err != nil {
						return err
					}
					item[name] = a
				}
				now, err := rowOf(item)
				if err != nil {
					return err
				}
				one.Now = &now
			}
			cancelled.Reasons = append(cancelled.Reasons, one)
		}
		return cancelled
	case "ValidationException", "AccessDeniedException", "ResourceNotFoundException", "SerializationException", "UnknownOperationException", tooLong:
		return &Unwritable{Why: f.Error(), code: f.Code}
	case wire.MessagesRefused:
		return &Unwritable{Why: f.Message, Messages: true}
	}
	return err
}

// Describe implements Endpoint. It asks for all pages.
func (c *Client) Describe(ctx context.Context, arn string) (d Described, err error) {
	in := map[string]any{"StreamArn": arn}
	for {
		var out struct {
			StreamDescription struct {
				TableName            string
				LastEvaluatedShardID string `json:"LastEvaluatedShardId"`
				Shards               []struct {
					ShardID             string `json:"ShardId"`
					ParentShardID       string `json:"ParentShardId"`
					SequenceNumberRange struct{ StartingSequenceNumber, EndingSequenceNumber string }
				}
			}
		}
		_, err := c.call(ctx, streamsAPI, "DescribeStream", in, &out, 0)
		if codeOf(err) == "ResourceNotFoundException" {
			return d, ErrGone
		}
		if err != nil {
			return d, err
		}
		d.Table = out.StreamDescription.TableName
		for _, s := range out.StreamDescription.Shards {
			d.Shards = append(d.Shards, DescribedShard{
				ID: s.ShardID, Parent: s.ParentShardID, Start: s.SequenceNumberRange.StartingSequenceNumber, Closed: s.SequenceNumberRange.EndingSequenceNumber != "",
			})
		}
		if out.StreamDescription.LastEvaluatedShardID == "" {
			return d, nil
		}
		in["ExclusiveStartShardId"] = out.StreamDescription.LastEvaluatedShardID
	}
}

// recordPrefix begins a place for Iterator, of a Client only: the record of the number that follows.
const recordPrefix = "RECORD "

// Iterator implements Endpoint.
func (c *Client) Iterator(ctx context.Context, arn, shard, at string) (string, error) {
	in := map[string]any{"StreamArn": arn, "ShardId": shard, "ShardIteratorType": at}
	if ms, is := strings.CutPrefix(at, timePrefix); is {
		in["ShardIteratorType"], in["Timestamp"] = "AT_TIMESTAMP", json.Number(ms+"e-3")
	} else if number, is := strings.CutPrefix(at, recordPrefix); is {
		in["ShardIteratorType"], in["SequenceNumber"] = "AT_SEQUENCE_NUMBER", number
	} else if at != TrimHorizon && at != Latest {
		in["ShardIteratorType"], in["SequenceNumber"] = "AFTER_SEQUENCE_NUMBER", at
	}
	var out struct{ ShardIterator string }
	_, err := c.call(ctx, streamsAPI, "GetShardIterator", in, &out, 0)
	return out.ShardIterator, certain(err)
}

// Records implements Endpoint.
func (c *Client) Records(ctx context.Context, iterator string, limit int, wait time.Duration) (p Records, err error) {
	var out struct {
		Records           []json.RawMessage
		NextShardIterator string
	}
	header, err := c.call(ctx, streamsAPI, "GetRecords", map[string]any{"ShardIterator": iterator, "Limit": limit}, &out, wait)
	if err != nil {
		return p, certain(err)
	}
	clock := time.Now()
	if told, err := http.ParseTime(header.Get("Date")); err == nil {
		clock = told
	}
	return Records{After: header.Get("X-Millstream-After"), Records: out.Records, Next: out.NextShardIterator, Clock: clock.Unix()}, nil
}

func certain(err error) error {
	switch codeOf(err) {
	case "ResourceNotFoundException":
		return ErrGone
	case "TrimmedDataAccessException":
		return ErrTrimmed
	case "ExpiredIteratorException":
		return ErrExpired
	}
	return err
}

// MakeTables makes a backend's tables, unless they are there, before it runs.
func (c *Client) MakeTables(ctx context.Context, b *Backend) error {
	for _, name := range []string{b.control, b.progress, b.bell} {
		in := map[string]any{
			"TableName": name, "BillingMode": "PAY_PER_REQUEST", "DeletionProtectionEnabled": true, // functions and positions would go with them
			"AttributeDefinitions": []map[string]string{{"AttributeName": attrP, "AttributeType": "S"}, {"AttributeName": attrS, "AttributeType": "S"}},
			"KeySchema":            []map[string]string{{"AttributeName": attrP, "KeyType": "HASH"}, {"AttributeName": attrS, "KeyType": "RANGE"}},
		}
		if name == b.bell {
			in["StreamSpecification"] = map[string]any{"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}
		}
		if _, err := c.call(ctx, tablesAPI, "CreateTable", in, &struct{}{}, 0); err != nil && codeOf(err) != "ResourceInUseException" {
			return fmt.Errorf("the table %s at %s cannot be made: %w", name, c.URL, err)
		}
		for protected := false; ; {
			var out struct {
				Table struct {
					TableStatus, LatestStreamArn string
					DeletionProtectionEnabled    bool
					KeySchema                    []struct{ AttributeName, KeyType string }
					AttributeDefinitions         []struct{ AttributeName, AttributeType string }
				}
			}
			if _, err := c.call(ctx, tablesAPI, "DescribeTable", map[string]any{"TableName": name}, &out, 0); err != nil {
				return fmt.Errorf("the table %s at %s cannot be looked at: %w", name, c.URL, err)
			}
			found := &out.Table
			if keys := fmt.Sprint(found.KeySchema); keys != "[{"+attrP+" HASH} {"+attrS+" RANGE}]" || slices.ContainsFunc(found.AttributeDefinitions, func(a struct{ AttributeName, AttributeType string }) bool {
				return (a.AttributeName == attrP || a.AttributeName == attrS) && a.AttributeType != "S"
			}) {
				return fmt.Errorf("the table %s at %s is not one of nodes: its keys are %s, and nodes want the texts %s and %s; name another --table-prefix", name, c.URL, keys, attrP, attrS)
			}
			if found.TableStatus != "ACTIVE" {
				// it is looked at again
			} else if found.DeletionProtectionEnabled || protected {
				if !b.o.Polled { // a look costs less than polls
					b.bellStream = found.LatestStreamArn
				}
				if err := c.expire(ctx, name); err != nil {
					return fmt.Errorf("the table %s at %s cannot be told which rows it may remove: %w", name, c.URL, err)
				}
				break
			} else if _, err := c.call(ctx, tablesAPI, "UpdateTable", map[string]any{"TableName": name, "DeletionProtectionEnabled": true}, &struct{}{}, 0); err != nil && codeOf(err) != "ResourceInUseException" {
				return fmt.Errorf("the table %s at %s cannot be protected from deletion: %w", name, c.URL, err)
			} else {
				protected = b.o.Polled // there are engines that do not know of it
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// Probe finds out whether an engine that is no Millstream does what nodes rely on, once the tables are there. Without conditional writes it is an
// error; without transactions the settings that take some are refused, see Lacks.
func (c *Client) Probe(ctx context.Context, b *Backend) error {
	row := Row{P: "probe", S: nonce(), V: 1, W: nonce(), Data: "{}", Until: time.Now().Add(time.Hour).Unix()}
	if err := c.Put(ctx, b.progress, row, 0); err != nil {
		return fmt.Errorf("a row cannot be written to the table %s at %s: %w", b.progress, c.URL, err)
	}
	defer func() { _ = c.Delete(context.WithoutCancel(ctx), b.progress, row.P, row.S, 0) }() // else it goes by its time
	err := c.Put(ctx, b.progress, row, 0)
	if refused, is := errors.AsType[*Refused](err); !is || refused.Now == nil || refused.Now.W != row.W {
		return fmt.Errorf("nodes cannot work over %s: a write whose condition does not hold is to be refused, with the item that is there, and was answered %v", c.URL, err)
	}
	next := row
	next.V = 2
	once := func() error { return c.Transact(ctx, nil, []Written{{Table: b.progress, Row: next, V: 1}}) }
	if err = once(); err == nil {
		if err = once(); err == nil {
			err = errors.New("one whose condition does not hold is made")
		} else if _, is := errors.AsType[*Cancelled](err); is {
			return nil
		}
	}
	b.untransacted.Store(true)
	b.o.Log.Warn("the tables' engine does not make transactions as nodes need them: mappings with millstream:exactly-once are refused", "error", err)
	return nil
}

// expire has a table remove rows that are past their time.
func (c *Client) expire(ctx context.Context, table string) error {
	var out struct {
		TimeToLiveDescription struct{ TimeToLiveStatus string }
	}
	if _, err := c.call(ctx, tablesAPI, "DescribeTimeToLive", map[string]any{"TableName": table}, &out, 0); err != nil || out.TimeToLiveDescription.TimeToLiveStatus != "DISABLED" {
		return err
	}
	in := map[string]any{"TableName": table, "TimeToLiveSpecification": map[string]any{"Enabled": true, "AttributeName": attrUntil}}
	_, err := c.call(ctx, tablesAPI, "UpdateTimeToLive", in, &struct{}{}, 0)
	if codeOf(err) == "ValidationException" { // another node was quicker
		return nil
	}
	return err
}

// Tags are those of the table of a stream. A table that was deleted has none, though its stream can be read for a day.
func (c *Client) Tags(ctx context.Context, tableARN string) (map[string]string, error) {
	tags, in := map[string]string{}, map[string]any{"ResourceArn": tableARN}
	for {
		var out struct {
			Tags      []struct{ Key, Value string }
			NextToken string
		}
		if _, err := c.call(ctx, tablesAPI, "ListTagsOfResource", in, &out, 0); err != nil {
			if code := codeOf(err); code == "ResourceNotFoundException" || code == "AccessDeniedException" && c.gone(ctx, tableARN) {
				return nil, nil
			}
			return nil, err
		}
		for _, t := range out.Tags {
			tags[t.Key] = t.Value
		}
		if out.NextToken == "" {
			return tags, nil
		}
		in["NextToken"] = out.NextToken
	}
}

// gone reports whether there certainly is no such table: of its tags an endpoint says the same as of those that the caller may not see.
func (c *Client) gone(ctx context.Context, tableARN string) bool {
	_, err := c.call(ctx, tablesAPI, "DescribeTable", map[string]any{"TableName": tableARN}, &struct{}{}, 0)
	return codeOf(err) == "ResourceNotFoundException"
}
