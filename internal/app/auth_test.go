package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/credential"
)

// guarded is a server that verifies signatures, with an operator's key and an ordinary one.
type guarded struct {
	*App
	url, socket    string
	root, ordinary aws.Credentials
}

const rootSecret = "a secret of the test's own"

func openGuarded(t *testing.T, mode string) *guarded {
	t.Helper()
	dir, err := os.MkdirTemp("", "auth") // a short name, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s, err := Open(Options{Dir: dir, Durability: "none", Auth: mode, RootKey: "AKIAROOT", RootSecret: rootSecret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := &guarded{App: s, socket: "unix:" + filepath.Join(dir, SocketName), root: aws.Credentials{AccessKeyID: "AKIAROOT", SecretAccessKey: rootSecret}}
	k, secret, err := s.credentials.Create("111122223333", "shop", false)
	if err != nil {
		t.Fatal(err)
	}
	g.ordinary = aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: secret}
	ctx, cancel := context.WithCancel(context.Background())
	var ended []<-chan error
	serve := func(network, address string, serve func(context.Context, net.Listener) error) net.Addr {
		ln, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		end := make(chan error, 1)
		go func() { end <- serve(ctx, ln) }()
		ended = append(ended, end)
		return ln.Addr()
	}
	g.url = "http://" + serve("tcp", "127.0.0.1:0", s.Serve).String()
	serve("unix", strings.TrimPrefix(g.socket, "unix:"), s.ServeAdmin)
	t.Cleanup(func() {
		cancel()
		for _, end := range ended {
			if err := <-end; err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// call sends a request that is signed with a key, or with none.
func (g *guarded) call(t *testing.T, r request, key aws.Credentials, change func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequest(r.method, g.url+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range r.headers {
		name, value, _ := strings.Cut(kv, ": ")
		req.Header.Set(name, value)
	}
	if key.AccessKeyID != "" {
		sum := sha256.Sum256([]byte(r.body))
		hash := hex.EncodeToString(sum[:])
		if r.service == "s3" {
			req.Header.Set("X-Amz-Content-Sha256", hash)
		}
		if err := v4.NewSigner().SignHTTP(t.Context(), key, req, hash, r.service, "us-east-1", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if change != nil {
		change(req)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("X-Amzn-Errortype") + " " + string(body)
}

type request struct {
	service, method, path, body string
	headers                     []string
}

func target(service, target, body string) request {
	return request{service, "POST", "/", body, []string{"X-Amz-Target: " + target, "Content-Type: application/x-amz-json-1.0"}}
}

func form(service, body string) request {
	return request{service, "POST", "/", body, []string{"Content-Type: application/x-www-form-urlencoded"}}
}

// reads are a call of each service that answers here.
var reads = []request{
	target("dynamodb", "DynamoDB_20120810.ListTables", "{}"),
	target("dynamodb", "DynamoDBStreams_20120810.ListStreams", "{}"),
	{"lambda", "GET", "/2015-03-31/functions/", "", nil},
	{"lambda", "GET", "/2015-03-31/event-source-mappings/?FunctionName=arn%3Aaws%3Alambda%3Aus-east-1%3A111122223333%3Afunction%3Af", "", nil},
	form("sts", "Action=GetCallerIdentity&Version=2011-06-15"),
	form("iam", "Action=ListRoles&Version=2010-05-08"),
	form("cloudformation", "Action=ListStacks&Version=2010-05-15"),
	target("sqs", "AmazonSQS.ListQueues", "{}"),
	form("sns", "Action=ListTopics&Version=2010-03-31"),
	target("logs", "Logs_20140328.DescribeLogGroups", "{}"),
	target("events", "AWSEvents.ListRules", "{}"),
	{"scheduler", "GET", "/schedules", "", nil},
	target("ssm", "AmazonSSM.GetParameters", `{"Names":["x"]}`),
	{"s3", "GET", "/", "", nil},
	{"millstream", "GET", "/_millstream/v1/status", "", nil},
}

// Each service lets in whom it knows, and nobody else, in its own words.
func TestEveryDoorVerifies(t *testing.T) {
	g := openGuarded(t, "on")
	wrong := aws.Credentials{AccessKeyID: g.root.AccessKeyID, SecretAccessKey: "another"}
	stranger := aws.Credentials{AccessKeyID: "AKIASTRANGER", SecretAccessKey: rootSecret}
	number := aws.Credentials{AccessKeyID: "000000000000", SecretAccessKey: "millstream"}
	for _, r := range reads {
		if status, body := g.call(t, r, g.root, nil); status != 200 {
			t.Errorf("%s %s by its key: %d %s", r.service, r.path, status, body)
		}
		for who, row := range map[string]struct {
			key    aws.Credentials
			change func(*http.Request)
			words  []string // one of them is in the answer
		}{
			"nobody":   {aws.Credentials{}, nil, []string{"MissingAuthenticationToken", "AccessDenied", "UnknownOperation", "Forbidden", "NotFound"}},
			"wrong":    {wrong, nil, []string{"InvalidSignatureException", "SignatureDoesNotMatch"}},
			"stranger": {stranger, nil, []string{"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"}},
			"number":   {number, nil, []string{"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"}},
			"changed":  {g.root, func(r *http.Request) { r.URL.RawQuery = "x=y" + r.URL.RawQuery }, []string{"InvalidSignatureException", "SignatureDoesNotMatch"}},
		} {
			status, body := g.call(t, r, row.key, row.change)
			if who == "nobody" && r.service == "s3" { // GET / is how load balancers ask whether DynamoDB is well
				continue
			}
			if status < 400 || status >= 500 || !slices.ContainsFunc(row.words, func(w string) bool { return strings.Contains(body, w) }) && status != 404 {
				t.Errorf("%s %s by %s: %d %s", r.service, r.path, who, status, body)
			}
		}
	}
	// Millstream's own protocol spans accounts.
	own := reads[len(reads)-1]
	if status, body := g.call(t, own, g.ordinary, nil); status != 403 || !strings.Contains(body, "operator") {
		t.Errorf("an ordinary key may operate: %d %s", status, body)
	}
	for path, want := range map[string]int{"/metrics": 403, "/healthz": 200, "/": 200} {
		res, err := http.Get(g.url + path)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != want {
			t.Errorf("%s to nobody: %s", path, res.Status)
		}
	}
	client, err := admin.New(admin.Options{Endpoint: g.socket})
	if err != nil {
		t.Fatal(err)
	}
	if status, err := client.Status(t.Context()); err != nil || status.Auth != "on" {
		t.Errorf("the folder's owner: %+v, %v", status, err)
	}
}

// A body, a target or a header that was changed on its way is refused, and so is what is not signed and should be.
func TestTampering(t *testing.T) {
	type tampered struct {
		change func(*http.Request)
		want   string
	}
	g := openGuarded(t, "on")
	list := reads[0]
	put := target("dynamodb", "DynamoDB_20120810.PutItem", `{"TableName":"goods","Item":{"id":{"S":"1"}}}`)
	for name, row := range map[string]struct {
		r      request
		change func(*http.Request)
		want   string
	}{
		"another body": {put, func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(strings.ReplaceAll(put.body, "1", "2")))
		}, "InvalidSignatureException"},
		"another target":                 {list, func(r *http.Request) { r.Header.Set("X-Amz-Target", "DynamoDB_20120810.DeleteTable") }, "InvalidSignatureException"},
		"a header that should be signed": {list, func(r *http.Request) { r.Header.Set("X-Amz-Meta", "x") }, "'X-Amz-Meta' must be a 'SignedHeader'"},
		"another time": {list, func(r *http.Request) {
			r.Header.Set("X-Amz-Date", time.Now().UTC().Add(time.Second).Format("20060102T150405Z"))
		}, "InvalidSignatureException"},
		"another service": {request{"lambda", list.method, list.path, list.body, list.headers}, nil, "Credential should be scoped to correct service: 'dynamodb'. "},
		"another region": {list, func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "us-east-1", "us-west-2", 1))
		}, "InvalidSignatureException"},
		"another hash": {list, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64)) }, "must be a 'SignedHeader'"},
	} {
		status, body := g.call(t, row.r, g.root, row.change)
		if status != 400 || !strings.Contains(body, row.want) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	// Each part of what was signed, in the header's form: AWS's text for it, in DynamoDB's form and in Lambda's.
	const forged = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	authorization := func(change func(string) string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", change(r.Header.Get("Authorization"))) }
	}
	replace := func(old, new string) func(*http.Request) {
		return authorization(func(a string) string {
			if !strings.Contains(a, old) {
				t.Errorf("%s has no %s", a, old)
			}
			return strings.Replace(a, old, new, 1)
		})
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	last := func(digit byte) func(string) string {
		return func(a string) string {
			if a[len(a)-1] == digit {
				digit++
			}
			return a[:len(a)-1] + string(digit)
		}
	}
	listed := request{"lambda", "GET", "/2015-03-31/functions/?MaxItems=5", "", []string{"X-Amz-Meta: a b", "X-Amz-Other: c", "X-Plain: d"}}
	kinds := 0
	for _, of := range []struct {
		r      request
		status int
	}{{put, 400}, {listed, 403}} {
		today := time.Now().UTC()
		rows := map[string]tampered{
			"a digit of the signature":              {authorization(last('0')), forged},
			"a signature of zeros":                  {authorization(func(a string) string { return a[:len(a)-64] + strings.Repeat("0", 64) }), forged},
			"a signature that is cut":               {authorization(func(a string) string { return a[:len(a)-1] }), forged},
			"a signature that is longer":            {authorization(func(a string) string { return a + "0" }), forged},
			"a signature in upper case":             {authorization(func(a string) string { return a[:len(a)-64] + strings.ToUpper(a[len(a)-64:]) }), forged},
			"no signature":                          {authorization(func(a string) string { a, _, _ = strings.Cut(a, ", Signature="); return a }), "Authorization header requires 'Signature' parameter."},
			"no list of headers":                    {authorization(func(a string) string { return strings.Replace(a, "SignedHeaders=", "Signed=", 1) }), "Authorization header requires 'SignedHeaders' parameter."},
			"no credential":                         {authorization(func(a string) string { return strings.Replace(a, "Credential=", "Cred=", 1) }), "Authorization header requires 'Credential' parameter."},
			"no date":                               {func(r *http.Request) { r.Header.Del("X-Amz-Date") }, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."},
			"a date that is none":                   {header("X-Amz-Date", "today"), "today"},
			"no header":                             {func(r *http.Request) { r.Header.Del("Authorization") }, "Missing"},
			"another algorithm":                     {replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), "AWS4-ECDSA-P256-SHA256"},
			"another key's id":                      {replace("Credential=AKIAROOT/", "Credential=AKIAOTHER/"), "The security token included in the request is invalid."},
			"another key of the server's":           {replace("Credential=AKIAROOT/", "Credential="+g.ordinary.AccessKeyID+"/"), forged},
			"another day of the scope":              {replace("/"+today.Format("20060102")+"/", "/"+today.AddDate(0, 0, -1).Format("20060102")+"/"), "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP"},
			"another region of the scope":           {replace("/us-east-1/", "/eu-west-1/"), forged},
			"another end of the scope":              {replace("/aws4_request", "/aws3_request"), "aws3_request"},
			"a part of the scope less":              {replace("/us-east-1/", "/"), "Credential must have exactly 5 slash-delimited elements"},
			"the host is not signed":                {authorization(func(a string) string { return strings.Replace(strings.Replace(a, ";host;", ";", 1), "=host;", "=", 1) }), ""},
			"a header less is signed":               {replace(";x-amz-date", ""), "'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization."},
			"a header more is signed":               {replace("SignedHeaders=", "SignedHeaders=aaa;"), forged},
			"headers are signed in another order":   {replace("SignedHeaders=", "SignedHeaders=x-zzz;"), forged},
			"another host":                          {func(r *http.Request) { r.Host = strings.Replace(r.Host, "127.0.0.1", "localhost", 1) }, forged},
			"a second later":                        {header("X-Amz-Date", today.Add(2*time.Second).Format("20060102T150405Z")), forged},
			"a header for AWS more":                 {header("X-Amz-New", "x"), "'X-Amz-New' must be a 'SignedHeader' in the AWS Authorization."},
			"a query more":                          {func(r *http.Request) { r.URL.RawQuery += "&x=y" }, ""},
			"a token of a session, unsigned":        {header("X-Amz-Security-Token", "x"), "The security token included in the request is invalid"},
			"a hash of another body, signed or not": {header("X-Amz-Content-Sha256", strings.Repeat("a", 64)), "'X-Amz-Content-Sha256' must be a 'SignedHeader' in the AWS Authorization."},
		}
		if of.r.service == "lambda" {
			rows["another path"] = tampered{func(r *http.Request) { r.URL.Path += "x" }, forged}
			rows["another value of the query"] = tampered{func(r *http.Request) { r.URL.RawQuery = "MaxItems=6" }, forged}
			rows["another method"] = tampered{func(r *http.Request) { r.Method = "DELETE" }, forged}
			rows["another value of a header"] = tampered{header("X-Amz-Meta", "a c"), forged}
			rows["values of headers change places"] = tampered{func(r *http.Request) { r.Header.Set("X-Amz-Meta", "c"); r.Header.Set("X-Amz-Other", "a b") }, forged}
			rows["a header is there twice"] = tampered{func(r *http.Request) { r.Header.Add("X-Amz-Meta", "e") }, forged}
			rows["a header that was signed is gone"] = tampered{func(r *http.Request) { r.Header.Del("X-Amz-Other") }, forged}
			rows["a body where there was none"] = tampered{func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("{}")), 2 }, forged}
		}
		for name, row := range rows {
			kinds++
			if status, body := g.call(t, of.r, g.root, row.change); status != of.status || !strings.Contains(body, row.want) {
				t.Errorf("%s, %s: %d %s; want %d %s", of.r.service, name, status, body, of.status, row.want)
			}
		}
	}
	if kinds < 60 {
		t.Errorf("%d kinds", kinds)
	}

	// What is old or of the future, signed as it should be.
	for _, row := range []struct {
		ago  time.Duration
		want string
	}{{6 * time.Minute, "Signature expired: "}, {-16 * time.Minute, "Signature not yet current: "}, {25 * time.Hour, "Signature expired: "}} {
		req, err := http.NewRequest("POST", g.url, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Target", "DynamoDB_20120810.ListTables")
		req.Header.Set("Content-Type", "application/x-amz-json-1.0")
		sum := sha256.Sum256([]byte("{}"))
		if err := v4.NewSigner().SignHTTP(t.Context(), g.root, req, hex.EncodeToString(sum[:]), "dynamodb", "us-east-1", time.Now().Add(-row.ago)); err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if res.Body.Close(); err != nil || !strings.Contains(string(body), row.want) {
			t.Errorf("signed %s ago: %s, %v", row.ago, body, err)
		}
	}
}

