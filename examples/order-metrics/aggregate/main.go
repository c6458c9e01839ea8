// Command aggregate sums orders up by shop in tumbling windows, and pushes the sums of
// each window to VictoriaMetrics as one point in time.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

// sums are those of a shop in one window. Money is in cents.
type sums struct {
	Orders int64 `json:"orders"`
	Cents  int64 `json:"cents"`
}

func handle(ctx context.Context, e events.DynamoDBTimeWindowEvent) (events.DynamoDBTimeWindowEventResponse, error) {
	var answer events.DynamoDBTimeWindowEventResponse
	shops := map[string]sums{}
	for shop, state := range e.State {
		var s sums
		if err := json.Unmarshal([]byte(state), &s); err != nil {
			return answer, fmt.Errorf("state of %s: %w", shop, err)
		}
		shops[shop] = s
	}
	for _, r := range e.Records {
		cents, err := r.Change.NewImage["cents"].Integer()
		if err != nil {
			return answer, fmt.Errorf("order %s: %w", r.Change.Keys["id"].String(), err)
		}
		shop := r.Change.NewImage["shop"].String()
		s := shops[shop]
		s.Orders++
		s.Cents += cents
		shops[shop] = s
	}
	if e.IsFinalInvokeForWindow && len(shops) > 0 {
		if err := push(ctx, e, shops); err != nil {
			return answer, err // and the window's last call is made again
		}
	}
	answer.State = map[string]string{}
	for shop, s := range shops {
		state, err := json.Marshal(s)
		if err != nil {
			return answer, err
		}
		answer.State[shop] = string(state)
	}
	return answer, nil
}

// push writes the points of a window at the time of its end. Pushed once more they
// are the same points, which the store keeps once.
func push(ctx context.Context, e events.DynamoDBTimeWindowEvent, shops map[string]sums) error {
	var body bytes.Buffer
	at := e.Window.End.UnixMilli()
	for shop, s := range shops {
		labels := fmt.Sprintf("{shop=%q,shard=%q}", shop, e.ShardID)
		fmt.Fprintf(&body, "orders%s %d %d\norder_cents%s %d %d\n", labels, s.Orders, at, labels, s.Cents, at)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("STORE")+"/api/v1/import/prometheus", &body)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the metrics store answered %s", resp.Status)
	}
	return nil
}

func main() {
	if os.Getenv("STORE") == "" {
		log.Fatal("STORE: want the URL of VictoriaMetrics")
	}
	lambda.Start(handle)
}
