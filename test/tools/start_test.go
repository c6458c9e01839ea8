package tools

import (
	"archive/zip"
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// TestStartPages runs the pages of docs/start as a person would who has a project: each block
// of commands in its order, servers and `millstream dev` beside them.
func TestStartPages(t *testing.T) {
	for _, c := range []struct {
		page, app string
		needs     []string
		want      []string // is printed, in this order
	}{
		{"sam", "sam/python", []string{"sam"}, []string{"hello o-1", "welcome o-2"}},
		{"cdk", "cdk/typescript", []string{"cdk", "ts-node"}, []string{"hello o-1", "welcome o-2"}},
		{"serverless", "serverless", []string{"osls", "node"}, []string{"hello o-1", "welcome o-2"}},
		{"terraform", "terraform", []string{"node"}, []string{"hello o-1"}},
	} {
		t.Run(c.page, func(t *testing.T) {
			p := prepare(t, c.app, c.needs...)
			if c.page == "sam" {
				p.samRuntime()
			}
			text, err := os.ReadFile(filepath.Join("..", "..", "docs", "start", c.page+".md"))
			if err != nil {
				t.Fatal(err)
			}
			served := func() {}
			if c.page == "terraform" {
				served = p.applied
			}
			out := p.page(string(text), served)
			for rest := out; len(c.want) > 0; c.want = c.want[1:] {
				_, after, found := strings.Cut(rest, c.want[0])
				if !found {
					t.Fatalf("the page's commands do not print %q behind what comes before it:\n%s", c.want[0], out)
				}
				rest = after
			}
			if c.page == "terraform" {
				p.endpoints()
			} else {
				p.gone()
			}
		})
	}
}

// applied makes what Terraform would.
func (p *project) applied() {
	p.t.Helper()
	ctx := p.t.Context()
	table, err := p.db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String("orders"), BillingMode: dbtypes.BillingModePayPerRequest,
		AttributeDefinitions: []dbtypes.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: dbtypes.ScalarAttributeTypeS}},
		KeySchema:            []dbtypes.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: dbtypes.KeyTypeHash}},
		StreamSpecification:  &dbtypes.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: dbtypes.StreamViewTypeNewImage},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("index.js")
	if err == nil {
		_, err = w.Write([]byte(`exports.handler = async (event) => { for (const r of event.Records) console.log('hello', r.dynamodb.Keys.id.S); };`))
	}
	if err != nil || z.Close() != nil {
		p.t.Fatal("the package cannot be made: ", err)
	}
	if _, err := p.functions.CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName: aws.String("note"), Runtime: types.RuntimeNodejs22x, Handler: aws.String("index.handler"),
		Role: aws.String("arn:aws:iam::000000000000:role/note"), Timeout: aws.Int32(60), Code: &types.FunctionCode{ZipFile: b.Bytes()},
	}); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.functions.CreateEventSourceMapping(ctx, &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("note"), EventSourceArn: table.TableDescription.LatestStreamArn, StartingPosition: types.EventSourcePositionTrimHorizon,
	}); err != nil {
		p.t.Fatal(err)
	}
}

// endpoints asks each service that the provider block names at its endpoint: it is there, or
// says that it is not by an error of AWS's form.
func (p *project) endpoints() {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "millstream_override.tf"))
	if err != nil {
		p.t.Fatal(err)
	}
	asked := map[string]struct{ target, version, body string }{ // the version is of AWS's JSON protocol
		"dynamodb":  {"DynamoDB_20120810.ListTables", "1.0", "{}"},
		"events":    {"AWSEvents.ListRules", "1.1", "{}"},
		"iam":       {"", "", "Action=ListRoles&Version=2010-05-08"},
		"kms":       {"TrentService.ListAliases", "1.1", "{}"},
		"lambda":    {"", "", ""},
		"logs":      {"Logs_20140328.DescribeLogGroups", "1.1", "{}"},
		"s3":        {"", "", ""},
		"scheduler": {"", "", ""},
		"sns":       {"", "", "Action=ListTopics&Version=2010-03-31"},
		"sqs":       {"AmazonSQS.ListQueues", "1.0", "{}"},
		"ssm":       {"AmazonSSM.GetParameters", "1.1", `{"Names": ["none"]}`},
		"sts":       {"", "", "Action=GetCallerIdentity&Version=2011-06-15"},
	}
	found := regexp.MustCompile(`(?m)^ +(\w+) += "(http://[^"]+)"$`).FindAllStringSubmatch(string(text), -1)
	if len(found) != len(asked) {
		p.t.Errorf("the provider block names %d services, and %d are asked", len(found), len(asked))
	}
	for _, m := range found {
		ask, known := asked[m[1]]
		if !known {
			p.t.Errorf("nothing is asked of %s", m[1])
			continue
		}
		method, path := "POST", "/"
		switch m[1] {
		case "lambda":
			method, path = "GET", "/2015-03-31/functions"
		case "scheduler":
			method, path = "GET", "/schedules"
		case "s3":
			method = "GET"
		}
		req, err := http.NewRequestWithContext(p.t.Context(), method, m[2]+path, strings.NewReader(ask.body))
		if err != nil {
			p.t.Fatal(err)
		}
		if ask.target != "" {
			req.Header.Set("X-Amz-Target", ask.target)
			req.Header.Set("Content-Type", "application/x-amz-json-"+ask.version)
		} else if ask.body != "" {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		status, body := p.send(req, m[1])
		if status != http.StatusOK && m[1] != "kms" { // of keys the provider only asks for the name of one
			p.t.Errorf("%s answers %d: %s", m[1], status, body)
		}
	}
}
