package app

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// An update of a stack gives queues and topics the attributes and tags of the new template. What it no longer names goes back to what a new one has, but
// for DeduplicationScope and FifoThroughputLimit, and the size of messages is CloudFormation's then. (Recordings of AWS show it so.)
func TestStackUpdatesQueuesAndTopics(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	queue := func(operation string) string {
		t.Helper()
		code, body := f.call("sqs", "AmazonSQS."+operation, `{"QueueUrl":"/`+a.Scope().Account+`/q.fifo","AttributeNames":["All"]}`)
		if code != 200 {
			t.Fatal(body)
		}
		return body
	}
	topic := func(action string) string {
		t.Helper()
		arn := a.Scope().ARN("sns", "t")
		_, body := f.call("sns", "", url.Values{"Action": {action}, "TopicArn": {arn}, "ResourceArn": {arn}}.Encode())
		return body
	}
	has := func(what, text string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			lacks, isNot := strings.CutPrefix(p, "!")
			if strings.Contains(text, lacks) == isNot {
				t.Errorf("%s: %s in %s", what, p, text)
			}
		}
	}
	const fixed = "Resources:\n  D: {Type: 'AWS::SQS::Queue', Properties: {FifoQueue: true}}\n  Q:\n    Type: AWS::SQS::Queue\n    Properties: {QueueName: q.fifo, FifoQueue: true"
	f.made("shop", fixed+`, ContentBasedDeduplication: true, DeduplicationScope: messageGroup, FifoThroughputLimit: perMessageGroupId, DelaySeconds: 13,
      MaximumMessageSize: 3232, MessageRetentionPeriod: 13425, ReceiveMessageWaitTimeSeconds: 15, VisibilityTimeout: 42, KmsMasterKeyId: alias/aws/sqs,
      KmsDataKeyReusePeriodSeconds: 200, RedrivePolicy: {deadLetterTargetArn: !GetAtt D.Arn, maxReceiveCount: 7}, Tags: [{Key: a, Value: '1'}, {Key: b, Value: '2'}]}
  T: {Type: 'AWS::SNS::Topic', Properties: {TopicName: t, DisplayName: one, TracingConfig: Active, Tags: [{Key: a, Value: '1'}, {Key: b, Value: '2'}]}}
`)
	has("made", queue("GetQueueAttributes"), `"KmsMasterKeyId":"alias/aws/sqs"`, `"KmsDataKeyReusePeriodSeconds":"200"`, `"SqsManagedSseEnabled":"false"`)
	has("made", topic("GetTopicAttributes"), "<value>one</value>", "<value>Active</value>")
	f.updated("shop", fixed+", KmsMasterKeyId: alias/aws/sqs, VisibilityTimeout: 43, Tags: [{Key: b, Value: '3'}]}\n"+
		"  T: {Type: 'AWS::SNS::Topic', Properties: {TopicName: t, DisplayName: two, Tags: [{Key: b, Value: '3'}]}}\n", "UPDATE_COMPLETE")
	has("updated", queue("GetQueueAttributes"), `"VisibilityTimeout":"43"`, `"KmsMasterKeyId":"alias/aws/sqs"`, `"DelaySeconds":"0"`)
	has("updated", queue("ListQueueTags"), `"Tags":{"b":"3"}`)
	has("updated", topic("GetTopicAttributes"), "<value>two</value>", "<value>PassThrough</value>")
	has("updated", topic("ListTagsForResource"), "<Tags><member><Key>b</Key><Value>3</Value></member></Tags>")
	f.updated("shop", fixed+"}\n", "UPDATE_COMPLETE")
	has("bare", queue("GetQueueAttributes"), `"ContentBasedDeduplication":"false"`, `"DeduplicationScope":"messageGroup"`, `"FifoThroughputLimit":"perMessageGroupId"`,
		`"MaximumMessageSize":"262144"`, `"MessageRetentionPeriod":"345600"`, `"ReceiveMessageWaitTimeSeconds":"0"`, `"VisibilityTimeout":"30"`, `"SqsManagedSseEnabled":"false"`,
		"!Kms", "!RedrivePolicy")
	has("bare", queue("ListQueueTags"), "!Tags")
}

