package logs

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// ask sends one request and returns the status of its answer, which it decodes.
func (c *client) ask(operation, body string, into any) int {
	c.t.Helper()
	r := httptest.NewRequestWithContext(c.ctx, http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", target+operation)
	w := httptest.NewRecorder()
	c.h.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
		c.t.Fatal(err)
	}
	return w.Code
}

// All streams are found page by page.
func TestPagesOfStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, "x")
		for range 5 { // one stream a day
			c.logs("a line\n")
			time.Sleep(24 * time.Hour)
		}
		for _, order := range []string{`"orderBy":"LogStreamName"`, `"orderBy":"LastEventTime","descending":true`} {
			var names []string
			token := ""
			for range 3 {
				var out struct {
					LogStreams []struct{ LogStreamName string }
					NextToken  string
				}
				if status := c.ask("DescribeLogStreams", `{"logGroupName":"/aws/lambda/f","limit":2,`+order+token+`}`, &out); status != http.StatusOK || len(out.LogStreams) > 2 {
					t.Fatal(status, out)
				}
				for _, s := range out.LogStreams {
					names = append(names, s.LogStreamName)
				}
				if out.NextToken == "" {
					break
				}
				token = `,"nextToken":"` + out.NextToken + `"`
			}
			slices.Sort(names)
			if len(slices.Compact(names)) != 5 {
				t.Errorf("%s: %d streams: %q", order, len(names), names)
			}
		}
	})
}

// A stream that is not there is no empty one.
func TestStreamsThatAreNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, "x")
		c.logs("a line\n")
		for operation, members := range map[string]string{"GetLogEvents": `"logStreamName":"none"`, "FilterLogEvents": `"logStreamNames":["none"]`} {
			var out struct {
				Type    string `json:"__type"`
				Message string
			}
			c.ask(operation, `{"logGroupName":"/aws/lambda/f",`+members+`}`, &out)
			if out.Type != "ResourceNotFoundException" || out.Message != "The specified log stream does not exist." {
				t.Errorf("%s: %+v", operation, out)
			}
		}
		var out struct {
			Type string `json:"__type"`
		}
		if c.ask("GetLogEvents", `{"logGroupName":"/aws/lambda/f"}`, &out); out.Type != "InvalidParameterException" {
			t.Errorf("without a stream: %+v", out)
		}
	})
}
