package template

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What cannot be read as a template says what is wrong, in which line, and what to do.
func TestUnreadable(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"indent.yaml", "Resources:\n  A:\n    Type: T\n   Properties: {}\n", `indent.yaml:4: "Properties: {}" is not YAML here: look at how far it is indented`},
		{"dash.yaml", "Resources:\n  A:\n    Type: T\n    - x\n", `dash.yaml:4: "- x" is not YAML here: look at how far`},
		{"colon.yaml", "Resources:\n  A: Type: T\n", `colon.yaml:2: "A: Type: T" is not YAML here`},
		{"tab.yaml", "Resources:\n\tA:\n", "tab.yaml:2: the line is indented by a tab; YAML wants spaces"},
		{"tab.yaml", "Resources:\n  A:\n\t\tType: T\n", "tab.yaml:3: the line is indented by a tab; YAML wants spaces"},
		{"quote.yaml", "Resources:\n  A: {Type: \"T\n", "the text ends within a quotation, a bracket or a brace that was opened and is not closed"},
		{"empty.yaml", "", "empty.yaml: the file is empty"},
		{"empty.json", "", "empty.json: the file is empty"},
		{"comment.yaml", "# to come\n", "comment.yaml: the file is empty"},
		{"binary.yaml", "\x7fELF\x02\x01\x00\x00", "binary.yaml: this is no text: name a template"},
		{"latin.yaml", "Description: caf\xe9\n", "latin.yaml: this is no text: name a template"},
		{"binary.json", "PK\x03\x04\x00", "binary.json: this is no text: name a template"},
		{"scalar.yaml", "hello\n", "scalar.yaml:1: a template is an object, whose section Resources lists what it makes"},
		{"list.yaml", "- a\n", "list.yaml:1: a template is an object, whose section Resources lists"},
		{"loop.yaml", "a: &a [*a]\n", "too large or too deep, or refers to itself"},
		{"comma.json", "{\"Resources\": {\n  \"A\": {\"Type\": \"T\",\n  }\n}}\n", "comma.json:3: this is not JSON: there is a comma before } with nothing behind it"},
		{"comma.JSON", "{\"Resources\": {\"A\": [1,]}}", "there is a comma before ] with nothing behind it"},
		{"between.json", "{\"Resources\": {}\n\"Outputs\": {}}", "between.json:2: this is not JSON: a comma is missing before this"},
		{"open.json", "{\"Resources\": {\"A\": {", "open.json:1: this is not JSON: the text ends within something that was opened"},
	} {
		_, err := New(c.name, []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v\nwant %s", c.text, err, c.want)
		}
	}
	for _, text := range []string{"\xef\xbb\xbf{\"Resources\": {\"A\": 1}}", " {\"Resources\":\t{\"A\": 1}}\n"} {
		if _, err := New("good.json", []byte(text)); err != nil {
			t.Error(err)
		}
	}
}

// What can be read and is no template says which section is meant or missing.
func TestSections(t *testing.T) {
	for text, want := range map[string]string{
		"Parameters: {A: {Type: String, Default: a}}": "there is no section Resources, which lists what the template makes",
		"Resource: {A: {Type: AWS::DynamoDB::Table}}": "the section Resource is not supported; did you mean Resources?",
		"Description: a\nResources: {}":               "t.yaml:2: Resources is empty, so there is nothing to make",
		"Resources: [a]":                              "t.yaml:1: Resources must be an object",
		"Resources: {F: {Type: AWS::Lambda::Function, Properties: {Role: !Gettat A.B}}}": "the intrinsic function Fn::Gettat is not supported; did you mean Fn::GetAtt?",
	} {
		template, err := New("t.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := template.Plan(Options{Account: "000000000000", Region: "us-east-1"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", text, err, want)
		}
	}
}

// The functions that hints name are those that there are.
func TestIntrinsics(t *testing.T) {
	for _, name := range intrinsics {
		template, err := New("t.json", []byte(`{"Resources": {"F": {"Type": "AWS::Lambda::Function", "Properties": {"Role": {"`+name+`": ["a"]}}}}}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := template.Plan(Options{Account: "000000000000", Region: "us-east-1"}); err == nil || strings.Contains(err.Error(), "intrinsic function") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A place that holds no template says which tool makes one.
func TestNoTemplateThere(t *testing.T) {
	dir := t.TempDir()
	for name, body := range map[string]string{"cdk/cdk.json": "{}", "sls/serverless.yml": "service: a", "out/manifest.json": "{", "other/notes.txt": ""} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for at, want := range map[string]string{
		"nowhere.yaml": "there is no file or folder " + dir + "/nowhere.yaml: name the template",
		"cdk":          "cdk holds no template: make one with `cdk synth`, and deploy the folder cdk.out",
		"sls":          "sls holds no template: make one with `serverless package`",
		"other":        "other holds no template.yaml, no manifest.json of the CDK and no result of `serverless package`",
		"out":          "manifest.json: line 1: this is not JSON: the text ends within something that was opened and is not closed: it is made anew by `cdk synth`",
	} {
		if _, err := ReadAll(filepath.Join(dir, at)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", at, err, want)
		}
	}
}

// A refusal by a service is told in the service's words, without the SDK's.
func TestStepError(t *testing.T) {
	for err, want := range map[string]string{
		"operation error DynamoDB: CreateTable, https response error StatusCode: 400, RequestID: A8, api error ValidationException: no keys": "t.yaml:3: A (T): ValidationException: no keys",
		"operation error Lambda: CreateFunction, http response error StatusCode: 409, RequestID: , ResourceConflictException: there":         "t.yaml:3: A (T): ResourceConflictException: there",
		"zip: no such file": "t.yaml:3: A (T): zip: no such file",
	} {
		if got := (&StepError{File: "t.yaml", Line: 3, ID: "A", Type: "T", Err: fmt.Errorf("%s", err)}).Error(); got != want {
			t.Errorf("%s", got)
		}
	}
}