func (g *guarded) dynamodb(key aws.Credentials) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: &g.url, RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, key.SessionToken),
	})
}

// A key has its own account and no other; when it is disabled the next request is refused.
func TestKeysHaveAccounts(t *testing.T) {
	g := openGuarded(t, "on")
	ctx := t.Context()
	shop, root := g.dynamodb(g.ordinary), g.dynamodb(g.root)
	if _, err := shop.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String("goods"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
	}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 100_000} { // in one piece with its head, and behind it
		if _, err := shop.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("goods"), Item: map[string]types.AttributeValue{
			"id": &types.AttributeValueMemberS{Value: "1"}, "text": &types.AttributeValueMemberS{Value: strings.Repeat("x", size)},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := root.ListTables(ctx, &dynamodb.ListTablesInput{}); err != nil || len(out.TableNames) != 0 {
		t.Errorf("another account sees %v, %v", out, err)
	}
	out, err := shop.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String("goods")})
	if err != nil || !strings.Contains(*out.Table.TableArn, ":111122223333:") {
		t.Errorf("%v, %v", out, err)
	}
	if all := g.credentials.List(); len(all) != 2 || !slices.ContainsFunc(all, func(k credential.Key) bool { return k.ID == g.ordinary.AccessKeyID && !k.Used.IsZero() }) {
		t.Errorf("its last use is not told: %+v", all)
	}
	// Queues, too: by their address, their owner, and their ARN.
	status, body := g.call(t, target("sqs", "AmazonSQS.CreateQueue", `{"QueueName":"q"}`), g.ordinary, nil)
	if status != 200 || !strings.Contains(body, "/111122223333/q") {
		t.Fatalf("%d %s", status, body)
	}
	for _, r := range []request{
		target("sqs", "AmazonSQS.PurgeQueue", `{"QueueUrl":"`+g.url+`/111122223333/q"}`),
		target("sqs", "AmazonSQS.GetQueueUrl", `{"QueueName":"q","QueueOwnerAWSAccountId":"111122223333"}`),
		target("sqs", "AmazonSQS.ListMessageMoveTasks", `{"SourceArn":"arn:aws:sqs:us-east-1:111122223333:q"}`),
	} {
		if status, body := g.call(t, r, g.root, nil); status != 400 || !strings.Contains(body, "NonExistentQueue") && !strings.Contains(body, "QueueDoesNotExist") {
			t.Errorf("another account's queue: %d %s", status, body)
		}
		if status, body := g.call(t, r, g.ordinary, nil); status != 200 {
			t.Errorf("its own queue: %d %s", status, body)
		}
	}
	if status, body := g.call(t, form("sns", "Action=CreateTopic&Version=2010-03-31&Name=news"), g.ordinary, nil); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	publish := form("sns", "Action=Publish&Version=2010-03-31&Message=m&TopicArn="+url.QueryEscape("arn:aws:sns:us-east-1:111122223333:news"))
	if status, body := g.call(t, publish, g.root, nil); status != 403 || !strings.Contains(body, "AuthorizationError") {
		t.Errorf("another account's topic: %d %s", status, body)
	}
	if status, body := g.call(t, publish, g.ordinary, nil); status != 200 {
		t.Errorf("its own topic: %d %s", status, body)
	}
	// What starts or is told later may not be another account's either.
	queue, topic := "arn:aws:sqs:us-east-1:111122223333:q", "arn:aws:sns:us-east-1:111122223333:news"
	own := "arn:aws:sqs:us-east-1:000000000000:mine"
	if status, body := g.call(t, target("sqs", "AmazonSQS.CreateQueue", `{"QueueName":"mine"}`), g.root, nil); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := g.call(t, form("sns", "Action=CreateTopic&Version=2010-03-31&Name=mine"), g.root, nil); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := g.call(t, target("events", "AWSEvents.PutRule", `{"Name":"r","ScheduleExpression":"rate(1 day)","State":"DISABLED"}`), g.root, nil); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	schedule := func(name, to string) request {
		return request{"scheduler", "POST", "/schedules/" + name, `{"ScheduleExpression":"rate(1 day)","State":"DISABLED","FlexibleTimeWindow":{"Mode":"OFF"},"Target":{"Arn":"` + to + `","RoleArn":"arn:aws:iam::000000000000:role/r"}}`, nil}
	}
	rule := func(to string) request {
		return target("events", "AWSEvents.PutTargets", `{"Rule":"r","Targets":[{"Id":"1","Arn":"`+to+`"}]}`)
	}
	subscribe := func(to string) request {
		return form("sns", "Action=Subscribe&Version=2010-03-31&Protocol=sqs&TopicArn="+url.QueryEscape("arn:aws:sns:us-east-1:000000000000:mine")+"&Endpoint="+url.QueryEscape(to))
	}
	redrive := func(to string) request {
		return target("sqs", "AmazonSQS.CreateQueue", `{"QueueName":"work","Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"`+to+`\",\"maxReceiveCount\":3}"}}`)
	}
	for _, c := range []struct {
		r    request
		want string
	}{
		{schedule("s", queue), "AccessDeniedException"},
		{rule(queue), "because no resource-based policy allows the sqs:SendMessage action"},
		{subscribe(queue), "AuthorizationError"},
		{redrive(queue), "Dead letter target owner should be same as the source."},
		{request{"lambda", "PUT", "/2019-09-25/functions/f/event-invoke-config", `{"DestinationConfig":{"OnSuccess":{"Destination":"` + topic + `"}}}`, nil}, "does not have permissions to call Publish on " + topic},
		{request{"lambda", "POST", "/2015-03-31/event-source-mappings/", `{"FunctionName":"f","EventSourceArn":"` + queue + `"}`, nil}, "does not have permissions to call ReceiveMessage on " + queue},
	} {
		if status, body := g.call(t, c.r, g.root, nil); status/100 != 4 || !strings.Contains(body, c.want) {
			t.Errorf("%s %s for another account: %d %s, want %s", c.r.service, c.r.path, status, body, c.want)
		}
	}
	for _, r := range []request{schedule("s", own), rule(own), subscribe(own), redrive(own)} {
		if status, body := g.call(t, r, g.root, nil); status != 200 || strings.Contains(body, `"FailedEntryCount":1`) {
			t.Errorf("%s %s for its own account: %d %s", r.service, r.path, status, body)
		}
	}
	tags := request{"scheduler", "GET", "/tags/" + url.PathEscape("arn:aws:scheduler:us-east-1:000000000000:schedule-group/g"), "", nil}
	if status, body := g.call(t, request{"scheduler", "POST", "/schedule-groups/g", `{"Tags":[{"Key":"k","Value":"v"}]}`, nil}, g.root, nil); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := g.call(t, tags, g.root, nil); status != 200 || !strings.Contains(body, `"v"`) {
		t.Errorf("its own tags: %d %s", status, body)
	}
	if status, body := g.call(t, tags, g.ordinary, nil); status != 404 || !strings.Contains(body, "ResourceNotFoundException") {
		t.Errorf("another account's tags: %d %s", status, body)
	}
	if err := g.credentials.Disable(g.ordinary.AccessKeyID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := shop.ListTables(ctx, &dynamodb.ListTablesInput{}); err == nil || !strings.Contains(err.Error(), "UnrecognizedClientException") {
		t.Errorf("a disabled key: %v", err)
	}
	if err := g.credentials.Disable(g.ordinary.AccessKeyID, false); err != nil {
		t.Fatal(err)
	}
	if _, err := shop.ListTables(ctx, &dynamodb.ListTablesInput{}); err != nil {
		t.Errorf("a key that was enabled again: %v", err)
	}
}

