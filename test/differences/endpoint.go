package differences

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// endpoint is one server as one account sees it.
type endpoint struct {
	url     string
	account string // an access key of 12 digits: each has tables of its own with Millstream
	memory  object // what refs stand for
	salt    string // ends the tokens of transactions, so that none was seen before
	http    *http.Client
}

func newEndpoint(url string, account int, client *http.Client) *endpoint {
	return &endpoint{url: url, account: fmt.Sprintf("%012d", account), memory: object{}, http: client}
}

// forget drops what the endpoint has answered. It knows the ARN of a table that is
// not there.
func (e *endpoint) forget() {
	e.memory = object{"arn:no-such-table": "arn:aws:dynamodb:us-east-1:" + e.account + ":table/no-such-table"}
}

// maxPages bounds a whole answer; the tables of an episode are far smaller.
const maxPages = 200

// endless is the member of an answer that has more pages than that.
const endless = "pages without end"

// do puts a request to the endpoint. It returns nil when the endpoint has not
// answered what the request refers to.
func (e *endpoint) do(ctx context.Context, r *Request) (*Answer, error) {
	if token, ok := r.Body["ClientRequestToken"].(string); ok && e.salt != "" && token != "" && len(token) < 30 {
		salted := *r
		salted.Body = with(r.Body, object{"ClientRequestToken": token + e.salt})
		r = &salted
	}
	body, ok := r.text(e.memory)
	if !ok {
		return nil, nil
	}
	switch r.Whole {
	case onePage:
	case settled:
		if err := e.settle(ctx, r, body); err != nil {
			return nil, err
		}
	default:
		return e.whole(ctx, r)
	}
	status, answer, err := e.post(ctx, r, body)
	if err != nil {
		return nil, err
	}
	out, raw := newAnswer(r, status, answer)
	if raw != nil && status == 200 {
		remember(e.memory, r, raw)
	}
	return out, nil
}

// settle waits until the indexes of the table that r describes are all ACTIVE.
func (e *endpoint) settle(ctx context.Context, r *Request, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		status, answer, err := e.post(ctx, r, body)
		if err != nil {
			return err
		}
		if _, raw := newAnswer(r, status, answer); !anyChanging(raw) {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: its indexes are never ACTIVE", r)
		}
	}
}

// anyChanging reports whether a description has an index that is not ACTIVE.
func anyChanging(raw object) bool {
	table, _ := raw["Table"].(object)
	indexes, _ := table["GlobalSecondaryIndexes"].(list)
	return slices.ContainsFunc(indexes, func(x any) bool {
		o, _ := x.(object)
		return o["IndexStatus"] != "ACTIVE"
	})
}

// whole asks for page after page, and for segment after segment, and puts the
// answers together. The first error is the answer.
func (e *endpoint) whole(ctx context.Context, r *Request) (*Answer, error) {
	segments := 1
	if r.Whole == allSegments {
		segments, _ = r.Body["TotalSegments"].(int)
		if fraction, ok := r.Body["TotalSegments"].(float64); ok {
			segments = int(min(fraction, 16)) // it is floored
		}
		segments = min(max(segments, 1), 16) // it may be of a wrong type or range
	}
	items, records := list{}, list{}
	sums := object{}
	var first object
	for segment := range segments {
		body := maps.Clone(r.Body)
		if r.Whole == allSegments {
			body["Segment"] = segment
		}
		for page := 0; ; page++ {
			if page == maxPages {
				return &Answer{Status: 200, Body: object{endless: float64(maxPages)}}, nil
			}
			tree, _ := resolve(body, e.memory)
			status, answer, err := e.post(ctx, r, encode(tree))
			if err != nil {
				return nil, err
			}
			out, raw := newAnswer(r, status, answer)
			if out.failed() || raw == nil {
				return out, nil
			}
			result := out.Body.(object)
			if first == nil {
				first = result
			}
			if found, ok := result["Items"].(list); ok {
				items = append(items, found...)
			}
			for _, count := range []string{"Count", "ScannedCount"} {
				if v, ok := result[count].(float64); ok {
					sum, _ := sums[count].(float64)
					sums[count] = sum + v
				}
			}
			found, _ := result["Records"].(list)
			records = append(records, found...)
			if next, ok := raw["NextShardIterator"]; ok && len(found) > 0 {
				body["ShardIterator"] = next
			} else if last, ok := raw["LastEvaluatedKey"]; ok && r.Op != "ExecuteStatement" {
				body["ExclusiveStartKey"] = last
			} else if token, ok := raw["NextToken"]; ok {
				body["NextToken"] = token
			} else {
				break
			}
		}
	}
	out := maps.Clone(first)
	if _, has := first["Items"]; has {
		if r.anyOrder() {
			items = sorted(items)
		}
		out["Items"] = items
	}
	if r.Op == "GetRecords" {
		out["Records"] = records
		delete(out, "NextShardIterator")
		order(r, out)
	}
	maps.Copy(out, sums)
	delete(out, "LastEvaluatedKey")
	delete(out, "NextToken")
	if r.Body["Limit"] != nil || segments > 1 {
		delete(out, "ConsumedCapacity") // of the first page only, which is another on each server
	}
	return &Answer{Status: 200, Body: out}, nil
}

// post sends one HTTP request. A request without an answer is an error: neither
// server may hang or break off.
func (e *endpoint) post(ctx context.Context, r *Request, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/"+r.Query, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	date := time.Now().UTC().Format("20060102T150405Z")
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", r.target())
	req.Header.Set("X-Amz-Date", date)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+e.account+"/"+date[:8]+"/us-east-1/dynamodb/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="+strings.Repeat("f", 64))
	for name, value := range r.Headers {
		if value == "" {
			req.Header.Del(name)
		} else {
			req.Header.Set(name, value)
		}
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", r.target(), err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", r.target(), err)
	}
	return resp.StatusCode, answer, nil
}
