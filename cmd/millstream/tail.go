package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/arn"
)

func newTail() *cobra.Command {
	var flags clientFlags
	var horizon, full bool
	var limit int
	var since, when string
	cmd := &cobra.Command{
		Use:   "tail TABLE",
		Short: "Print the changes of a table as they happen",
		Long: `Print the records of a table's stream as they happen: what was inserted, modified
and removed, with the images that the stream's view type holds, and each record's
sequence number, which 'triggers rewind' and 'skip' take. Long values are cut unless
--full or JSON is asked for. TABLE may also be the ARN of a stream.`,
		Example: `  millstream tail orders
  millstream tail orders --from-start          with what the stream still holds
  millstream tail orders --since 15m           with those of the last quarter of an hour
  millstream tail orders --limit 1             wait for the next change
  millstream tail orders --when 'OLD.status <> NEW.status'
  millstream tail orders --jsonl | jq .record.dynamodb.NewImage`,
		Args: takes("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit == 0 {
				if err := flags.refuseEndless(cmd); err != nil {
					return err
				}
			}
			from, err := moment(time.Now(), "--since", since)
			if err != nil {
				return err
			}
			if horizon && since != "" {
				return usagef("say --from-start or --since, not both")
			}
			client, err := flags.client()
			if err != nil {
				return err
			}
			o := admin.TailOptions{Table: args[0], Horizon: horizon, Since: from, When: when}
			if arn.Is(args[0]) {
				o.Table, o.Stream = "", args[0]
			}
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			out, printed := cmd.OutOrStdout(), 0
			list := &listPrinter{w: out, lines: flags.jsonl}
			err = client.Tail(ctx, o, func(c admin.Change) error {
				if limit > 0 && printed == limit {
					return nil // was under way when the last one was printed
				}
				if printed++; printed == limit {
					cancel()
				}
				if flags.forPrograms() {
					return list.print(c)
				}
				return printChange(out, c, full)
			})
			if err == nil && flags.forPrograms() {
				err = list.end()
			}
			return err
		},
	}
	cmd.ValidArgsFunction = completeFirst(&flags, tableWords)
	flags.add(cmd)
	flags.addLines(cmd)
	flags.addScope(cmd)
	cmd.Flags().BoolVar(&horizon, "from-start", false, "begin with the oldest record that the stream holds")
	cmd.Flags().StringVar(&since, "since", "", "begin with the records of then: a time, or how long ago, such as 15m")
	cmd.Flags().StringVar(&when, "when", "", "only changes of which this holds, such as NEW.total > 100: a condition as 'triggers set' takes it")
	cmd.Flags().BoolVar(&full, "full", false, "print long values whole")
	cmd.Flags().IntVar(&limit, "limit", 0, "end after so many records (default never)")
	return cmd
}

// change is what is printed of a record.
type change struct {
	EventName string `json:"eventName"`
	DynamoDB  struct {
		Created        float64         `json:"ApproximateCreationDateTime"` // seconds since 1970
		Keys           json.RawMessage `json:"Keys"`
		NewImage       json.RawMessage `json:"NewImage"`
		OldImage       json.RawMessage `json:"OldImage"`
		SequenceNumber string          `json:"SequenceNumber"`
	} `json:"dynamodb"`
}