// Sessions of STS sign for their account, with their token, and only with it.
func TestSessions(t *testing.T) {
	g := openGuarded(t, "on")
	status, body := g.call(t, form("sts", "Action=AssumeRole&Version=2011-06-15&RoleSessionName=s&RoleArn="+url.QueryEscape("arn:aws:iam::111122223333:role/r")), g.ordinary, nil)
	part := func(name string) string {
		_, rest, _ := strings.Cut(body, "<"+name+">")
		value, _, _ := strings.Cut(rest, "</"+name+">")
		return value
	}
	session := aws.Credentials{AccessKeyID: part("AccessKeyId"), SecretAccessKey: part("SecretAccessKey"), SessionToken: part("SessionToken")}
	if status != 200 || !strings.HasPrefix(session.AccessKeyID, "ASIA") {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := g.call(t, reads[0], session, nil); status != 200 {
		t.Errorf("a session: %d %s", status, body)
	}
	if status, body := g.call(t, form("sts", "Action=GetCallerIdentity&Version=2011-06-15"), session, nil); status != 200 || !strings.Contains(body, "111122223333") {
		t.Errorf("a session is of another account: %d %s", status, body)
	}
	bare := session
	bare.SessionToken = ""
	if status, body := g.call(t, reads[0], bare, nil); status != 400 || !strings.Contains(body, "UnrecognizedClientException") {
		t.Errorf("a session without its token: %d %s", status, body)
	}
	other, err := g.credentials.Session("111122223333", time.Hour, false)
	if err != nil {
		t.Fatal(err)
	}
	mixed := session
	mixed.SessionToken = other.SessionToken
	if status, body := g.call(t, reads[0], mixed, nil); status != 400 || !strings.Contains(body, "UnrecognizedClientException") {
		t.Errorf("a session with another's token: %d %s", status, body)
	}
	beside := g.ordinary
	beside.SessionToken = session.SessionToken
	if status, body := g.call(t, reads[0], beside, nil); status != 400 || !strings.Contains(body, "UnrecognizedClientException") {
		t.Errorf("a token beside a key that needs none: %d %s", status, body)
	}
	// A session ends with the key whose it is.
	if err := g.credentials.Disable(g.ordinary.AccessKeyID, true); err != nil {
		t.Fatal(err)
	}
	if status, body := g.call(t, reads[0], session, nil); status != 400 || !strings.Contains(body, "UnrecognizedClientException") {
		t.Errorf("the session of a disabled key: %d %s", status, body)
	}
	// A function's session ends with its process: this one's is not there.
	gone, err := g.credentials.Session("111122223333", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := g.call(t, reads[0], aws.Credentials{AccessKeyID: gone.AccessKeyID, SecretAccessKey: gone.SecretAccessKey, SessionToken: gone.SessionToken}, nil); status != 400 || !strings.Contains(body, "ExpiredTokenException") {
		t.Errorf("the session of a process that is gone: %d %s", status, body)
	}
}

// With warn everybody is let in as before, and counted.
func TestWarn(t *testing.T) {
	g := openGuarded(t, "warn")
	for _, key := range []aws.Credentials{{AccessKeyID: "local", SecretAccessKey: "local"}, g.root} {
		if status, body := g.call(t, reads[0], key, nil); status != 200 {
			t.Errorf("%d %s", status, body)
		}
	}
	// Nobody becomes more by it: neither a session that would be good later, nor a key.
	if _, body := g.call(t, form("sts", "Action=GetSessionToken&Version=2011-06-15"), aws.Credentials{AccessKeyID: "111122223333", SecretAccessKey: "x"}, nil); strings.Contains(body, "ASIA") {
		t.Errorf("a stranger got a session: %s", body)
	}
	for _, key := range []aws.Credentials{{}, {AccessKeyID: "local", SecretAccessKey: "local"}, g.ordinary} {
		r := request{"millstream", "POST", "/_millstream/v1/credentials?operator=true", "", []string{"X-Millstream: 1"}}
		if status, body := g.call(t, r, key, nil); status != 403 {
			t.Errorf("%s makes a key: %d %s", key.AccessKeyID, status, body)
		}
	}
	res, err := http.Get(g.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if want := `millstream_auth_failures_total{mode="warn",reason="UnrecognizedClientException",service="dynamodb"} 1`; err != nil || !strings.Contains(string(body), want) {
		t.Errorf("the metrics have no %s, %v", want, err)
	}
}

// The server's calls of itself are let in: a stack is deployed, by an ordinary key, in its account.
func TestStackOfAGuardedServer(t *testing.T) {
	g := openGuarded(t, "on")
	const template = `{"Resources":{"Orders":{"Type":"AWS::DynamoDB::Table","Properties":{"TableName":"orders","BillingMode":"PAY_PER_REQUEST",
		"AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}}}}`
	status, body := g.call(t, form("cloudformation", "Action=CreateStack&Version=2010-05-15&StackName=s&TemplateBody="+url.QueryEscape(template)), g.ordinary, nil)
	if status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		_, body = g.call(t, form("cloudformation", "Action=DescribeStacks&Version=2010-05-15&StackName=s"), g.ordinary, nil)
		if !strings.Contains(body, "IN_PROGRESS") || time.Now().After(deadline) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !strings.Contains(body, "CREATE_COMPLETE") {
		t.Fatal(body)
	}
	if out, err := g.dynamodb(g.ordinary).ListTables(t.Context(), &dynamodb.ListTablesInput{}); err != nil || !slices.Equal(out.TableNames, []string{"orders"}) {
		t.Errorf("%v, %v", out, err)
	}
}

// Objects are what their hash says; addresses that were signed before are good for their time.
func TestObjectsOfAGuardedServer(t *testing.T) {
	g := openGuarded(t, "on")
	c := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: &g.url, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(g.root.AccessKeyID, g.root.SecretAccessKey, ""),
	})
	ctx := t.Context()
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("things")}); err != nil {
		t.Fatal(err)
	}
	key := aws.String("a b/c+d%20e")
	if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("things"), Key: key, Body: bytes.NewReader([]byte("content"))}); err != nil {
		t.Fatal(err)
	}
	address, err := s3.NewPresignClient(c).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("things"), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]int{address.URL: 200, strings.Replace(address.URL, "X-Amz-Expires=900", "X-Amz-Expires=901", 1): 403} {
		res, err := http.Get(at)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != want {
			t.Errorf("%s: %s", at, res.Status)
		}
	}
	put := request{"s3", "PUT", "/things/k", "content", nil}
	if status, body := g.call(t, put, g.root, func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, 0 }); status < 400 {
		t.Errorf("a body that was taken away: %d %s", status, body)
	}
	if status, body := g.call(t, put, g.root, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("Content")) }); status != 400 || !strings.Contains(body, "XAmzContentSHA256Mismatch") {
		t.Errorf("another body than was signed: %d %s", status, body)
	}
	if status, _ := g.call(t, request{"s3", "GET", "/things/k", "", nil}, g.root, nil); status != 404 {
		t.Errorf("it was stored: %d", status)
	}
	// A list of what is to be deleted is not acted on before all of it is known to be what was signed.
	list := request{"s3", "POST", "/things?delete=", "<Delete><Object><Key>other</Key></Object></Delete>", nil}
	changed := strings.Replace(list.body, "other", "a b/c+d%20e", 1)
	if status, body := g.call(t, list, g.root, func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(changed)), int64(len(changed))
		r.Header.Del("Content-Length")
	}); status < 400 {
		t.Errorf("another list than was signed: %d %s", status, body)
	}
	if _, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("things"), Key: key}); err != nil {
		t.Errorf("it was deleted: %v", err)
	}
}

