package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// The AWS CLI is not among what the tests install. A stand-in, which is this test's own
// program, does what the pages ask of it, by the same variables and in the same words.

// standIn puts a program `aws` into a folder.
func standIn(t *testing.T, dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "aws"), []byte("#!/bin/sh\nTOOLS_AS_AWS=1 exec '"+self+"' \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// asAWS is what the stand-in does: a command of dynamodb is the operation of that name, and each
// of its flags a member of the request. Of other services it knows what the pages use.
func asAWS(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("aws: the tests' stand-in does not know %q", args)
	}
	request, flags, err := requestOf(args[2:])
	if err != nil {
		return err
	}
	method, path, target := "POST", "/", ""
	switch ask := args[0] + " " + args[1]; {
	case args[0] == "dynamodb":
		target = "DynamoDB_20120810." + camel(args[1])
	case ask == "lambda list-functions":
		method, path = "GET", "/2015-03-31/functions/"
	case ask == "lambda create-function":
		path = "/2015-03-31/functions"
		request["Code"] = map[string]any{"ZipFile": request["ZipFile"]}
		delete(request, "ZipFile")
	case ask == "lambda create-event-source-mapping":
		path = "/2015-03-31/event-source-mappings/"
	default:
		return fmt.Errorf("aws: the tests' stand-in does not know %q", ask)
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	endpoint, region := os.Getenv("AWS_ENDPOINT_URL"), os.Getenv("AWS_DEFAULT_REGION") // its version 1 does not read AWS_REGION
	if flags["endpoint-url"] != "" {
		endpoint = flags["endpoint-url"]
	}
	if endpoint == "" || region == "" || os.Getenv("AWS_ACCESS_KEY_ID") == "" || os.Getenv("AWS_SECRET_ACCESS_KEY") == "" {
		return errors.New("aws: endpoint, region or keys are not set: the real one would go to AWS")
	}
	req, err := http.NewRequestWithContext(ctx, method, endpoint+path, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Date", "20260101T000000Z")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+os.Getenv("AWS_ACCESS_KEY_ID")+"/20260101/"+region+"/"+args[0]+
		"/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
	if target != "" {
		req.Header.Set("X-Amz-Target", target)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("aws: %s: %s", res.Status, answer)
	}
	return show(answer, flags["query"])
}

// requestOf makes a request of a command's flags, and returns those of the CLI itself apart.
func requestOf(args []string) (request map[string]any, flags map[string]string, err error) {
	request, flags = map[string]any{}, map[string]string{}
	for i := 0; i < len(args); {
		name, ok := strings.CutPrefix(args[i], "--")
		if !ok {
			return nil, nil, fmt.Errorf("aws: %q is not a flag", args[i])
		}
		var values []any
		for i++; i < len(args) && !strings.HasPrefix(args[i], "--"); i++ {
			v, err := valueOf(args[i])
			if err != nil {
				return nil, nil, fmt.Errorf("aws: --%s: %w", name, err)
			}
			values = append(values, v)
		}
		switch {
		case name == "query" || name == "output" || name == "endpoint-url":
			flags[name] = args[i-1]
		case len(values) == 0:
			request[camel(name)] = true
		case name == "key-schema" || name == "attribute-definitions": // lists
			request[camel(name)] = values
		default:
			request[camel(name)] = values[0]
		}
	}
	return request, flags, nil
}

// valueOf reads JSON, the name of a file, AWS's shorthand (Name=a,Type=b), or a word.
func valueOf(s string) (any, error) {
	if name, ok := strings.CutPrefix(s, "fileb://"); ok {
		return os.ReadFile(name)
	}
	if strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[") {
		var v any
		return v, json.Unmarshal([]byte(s), &v)
	}
	if !strings.Contains(s, "=") || strings.ContainsAny(s, " :") { // an expression or an ARN is a word
		return s, nil
	}
	object := map[string]any{}
	for pair := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(pair, "=")
		object[name] = value
		if value == "true" || value == "false" {
			object[name] = value == "true"
		}
	}
	return object, nil
}

// camel is an operation's or a member's name as the protocol has it.
func camel(s string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(s, "-") {
		for i, r := range word {
			if i == 0 {
				r = unicode.ToUpper(r)
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

// show prints an answer, or what a query such as Table.LatestStreamArn or TableNames[0] finds in it.
func show(answer []byte, query string) error {
	var v any
	if err := json.Unmarshal(answer, &v); err != nil {
		return err
	}
	if query == "" {
		if m, ok := v.(map[string]any); ok && len(m) == 0 {
			return nil
		}
		out, err := json.MarshalIndent(v, "", "    ")
		fmt.Println(string(out))
		return err
	}
	for step := range strings.SplitSeq(strings.ReplaceAll(query, "[0]", ".0"), ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[step]
		case []any:
			v = nil
			if step == "0" && len(at) > 0 {
				v = at[0]
			}
		}
	}
	if v == nil {
		return fmt.Errorf("aws: the answer has no %s: %s", query, answer)
	}
	_, err := fmt.Println(v)
	return err
}
