package app

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

// Nobody sees or changes what another account has, by its name or by its ARN, in any service. What the owner has made has OURS in it; no
// answer to another has that, and at the end the owner finds all of it.
func TestAccountsAreApart(t *testing.T) {
	g := openGuarded(t, "on")
	k, secret, err := g.credentials.Create("444455556666", "theirs", false)
	if err != nil {
		t.Fatal(err)
	}
	theirs := aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: secret}
	const account = "111122223333"
	ofARN := func(service, resource string) string {
		return "arn:aws:" + service + ":us-east-1:" + account + ":" + resource
	}
	path := func(method, service, path, body string) request { return request{service, method, path, body, nil} }
	dynamo := func(op, body string) request { return target("dynamodb", "DynamoDB_20120810."+op, body) }
	logs := func(op, body string) request { return target("logs", "Logs_20140328."+op, body) }
	ssm := func(op, body string) request { return target("ssm", "AmazonSSM."+op, body) }
	sqs := func(op, body string) request { return target("sqs", "AmazonSQS."+op, body) }
	events := func(op, body string) request { return target("events", "AWSEvents."+op, body) }
	query := func(service, version, text string) request { return form(service, "Version="+version+"&"+text) }
	sns := func(text string) request { return query("sns", "2010-03-31", text) }
	iam := func(text string) request { return query("iam", "2010-05-08", text) }
	cloud := func(text string) request { return query("cloudformation", "2010-05-15", text) }
	escaped := url.QueryEscape
	within := func(text, after, before string) string {
		_, rest, ok := strings.Cut(text, after)
		found, _, closed := strings.Cut(rest, before)
		if !ok || !closed {
			t.Fatalf("no %q in %s", after, text)
		}
		return found
	}
	own := func(r request) string {
		t.Helper()
		status, body := g.call(t, r, g.ordinary, nil)
		if status/100 != 2 {
			t.Fatalf("its own %s %s %.200s: %d %s", r.service, r.path, r.body, status, body)
		}
		return body
	}

	// What the owner makes.
	own(dynamo("CreateTable", `{"TableName":"OURS","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST","StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_IMAGE"},"Tags":[{"Key":"k","Value":"OURS"}]}`))
	own(dynamo("PutItem", `{"TableName":"OURS","Item":{"id":{"S":"1"},"x":{"S":"OURS"}}}`))
	stream := within(own(dynamo("DescribeTable", `{"TableName":"OURS"}`)), `"LatestStreamArn":"`, `"`)
	backup := within(own(dynamo("CreateBackup", `{"TableName":"OURS","BackupName":"OURS"}`)), `"BackupArn":"`, `"`)
	code := fmt.Sprintf(`"Code":{"ZipFile":%q}`, zipped(t, "bootstrap", "#!/bin/sh\nexit 1\n"))
	role := `"Role":"arn:aws:iam::111122223333:role/r"`
	own(path("POST", "lambda", "/2015-03-31/functions", `{"FunctionName":"f","Runtime":"provided.al2023","Handler":"OURS",`+role+`,`+code+`,"Environment":{"Variables":{"AB":"OURS"}}}`))
	own(path("POST", "lambda", "/2021-10-31/functions/f/url", `{"AuthType":"AWS_IAM"}`))
	layer := within(own(path("POST", "lambda", "/2018-10-31/layers/OURS/versions", fmt.Sprintf(`{"Content":{"ZipFile":%q}}`, zipped(t, "x", "OURS")))), `"LayerVersionArn":"`, `"`)
	mapping := within(own(path("POST", "lambda", "/2015-03-31/event-source-mappings/", `{"FunctionName":"f","StartingPosition":"LATEST","Enabled":false,"EventSourceArn":"`+stream+`"}`)), `"UUID":"`, `"`)
	own(sqs("CreateQueue", `{"QueueName":"OURS"}`))
	own(sqs("SendMessage", `{"QueueUrl":"`+g.url+`/111122223333/OURS","MessageBody":"OURS"}`))
	own(sns("Action=CreateTopic&Name=OURS"))
	subscription := within(own(sns("Action=Subscribe&Protocol=sqs&ReturnSubscriptionArn=true&TopicArn="+escaped(ofARN("sns", "OURS"))+"&Endpoint="+escaped(ofARN("sqs", "OURS")))), "<SubscriptionArn>", "<")
	own(events("PutRule", `{"Name":"OURS","ScheduleExpression":"rate(1 day)","State":"DISABLED"}`))
	own(path("POST", "scheduler", "/schedule-groups/OURS", "{}"))
	own(path("POST", "scheduler", "/schedules/OURS", `{"GroupName":"OURS","ScheduleExpression":"rate(1 day)","State":"DISABLED","FlexibleTimeWindow":{"Mode":"OFF"},"Target":{"Arn":"`+ofARN("sqs", "OURS")+`","RoleArn":"arn:aws:iam::111122223333:role/r"}}`))
	own(ssm("PutParameter", `{"Name":"/OURS","Type":"String","Value":"OURS"}`))
	own(logs("CreateLogGroup", `{"logGroupName":"OURS"}`))
	own(iam("Action=CreateRole&RoleName=OURS&AssumeRolePolicyDocument=" + escaped(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)))
	own(iam("Action=CreatePolicy&PolicyName=OURS&PolicyDocument=" + escaped(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)))
	stack := within(own(cloud("Action=CreateStack&StackName=OURS&TemplateBody="+escaped(`{"Resources":{"Q":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":"OURS-of-stack"}}},"Outputs":{"O":{"Value":"OURS","Export":{"Name":"OURS"}}}}`))), "<StackId>", "<")
	own(path("PUT", "s3", "/ours-bucket", ""))
	own(path("PUT", "s3", "/ours-bucket/OURS", "OURS"))
	own(path("PUT", "s3", "/ours-bucket/template", "{\"Description\":\"OURS\",\"Resources\":{}}"))
	g.stacks.Rest(t.Context(), stack)

	// What another tries. want is a part of the answer.
	table := ofARN("dynamodb", "table/OURS")
	for _, c := range []struct {
		r      request
		status int
		want   string
	}{
		{dynamo("ListTables", `{}`), 200, `"TableNames":[]`},
		{dynamo("DescribeTable", `{"TableName":"OURS"}`), 400, "ResourceNotFoundException"},
		{dynamo("DescribeTable", `{"TableName":"`+table+`"}`), 400, "ResourceNotFoundException"},
		{dynamo("GetItem", `{"TableName":"`+table+`","Key":{"id":{"S":"1"}}}`), 400, "ResourceNotFoundException"},
		{dynamo("PutItem", `{"TableName":"`+table+`","Item":{"id":{"S":"2"}}}`), 400, "ResourceNotFoundException"},
		{dynamo("Query", `{"TableName":"`+table+`","KeyConditionExpression":"id = :i","ExpressionAttributeValues":{":i":{"S":"1"}}}`), 400, "ResourceNotFoundException"},
		{dynamo("Scan", `{"TableName":"`+table+`"}`), 400, "ResourceNotFoundException"},
		{dynamo("BatchGetItem", `{"RequestItems":{"`+table+`":{"Keys":[{"id":{"S":"1"}}]}}}`), 400, "ResourceNotFoundException"},
		{dynamo("BatchWriteItem", `{"RequestItems":{"`+table+`":[{"DeleteRequest":{"Key":{"id":{"S":"1"}}}}]}}`), 400, "ResourceNotFoundException"},
		{dynamo("TransactWriteItems", `{"TransactItems":[{"Delete":{"TableName":"`+table+`","Key":{"id":{"S":"1"}}}}]}`), 400, "ResourceNotFoundException"},
		{target("dynamodb", wire.SendingTarget, `{"TransactItems":[{"Delete":{"TableName":"`+table+`","Key":{"id":{"S":"1"}}}}],"SendMessages":[{"QueueUrl":"/444455556666/q","MessageBody":"x"}]}`), 400, "ResourceNotFoundException"},
		{target("dynamodb", wire.SendingTarget, `{"TransactItems":[{"Delete":{"TableName":"theirs","Key":{"id":{"S":"1"}}}}],"SendMessages":[{"QueueUrl":"`+g.url+`/111122223333/OURS","MessageBody":"x"}]}`), 400, "MessagesRefusedException"},
		{target("dynamodb", wire.SendingTarget, `{"ClientRequestToken":"t","TransactItems":[{"Delete":{"TableName":"theirs","Key":{"id":{"S":"1"}}}}],"SendMessages":[{"QueueUrl":"`+g.url+`/111122223333/OURS","MessageBody":"x"}]}`), 400, "ValidationException"},
		{dynamo("TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"`+table+`","Key":{"id":{"S":"1"}}}}]}`), 400, "ResourceNotFoundException"},
		{dynamo("ExecuteStatement", `{"Statement":"SELECT * FROM \"OURS\""}`), 400, "ResourceNotFoundException"},
		{dynamo("DeleteTable", `{"TableName":"`+table+`"}`), 400, "ResourceNotFoundException"},
		{dynamo("ListTagsOfResource", `{"ResourceArn":"`+table+`"}`), 400, "AccessDeniedException"},
		{dynamo("GetResourcePolicy", `{"ResourceArn":"`+table+`"}`), 400, "This action is only supported by accounts that match the resource owner’s account."},
		{dynamo("ListBackups", `{}`), 200, `"BackupSummaries":[]`},
		{dynamo("DescribeBackup", `{"BackupArn":"`+backup+`"}`), 400, "BackupNotFoundException"},
		{dynamo("DeleteBackup", `{"BackupArn":"`+backup+`"}`), 400, "BackupNotFoundException"},
		{dynamo("RestoreTableFromBackup", `{"TargetTableName":"stolen","BackupArn":"`+backup+`"}`), 400, "BackupNotFoundException"},
		{dynamo("ExportTableToPointInTime", `{"S3Bucket":"ours-bucket","TableArn":"`+table+`"}`), 400, "TableNotFoundException"},
		{target("dynamodb", "DynamoDBStreams_20120810.ListStreams", `{}`), 200, `"Streams":[]`},
		{target("dynamodb", "DynamoDBStreams_20120810.DescribeStream", `{"StreamArn":"`+stream+`"}`), 400, "ResourceNotFoundException"},
		{target("dynamodb", "DynamoDBStreams_20120810.GetShardIterator", `{"StreamArn":"`+stream+`","ShardId":"shardId-00000000000000000000-00000000","ShardIteratorType":"TRIM_HORIZON"}`), 400, "ResourceNotFoundException"},

		{path("GET", "lambda", "/2015-03-31/functions/", ""), 200, `"Functions":[]`},
		{path("GET", "lambda", "/2015-03-31/functions/f", ""), 404, "ResourceNotFoundException"},
		{path("GET", "lambda", "/2015-03-31/functions/"+url.PathEscape(ofARN("lambda", "function:f")), ""), 404, "ResourceNotFoundException"},
		{path("GET", "lambda", "/2015-03-31/functions/"+account+":f", ""), 404, "ResourceNotFoundException"},
		{path("GET", "lambda", "/2015-03-31/functions/"+url.PathEscape(ofARN("lambda", "function:f"))+"/configuration", ""), 404, "ResourceNotFoundException"},
		{path("PUT", "lambda", "/2015-03-31/functions/"+url.PathEscape(ofARN("lambda", "function:f"))+"/configuration", `{"Timeout":9}`), 404, "ResourceNotFoundException"},
		{path("POST", "lambda", "/2015-03-31/functions/"+url.PathEscape(ofARN("lambda", "function:f"))+"/invocations", `{}`), 404, "ResourceNotFoundException"},
		{path("DELETE", "lambda", "/2015-03-31/functions/"+url.PathEscape(ofARN("lambda", "function:f")), ""), 404, "ResourceNotFoundException"},
		{path("GET", "lambda", "/2021-10-31/functions/"+url.PathEscape(ofARN("lambda", "function:f"))+"/url", ""), 404, "ResourceNotFoundException"},
		{path("GET", "lambda", "/2017-03-31/tags/"+url.PathEscape(ofARN("lambda", "function:f")), ""), 404, "ResourceNotFoundException"},
		{path("GET", "lambda", "/2018-10-31/layers", ""), 200, `"Layers":[]`},
		{path("GET", "lambda", "/2018-10-31/layers?find=LayerVersion&Arn="+escaped(layer), ""), 404, "ResourceNotFoundException"},
		{path("GET", "lambda", "/2015-03-31/event-source-mappings/", ""), 200, `"EventSourceMappings":[]`},
		{path("GET", "lambda", "/2015-03-31/event-source-mappings/"+mapping, ""), 404, "ResourceNotFoundException"},
		{path("DELETE", "lambda", "/2015-03-31/event-source-mappings/"+mapping, ""), 404, "ResourceNotFoundException"},

		{sqs("ListQueues", `{}`), 200, "{"},
		{sqs("GetQueueUrl", `{"QueueName":"OURS"}`), 400, "QueueDoesNotExist"},
		{sqs("ReceiveMessage", `{"QueueUrl":"`+g.url+`/111122223333/OURS"}`), 400, "QueueDoesNotExist"},
		{sqs("SendMessage", `{"QueueUrl":"`+g.url+`/111122223333/OURS","MessageBody":"x"}`), 400, "QueueDoesNotExist"},
		{sqs("DeleteQueue", `{"QueueUrl":"`+g.url+`/111122223333/OURS"}`), 400, "QueueDoesNotExist"},

		{sns("Action=ListTopics"), 200, "<ListTopicsResult"},
		{sns("Action=ListSubscriptions"), 200, "<ListSubscriptionsResult"},
		{sns("Action=GetTopicAttributes&TopicArn=" + escaped(ofARN("sns", "OURS"))), 403, "AuthorizationError"},
		{sns("Action=DeleteTopic&TopicArn=" + escaped(ofARN("sns", "OURS"))), 403, "AuthorizationError"},
		{sns("Action=GetSubscriptionAttributes&SubscriptionArn=" + escaped(subscription)), 403, "AuthorizationError"},
		{sns("Action=Unsubscribe&SubscriptionArn=" + escaped(subscription)), 403, "AuthorizationError"},
		{sns("Action=ListSubscriptionsByTopic&TopicArn=" + escaped(ofARN("sns", "OURS"))), 403, "AuthorizationError"},

		{events("ListRules", `{}`), 200, `"Rules":[]`},
		{events("DescribeRule", `{"Name":"OURS"}`), 400, "ResourceNotFoundException"},
		{events("ListTagsForResource", `{"ResourceARN":"`+ofARN("events", "rule/OURS")+`"}`), 400, ""},
		{path("GET", "scheduler", "/schedules", ""), 200, `"Schedules":[]`},
		{path("GET", "scheduler", "/schedules/OURS?groupName=OURS", ""), 404, "ResourceNotFoundException"},
		{path("DELETE", "scheduler", "/schedules/OURS?groupName=OURS", ""), 404, "ResourceNotFoundException"},
		{path("DELETE", "scheduler", "/schedule-groups/OURS", ""), 404, "ResourceNotFoundException"},

		{ssm("DescribeParameters", `{}`), 200, `"Parameters":[]`},
		{ssm("GetParameter", `{"Name":"/OURS"}`), 400, "ParameterNotFound"},
		{ssm("GetParameter", `{"Name":"`+ofARN("ssm", "parameter/OURS")+`"}`), 400, ""},
		{ssm("DeleteParameter", `{"Name":"`+ofARN("ssm", "parameter/OURS")+`"}`), 400, ""},
		{logs("DescribeLogGroups", `{}`), 200, `"logGroups":[]`},
		{logs("DescribeLogStreams", `{"logGroupName":"OURS"}`), 400, "ResourceNotFoundException"},
		{logs("DescribeLogStreams", `{"logGroupIdentifier":"`+ofARN("logs", "log-group:OURS")+`"}`), 400, ""},
		{logs("DeleteLogGroup", `{"logGroupName":"OURS"}`), 400, "ResourceNotFoundException"},
		{logs("ListTagsForResource", `{"resourceArn":"`+ofARN("logs", "log-group:OURS")+`"}`), 400, ""},

		{iam("Action=ListRoles"), 200, "<ListRolesResult"},
		{iam("Action=GetRole&RoleName=OURS"), 404, "NoSuchEntity"},
		{iam("Action=GetPolicy&PolicyArn=" + escaped("arn:aws:iam::"+account+":policy/OURS")), 0, ""},
		{iam("Action=DeletePolicy&PolicyArn=" + escaped("arn:aws:iam::"+account+":policy/OURS")), 0, ""},

		{cloud("Action=ListStacks"), 200, "<ListStacksResult"},
		{cloud("Action=ListExports"), 200, "<ListExportsResult"},
		{cloud("Action=DescribeStacks&StackName=OURS"), 400, "does not exist"},
		{cloud("Action=DescribeStacks&StackName=" + escaped(stack)), 400, "does not exist"},
		{cloud("Action=GetTemplate&StackName=" + escaped(stack)), 400, "does not exist"},
		{cloud("Action=DeleteStack&StackName=" + escaped(stack)), 0, ""},
		{cloud("Action=CreateStack&StackName=theirs&TemplateURL=" + escaped("https://ours-bucket.s3.amazonaws.com/template")), 400, "Access Denied"},

		{path("GET", "s3", "/", ""), 200, "<Buckets"},
		{path("HEAD", "s3", "/ours-bucket", ""), 403, ""},
		{path("GET", "s3", "/ours-bucket", ""), 403, "<Code>AccessDenied</Code><Message>Access Denied</Message>"},
		{path("GET", "s3", "/ours-bucket/OURS", ""), 403, "<Code>AccessDenied</Code>"},
		{path("GET", "s3", "/ours-bucket/absent", ""), 403, "<Code>AccessDenied</Code>"},
		{path("GET", "s3", "/ours-bucket?location", ""), 403, "<Code>AccessDenied</Code>"},
		{path("GET", "s3", "/ours-bucket?tagging", ""), 403, "<Code>AccessDenied</Code>"},
		{path("GET", "s3", "/ours-bucket?uploads", ""), 403, "<Code>AccessDenied</Code>"},
		{path("POST", "s3", "/ours-bucket/OURS?uploads", ""), 403, "<Code>AccessDenied</Code>"},
		{path("PUT", "s3", "/ours-bucket/OURS", "theirs"), 403, "<Code>AccessDenied</Code>"},
		{path("PUT", "s3", "/ours-bucket?policy", "{}"), 403, "<Code>AccessDenied</Code>"},
		{path("PUT", "s3", "/ours-bucket", ""), 409, "<Code>BucketAlreadyExists</Code>"},
		{path("DELETE", "s3", "/ours-bucket/OURS", ""), 403, "<Code>AccessDenied</Code>"},
		{path("DELETE", "s3", "/ours-bucket", ""), 403, "<Code>AccessDenied</Code>"},
		{path("PUT", "s3", "/their-bucket", ""), 200, ""},
		{request{"s3", "PUT", "/their-bucket/copy", "", []string{"X-Amz-Copy-Source: /ours-bucket/OURS"}}, 403, "<Code>AccessDenied</Code>"},
		{request{"s3", "PUT", "/their-bucket/copy", "", []string{"X-Amz-Copy-Source: ours-bucket%2FOURS"}}, 403, "<Code>AccessDenied</Code>"},
		{request{"s3", "PUT", "/their-bucket/x", "", []string{"X-Amz-Expected-Bucket-Owner: 111122223333"}}, 403, "<Code>AccessDenied</Code>"},
		{path("POST", "lambda", "/2015-03-31/functions", `{"FunctionName":"thief","Runtime":"provided.al2023","Handler":"x",`+role+`,"Code":{"S3Bucket":"ours-bucket","S3Key":"OURS"}}`), 400, "S3 Error Code: AccessDenied. S3 Error Message: Access Denied"},
		{path("POST", "lambda", "/2018-10-31/layers/thief/versions", `{"Content":{"S3Bucket":"ours-bucket","S3Key":"OURS"}}`), 400, "S3 Error Code: AccessDenied"},
	} {
		status, body := g.call(t, c.r, theirs, nil)
		what := fmt.Sprintf("%s %s %s %.120s", c.r.service, c.r.method, c.r.path, strings.Join(c.r.headers, " ")+c.r.body)
		if c.status != 0 && status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %.300s; want %d %s", what, status, body, c.status, c.want)
		}
		if status == 200 && strings.Contains(body, "OURS") || strings.Contains(body, `"x"`) {
			t.Errorf("%s tells %.300s", what, body)
		}
	}

	// An export into another's bucket fails, and so does an import of what lies there.
	their := func(r request) string {
		t.Helper()
		status, body := g.call(t, r, theirs, nil)
		if status/100 != 2 {
			t.Fatalf("%s %s: %d %s", r.service, r.body, status, body)
		}
		return body
	}
	their(dynamo("CreateTable", `{"TableName":"theirs","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}`))
	export := within(their(dynamo("ExportTableToPointInTime", `{"S3Bucket":"ours-bucket","TableArn":"arn:aws:dynamodb:us-east-1:444455556666:table/theirs"}`)), `"ExportArn":"`, `"`)
	imported := within(their(dynamo("ImportTable", `{"ClientToken":"t","S3BucketSource":{"S3Bucket":"ours-bucket"},"InputFormat":"DYNAMODB_JSON","TableCreationParameters":{"TableName":"imported","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}}`)), `"ImportArn":"`, `"`)
	for _, r := range []request{dynamo("DescribeExport", `{"ExportArn":"`+export+`"}`), dynamo("DescribeImport", `{"ImportArn":"`+imported+`"}`)} {
		deadline := time.Now().Add(time.Minute)
		body := their(r)
		for strings.Contains(body, "IN_PROGRESS") && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
			body = their(r)
		}
		if !strings.Contains(body, "S3AccessDenied") {
			t.Errorf("%s: %s", r.headers[0], body)
		}
		if status, body := g.call(t, r, g.ordinary, nil); status != 400 {
			t.Errorf("%s by another: %d %s", r.headers[0], status, body)
		}
	}

	// Another's layer has nothing in it.
	if body := their(path("POST", "lambda", "/2015-03-31/functions", `{"FunctionName":"thief","Runtime":"provided.al2023","Handler":"x",`+role+`,`+code+`,"Layers":["`+layer+`"]}`)); !strings.Contains(body, `"Layers":[{"Arn":"`+layer+`","CodeSize":0}]`) {
		t.Errorf("a function with another's layer: %s", body)
	}

	// All of it is there.
	for _, r := range []request{
		dynamo("GetItem", `{"TableName":"OURS","Key":{"id":{"S":"1"}}}`), dynamo("DescribeBackup", `{"BackupArn":"`+backup+`"}`),
		path("GET", "lambda", "/2015-03-31/functions/f", ""), path("GET", "lambda", "/2018-10-31/layers?find=LayerVersion&Arn="+escaped(layer), ""), path("GET", "lambda", "/2015-03-31/event-source-mappings/"+mapping, ""),
		sqs("ReceiveMessage", `{"QueueUrl":"`+g.url+`/111122223333/OURS"}`), sns("Action=ListSubscriptions"), events("ListRules", `{}`), path("GET", "scheduler", "/schedules", ""),
		ssm("GetParameter", `{"Name":"/OURS"}`), logs("DescribeLogGroups", `{}`), iam("Action=GetRole&RoleName=OURS"), iam("Action=GetPolicy&PolicyArn=" + escaped("arn:aws:iam::"+account+":policy/OURS")),
		cloud("Action=DescribeStacks&StackName=OURS"), path("GET", "s3", "/ours-bucket/OURS", ""),
	} {
		if body := own(r); !strings.Contains(body, "OURS") {
			t.Errorf("%s %s %s is %s", r.service, r.path, r.body, body)
		}
	}
	res, err := http.Get(g.url + "/ours-bucket/OURS")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	if res.Body.Close(); res.StatusCode == 200 {
		t.Errorf("a stranger gets %s", body)
	}
	if body := own(path("GET", "s3", "/", "")); !strings.Contains(body, "<Name>ours-bucket</Name>") || strings.Contains(body, "their-bucket") {
		t.Errorf("its buckets are %s", body)
	}
}
