package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// isFunction reports whether this process is the function of the demo: the demo
// uploads this very program as the bootstrap of a zip, and AWS's Runtime API is in
// the environment of whatever a function's zip starts.
func isFunction() bool {
	return os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" && filepath.Base(os.Args[0]) == "bootstrap"
}

// runFunction handles events until the platform ends the process. It is the loop of
// AWS's Runtime API written out: aws-lambda-go's, which a user's function has, brings
// net/rpc along, for whose sake the linker keeps every method of every type. This
// program was 17 MB larger with it and took 9 MB more of memory.
func runFunction() {
	fmt.Fprintln(os.Stderr, serveEvents("http://"+os.Getenv("AWS_LAMBDA_RUNTIME_API")+"/2018-06-01/runtime/invocation/"))
	os.Exit(1)
}

// serveEvents returns what ended it.
func serveEvents(runtime string) error {
	for {
		next, err := http.Get(runtime + "next")
		if err != nil {
			return err
		}
		var event events.DynamoDBEvent
		err = json.NewDecoder(next.Body).Decode(&event)
		next.Body.Close()
		if err == nil {
			err = printRecords(event)
		}
		result, body := "/response", []byte("null")
		if err != nil {
			result = "/error"
			if body, err = json.Marshal(map[string]string{"errorType": "Error", "errorMessage": err.Error()}); err != nil {
				return err
			}
		}
		answer, err := http.Post(runtime+next.Header.Get("Lambda-Runtime-Aws-Request-Id")+result, "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		answer.Body.Close()
	}
}

// seen is the line that the demo's function prints for each record.
type seen struct {
	Started int64  `json:"started"` // when the function was called, ns since 1970
	Event   string `json:"event"`   // INSERT, MODIFY or REMOVE
	Order   string `json:"order"`
	Old     string `json:"old,omitempty"` // status before and after
	New     string `json:"new,omitempty"`
	Batch   int    `json:"batch"` // how many records came with this one
}

// printRecords is what a user's own function looks like: a handler of AWS's event
// type.
func printRecords(event events.DynamoDBEvent) error {
	started := time.Now().UnixNano()
	out := json.NewEncoder(os.Stdout)
	for _, record := range event.Records {
		line := seen{
			Started: started,
			Event:   record.EventName,
			Order:   record.Change.Keys["order"].String(),
			Old:     status(record.Change.OldImage),
			New:     status(record.Change.NewImage),
			Batch:   len(event.Records),
		}
		if err := out.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

func status(image map[string]events.DynamoDBAttributeValue) string {
	if v, ok := image["status"]; ok {
		return v.String()
	}
	return ""
}