// A deployment, by CloudFormation and by millstream deploy, takes back what the template named before and names no more. What somebody else has set stays: a
// retention that went back to four days would take messages with it. An update that fails takes back what it has set.
func TestStackLeavesWhatOthersHaveSet(t *testing.T) {
	const (
		first  = "DelaySeconds: 13, Tags: [{Key: a, Value: '1'}, {Key: b, Value: '2'}]"
		topic  = "  T: {Type: 'AWS::SNS::Topic', Properties: {TopicName: t, DisplayName: %, Tags: [{Key: a, Value: '1'}]}}\n"
		hands  = `"MessageRetentionPeriod":"1209600"`
		policy = `"RedrivePolicy":`
	)
	of := func(queue, display string) string {
		return "Resources:\n  Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: q, " + queue + "}}\n" + strings.ReplaceAll(topic, "%", display)
	}
	for _, cloudFormation := range []bool{true, false} {
		a := openForStacks(t, nil)
		defer a.Close()
		f := &formation{t, a}
		deploy := func(tpl string, bad bool) {
			t.Helper()
			switch {
			case bad && cloudFormation:
				f.updated("shop", tpl, "UPDATE_ROLLBACK_COMPLETE")
			case bad: // the next one takes back what it has set
				if (&deployer{formation: f, stack: "shop"}).deploy(tpl, false) == nil {
					t.Fatal("it did not fail")
				}
			case !cloudFormation:
				if err := (&deployer{formation: f, stack: "shop"}).deploy(tpl, false); err != nil {
					t.Fatal(err)
				}
			case f.do("DescribeStacks", "StackName", "shop").Error.Code != "":
				f.made("shop", tpl)
			default:
				f.updated("shop", tpl, "UPDATE_COMPLETE")
			}
		}
		at := `"QueueUrl":"/` + a.Scope().Account + `/q"`
		has := func(parts ...string) {
			t.Helper()
			_, attributes := f.call("sqs", "AmazonSQS.GetQueueAttributes", "{"+at+`,"AttributeNames":["All"]}`)
			_, tags := f.call("sqs", "AmazonSQS.ListQueueTags", "{"+at+"}")
			arn := a.Scope().ARN("sns", "t")
			_, topic := f.call("sns", "", url.Values{"Action": {"GetTopicAttributes"}, "TopicArn": {arn}}.Encode())
			_, topicTags := f.call("sns", "", url.Values{"Action": {"ListTagsForResource"}, "ResourceArn": {arn}}.Encode())
			for _, p := range parts {
				lacks, isNot := strings.CutPrefix(p, "!")
				if all := attributes + tags + topic + topicTags; strings.Contains(all, lacks) == isNot {
					t.Errorf("by CloudFormation %v: %s in %s", cloudFormation, p, all)
				}
			}
		}
		deploy(of(first, "one"), false)
		for _, c := range []string{
			"SetQueueAttributes {" + at + `,"Attributes":{` + hands + `,"RedrivePolicy":"{\"deadLetterTargetArn\":\"` + a.Scope().QueueARN("q") + `\",\"maxReceiveCount\":3}"}}`,
			"TagQueue {" + at + `,"Tags":{"hand":"x"}}`,
		} {
			operation, body, _ := strings.Cut(c, " ")
			if code, answer := f.call("sqs", "AmazonSQS."+operation, body); code != 200 {
				t.Fatal(answer)
			}
		}
		f.call("sns", "", url.Values{"Action": {"TagResource"}, "ResourceArn": {a.Scope().ARN("sns", "t")}, "Tags.member.1.Key": {"ours"}, "Tags.member.1.Value": {"y"}}.Encode())
		f.call("sns", "", url.Values{"Action": {"SetTopicAttributes"}, "TopicArn": {a.Scope().ARN("sns", "t")}, "AttributeName": {"TracingConfig"}, "AttributeValue": {"Active"}}.Encode())
		others := []string{hands, policy, `"hand":"x"`, "<Key>ours</Key>", "<value>Active</value>"}
		deploy(of(first, "two"), false)
		has(append(others, "<value>two</value>", `"DelaySeconds":"13"`, `"b":"2"`, "<Key>a</Key>")...)
		spoil(a, func(target, body string) bool {
			return target == "AmazonSQS.TagQueue" && strings.Contains(body, "spoiled")
		}) // the attributes are set then
		deploy(of("VisibilityTimeout: 44, "+strings.Replace(first, "]", ", {Key: spoiled, Value: ''}]", 1), "two"), true)
		deploy(of("Tags: [{Key: b, Value: '2'}]", "three"), false)
		has(append(others, `"DelaySeconds":"0"`, `"VisibilityTimeout":"30"`, `!"a":`, `"b":"2"`)...)
	}
}