// printChange prints a record as
//
//	14:02:11.532  MODIFY  {"id":"o-1"}  18446762520453625325551618
//	              old     {"id":"o-1","status":"placed"}
//	              new     {"id":"o-1","status":"paid"}
//
// Unless full, its long values are cut.
func printChange(w io.Writer, c admin.Change, full bool) error {
	var r change
	if err := json.Unmarshal(c.Record, &r); err != nil {
		return fmt.Errorf("a record that is no JSON: %w", err)
	}
	at := time.UnixMilli(int64(r.DynamoDB.Created * 1000)).Format("15:04:05.000")
	var b bytes.Buffer
	show := plain
	if !full {
		show = func(image json.RawMessage) string { return plainCut(image, maxValue) }
	}
	fmt.Fprintf(&b, "%s  %-6s  %s  %s\n", at, r.EventName, show(r.DynamoDB.Keys), r.DynamoDB.SequenceNumber)
	for _, image := range []struct {
		name  string
		value json.RawMessage
	}{{"old", r.DynamoDB.OldImage}, {"new", r.DynamoDB.NewImage}} {
		if image.value != nil {
			fmt.Fprintf(&b, "%14s%-6s  %s\n", "", image.name, show(image.value))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// printKeys prints a record on one line, without its images.
func printKeys(w io.Writer, record json.RawMessage) error {
	var r change
	if err := json.Unmarshal(record, &r); err != nil {
		return fmt.Errorf("a record that is no JSON: %w", err)
	}
	at := time.UnixMilli(int64(r.DynamoDB.Created * 1000)).Format("15:04:05.000")
	_, err := fmt.Fprintf(w, "%s  %-6s  %s  %s\n", at, r.EventName, plainCut(r.DynamoDB.Keys, maxValue), r.DynamoDB.SequenceNumber)
	return err
}

// plain turns an item in DynamoDB's JSON, {"id":{"S":"a"}}, into {"id":"a"}, for
// reading: sets become lists and binary stays base64. What it does not understand
// it leaves as it is.
func plain(itemJSON json.RawMessage) string { return plainCut(itemJSON, 0) }

// maxValue is how many characters of a text, or of binary data, are shown, and maxElements how many of a list.
const (
	maxValue    = 80
	maxElements = 10
)

// plainCut is plain with values that are longer than most characters cut; 0: none.
func plainCut(itemJSON json.RawMessage, most int) string {
	var attrs map[string]json.RawMessage
	if json.Unmarshal(itemJSON, &attrs) != nil {
		return string(itemJSON)
	}
	out := make(map[string]any, len(attrs))
	for name, value := range attrs {
		out[name] = plainValue(value)
		if most > 0 {
			out[name] = cut(out[name], most)
		}
	}
	var b strings.Builder
	if printJSON(&b, out) != nil {
		return string(itemJSON)
	}
	return strings.TrimSpace(b.String())
}

// cut shortens long values, and says by how much.
func cut(v any, most int) any {
	switch v := v.(type) {
	case json.RawMessage:
		var inner any
		if json.Unmarshal(v, &inner) == nil {
			if _, number := inner.(float64); !number {
				return cut(inner, most)
			}
		}
	case string:
		if r := []rune(v); len(r) > most {
			return fmt.Sprintf("%s... (%d characters)", string(r[:most]), len(r))
		}
	case []any:
		short := make([]any, 0, maxElements+1)
		for _, e := range v[:min(len(v), maxElements)] {
			short = append(short, cut(e, most))
		}
		if len(v) > maxElements {
			short = append(short, fmt.Sprintf("... (%d elements)", len(v)))
		}
		return short
	case map[string]any:
		short := make(map[string]any, len(v))
		for k, e := range v {
			short[k] = cut(e, most)
		}
		return short
	}
	return v
}

func plainValue(value json.RawMessage) any {
	var tagged map[string]json.RawMessage
	if json.Unmarshal(value, &tagged) != nil || len(tagged) != 1 {
		return value
	}
	for tag, v := range tagged {
		switch tag {
		case "N": // a number, in a string
			var n json.Number
			if json.Unmarshal(v, &n) == nil {
				return n
			}
		case "NULL":
			return nil
		case "L":
			var list []json.RawMessage
			if json.Unmarshal(v, &list) == nil {
				out := make([]any, len(list))
				for i, e := range list {
					out[i] = plainValue(e)
				}
				return out
			}
		case "M":
			var m map[string]json.RawMessage
			if json.Unmarshal(v, &m) == nil {
				out := make(map[string]any, len(m))
				for k, e := range m {
					out[k] = plainValue(e)
				}
				return out
			}
		}
		return v
	}
	return value
}