// No secret of a key stands in the files of the data, and without the file that seals them nothing is opened.
func TestSecretsAreSealed(t *testing.T) {
	dir := t.TempDir()
	made, err := CreateKey(dir, "", "111122223333", "shop", true)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(made.Secret)) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := ListKeys(dir, "")
	if err != nil || len(all) != 1 || all[0].ID != made.ID || !all[0].Operator || all[0].Secret != "" {
		t.Fatalf("%+v, %v", all, err)
	}
	file := filepath.Join(dir, keyFileName)
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	unsealed := func(what string) {
		t.Helper()
		if _, err := Open(Options{Dir: dir, Durability: "none", Auth: "on"}, nil); err == nil || !strings.Contains(err.Error(), "bring that file back") {
			t.Errorf("%s: %v", what, err)
		}
		s, err := Open(Options{Dir: dir, Durability: "none"}, nil) // the data are not lost with the file
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if key, _, _ := s.credentials.Find(made.ID, "", "20261129", "us-east-1", "dynamodb"); key != nil || !s.credentials.Unusable(made.ID) {
			t.Errorf("%s: the key signs", what)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	unsealed("without its file")
	if err := os.WriteFile(file, []byte(strings.Repeat("x", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	unsealed("with another file")
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	if err := DisableKey(dir, "", made.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir, Durability: "none", Auth: "on"}, nil); err == nil || !strings.Contains(err.Error(), "credentials create") {
		t.Errorf("without a key that may sign: %v", err)
	}
	if err := DeleteKey(dir, "", made.ID); err != nil {
		t.Fatal(err)
	}
}