// Policies of a template are kept with their queues and topics, and go with it.
func TestStackWithPolicies(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	policies := func(want ...string) {
		t.Helper()
		for i, name := range []string{"one", "two"} {
			code, body := f.call("sqs", "AmazonSQS.GetQueueAttributes", `{"QueueUrl":"/`+a.Scope().Account+`/`+name+`","AttributeNames":["Policy"]}`)
			if has := strings.Contains(body, "Policy"); code != 200 || has != (want[i] != "") || !strings.Contains(body, want[i]) {
				t.Errorf("%s has %s, not %s", name, body, want[i])
			}
		}
		_, body := f.call("sns", "", url.Values{"Action": {"GetTopicAttributes"}, "TopicArn": {a.Scope().ARN("sns", "t")}}.Encode())
		if !strings.Contains(body, want[2]) {
			t.Errorf("the topic has %s, not %s", body, want[2])
		}
	}
	const (
		fixed    = "Resources:\n  One: {Type: 'AWS::SQS::Queue', Properties: {QueueName: one}}\n  Two: {Type: 'AWS::SQS::Queue', Properties: {QueueName: two}}\n  T: {Type: 'AWS::SNS::Topic', Properties: {TopicName: t}}\n"
		queues   = "  P: {Type: 'AWS::SQS::QueuePolicy', Properties: {Queues: [%s], PolicyDocument: {Id: %s, Statement: [{Resource: !GetAtt One.Arn}]}}}\n"
		standard = "__default_policy_ID"
	)
	with := func(names, id string) string {
		return strings.Replace(strings.Replace(queues, "%s", names, 1), "%s", id, 1)
	}
	f.made("shop", fixed+with("!Ref One, !Ref Two", "first")+"  S: {Type: 'AWS::SNS::TopicPolicy', Properties: {Topics: [!Ref T], PolicyDocument: {Id: ours}}}\n")
	policies("first", "first", "ours")
	f.updated("shop", fixed+with("!Ref Two", "second"), "UPDATE_COMPLETE")
	policies("", "second", standard)
	f.updated("shop", fixed+"  P: {Type: 'AWS::SQS::QueueInlinePolicy', Properties: {Queue: !Ref One, PolicyDocument: {Id: third}}}\n"+fails("P"), "UPDATE_ROLLBACK_COMPLETE")
	policies("", "second", standard)
	f.updated("shop", fixed+"  E: {Type: 'AWS::SQS::QueuePolicy', Properties: {Queues: ['https://sqs.eu-west-1.amazonaws.com/1/elsewhere'], PolicyDocument: {}}}\n", "UPDATE_COMPLETE")
	policies("", "", standard)
	f.well("DeleteStack", "StackName", "shop")
	if got := f.rest("shop"); !strings.Contains(got, "does not exist") {
		t.Errorf("the stack is %s", got)
	}
}

// Calls of topics may have their members in the address, and come by GET when they are signed in a header.
func TestTopicsByAddress(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	call := func(method, query string, signed bool) (int, string) {
		r := httptest.NewRequest(method, "http://127.0.0.1/?"+query, nil)
		const credential = "test/20260101/us-east-1/sns/aws4_request"
		if signed {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+credential+", SignedHeaders=host, Signature="+strings.Repeat("0", 64))
			r.Header.Set("X-Amz-Date", "20260101T000000Z")
		} else {
			r.URL.RawQuery += "&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + url.QueryEscape(credential) + "&X-Amz-Date=20260101T000000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=" + strings.Repeat("0", 64)
		}
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	for _, c := range []struct {
		method, query string
		signed        bool
		code          int
	}{
		{"POST", "Action=CreateTopic&Name=one", true, 200}, {"GET", "Action=CreateTopic&Name=two", true, 200}, {"GET", "Action=CreateTopic&Name=three", false, 405},
	} {
		if code, body := call(c.method, c.query, c.signed); code != c.code {
			t.Errorf("%s %s: %d %s", c.method, c.query, code, body)
		}
	}
	_, body := f.call("sns", "", "Action=ListTopics")
	if !strings.Contains(body, ":one<") || !strings.Contains(body, ":two<") || strings.Contains(body, ":three<") {
		t.Errorf("there are %s", body)
	}
}
