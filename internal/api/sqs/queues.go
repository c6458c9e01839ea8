package sqs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/queue"
)

var operations map[string]operation

func init() {
	operations = map[string]operation{
		"AddPermission": addPermission, "CancelMessageMoveTask": cancelMove, "ChangeMessageVisibility": changeVisibility,
		"ChangeMessageVisibilityBatch": changeVisibilityBatch, "CreateQueue": createQueue, "DeleteMessage": deleteMessage,
		"DeleteMessageBatch": deleteMessageBatch, "DeleteQueue": deleteQueue, "GetQueueAttributes": getAttributes, "GetQueueUrl": getURL,
		"ListDeadLetterSourceQueues": listSources, "ListMessageMoveTasks": listMoves, "ListQueueTags": listTags, "ListQueues": listQueues,
		"PurgeQueue": purge, "ReceiveMessage": receiveMessage, "RemovePermission": removePermission, "SendMessage": sendMessage,
		"SendMessageBatch": sendMessageBatch, "SetQueueAttributes": setAttributes, "StartMessageMoveTask": startMove,
		"TagQueue": tagQueue, "UntagQueue": untagQueue,
	}
}

// find is the queue that a call is about: by its URL, of which the path counts.
func (c *call) find() (*queue.Queue, error) {
	return c.queues.FindURL(c.scope, c.queueURL)
}

func (c *call) url(q *queue.Queue) string {
	return c.base + "/" + q.Scope().Account + "/" + q.Name()
}

func createQueue(_ context.Context, c *call) error {
	if c.queueName == "" {
		return awserr.QueueParameterMissing("QueueName")
	}
	q, err := c.queues.Create(c.scope, c.queueName, c.attributes, c.tags)
	if err == nil {
		c.w.text("QueueUrl", c.url(q))
	}
	return err
}

func getURL(_ context.Context, c *call) error {
	if c.queueName == "" {
		return awserr.QueueParameterMissing("QueueName")
	}
	scope := c.scope
	if c.owner != "" {
		scope.Account = c.owner
	}
	q, err := c.queues.Find(scope, c.queueName)
	if err == nil {
		c.w.text("QueueUrl", c.url(q))
	}
	return err
}

func deleteQueue(_ context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	return c.queues.Delete(q)
}

func listQueues(_ context.Context, c *call) error {
	all := slices.DeleteFunc(c.queues.All(c.scope), func(q *queue.Queue) bool { return !strings.HasPrefix(q.Name(), c.prefix) })
	return c.urls("QueueUrls", all)
}

func listSources(_ context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	return c.urls("queueUrls", c.queues.Sources(q))
}

// maxPage is the most queues in one answer.
const maxPage = 1000

// urls writes a page of queues, which are in the order of their names. A token is the name of the last queue of the page before.
func (c *call) urls(member string, all []*queue.Queue) error {
	if c.nextToken != "" {
		last, err := base64.StdEncoding.DecodeString(c.nextToken)
		if err != nil {
			return awserr.QueueParameterValue(c.nextToken, "NextToken", "Invalid or expired next token.")
		}
		all = slices.DeleteFunc(all, func(q *queue.Queue) bool { return q.Name() <= string(last) })
	}
	most := maxPage
	if n := c.maxResults; n != nil {
		if *n < 1 || *n > maxPage {
			return awserr.QueueParameterValue(strconv.Itoa(*n), "MaxResults", "MaxResults must be an integer between 1 and 1000.")
		}
		most = *n
	}
	next := ""
	if len(all) > most {
		all = all[:most]
		if c.maxResults != nil {
			next = base64.StdEncoding.EncodeToString([]byte(all[most-1].Name()))
		}
	}
	var urls []string
	for _, q := range all {
		urls = append(urls, c.url(q))
	}
	c.w.texts(member, "QueueUrl", urls)
	c.w.text("NextToken", next)
	return nil
}

func getAttributes(_ context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	for _, n := range c.attributeNames {
		if n != "All" && !queue.KnownAttribute(n) {
			return awserr.QueueAttributeUnknown(n)
		}
	}
	if len(c.attributeNames) == 0 {
		return nil
	}
	all, err := q.Attributes(c.attributeNames)
	if err == nil {
		c.w.table("Attributes", "Attribute", "Name", pairs(all))
	}
	return err
}

func pairs(m map[string]string) (all [][2]string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, [2]string{k, m[k]})
	}
	return all
}

func setAttributes(_ context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	if !c.hasAttributes {
		return awserr.QueueParameterMissing("Attribute.Name")
	}
	return c.queues.SetAttributes(q, c.attributes)
}

func purge(_ context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	return q.Purge()
}

func tagQueue(_ context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	if len(c.tags) == 0 {
		return awserr.QueueParameterMissing("Tags")
	}
	return c.queues.Tag(q, c.tags)
}

func untagQueue(_ context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	if len(c.tagKeys) == 0 {
		return awserr.QueueParameter("Tag keys must be between 1 and 128 characters in length.")
	}
	return c.queues.Untag(q, c.tagKeys)
}

func listTags(_ context.Context, c *call) error {
	q, err := c.find()
	if err == nil {
		c.w.table("Tags", "Tag", "Key", pairs(q.Tags()))
	}
	return err
}

// policy is a queue's policy as AddPermission writes it.
type policy struct {
	Version   string      `json:"Version"`
	ID        string      `json:"Id"`
	Statement []statement `json:"Statement"`
}

type statement struct {
	Sid       string `json:"Sid"`
	Effect    string `json:"Effect"`
	Principal any    `json:"Principal"`
	Action    any    `json:"Action"`
	Resource  any    `json:"Resource"`
	Condition any    `json:"Condition,omitempty"`
}

func (c *call) policy(q *queue.Queue) (p policy, err error) {
	all, err := q.Attributes([]string{"Policy"})
	if err != nil {
		return p, err
	}
	p = policy{Version: "2008-10-17", ID: q.ARN() + "/SQSDefaultPolicy"}
	if text := all["Policy"]; text != "" {
		err = json.Unmarshal([]byte(text), &p)
	}
	return p, err
}

func (c *call) setPolicy(q *queue.Queue, p policy) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if len(p.Statement) == 0 {
		text = nil
	}
	return c.queues.SetAttributes(q, map[string]string{"Policy": string(text)})
}

// oneOrAll is how policies have a list of one.
func oneOrAll(all []string) any {
	if len(all) == 1 {
		return all[0]
	}
	return all
}

// maxActions is how many actions one statement of a queue's policy has at most.
const maxActions = 7

// ownersOnly are the actions that no permission gives to others.
var ownersOnly = []string{
	"AddPermission", "CancelMessageMoveTask", "CreateQueue", "DeleteQueue", "ListMessageMoveTasks", "ListQueueTags", "ListQueues", "RemovePermission",
	"SetQueueAttributes", "StartMessageMoveTask", "TagQueue", "UntagQueue",
}

func addPermission(_ context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	if c.label == "" {
		return awserr.QueueParameterMissing("Label")
	}
	switch {
	case len(c.actions) == 0:
		return awserr.QueueParameterMissing("Actions")
	case len(c.accounts) == 0:
		return awserr.QueueParameterValue("[]", "PrincipalId", "Unable to verify.")
	case len(c.actions) > maxActions:
		return &awserr.Error{Code: "OverLimit", Message: strconv.Itoa(len(c.actions)) + " Actions were found, maximum allowed is 7.", Status: http.StatusForbidden}
	}
	var principals, actions []string
	for _, a := range c.accounts {
		principals = append(principals, "arn:aws:iam::"+a+":root")
	}
	for _, a := range c.actions {
		if a != "*" && operations[a] == nil {
			return awserr.QueueParameterValue("SQS:"+a, "ActionName", "Please refer to the appropriate WSDL for a list of valid actions. ")
		}
		if slices.Contains(ownersOnly, a) {
			return awserr.QueueParameterValue("SQS:"+a, "ActionName", "Only the queue owner is allowed to invoke this action.")
		}
		actions = append(actions, "SQS:"+a)
	}
	p, err := c.policy(q)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(p.Statement, func(s statement) bool { return s.Sid == c.label }) {
		return awserr.QueueParameterValue(c.label, "Label", "Already exists.")
	}
	p.Statement = append(p.Statement, statement{
		Sid: c.label, Effect: "Allow", Principal: map[string]any{"AWS": oneOrAll(principals)}, Action: oneOrAll(actions), Resource: q.ARN(),
	})
	return c.setPolicy(q, p)
}

func removePermission(_ context.Context, c *call) error {
	q, err := c.find()
	if err != nil {
		return err
	}
	p, err := c.policy(q)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(p.Statement, func(s statement) bool { return s.Sid == c.label })
	if i < 0 {
		return awserr.QueueParameterValue(c.label, "Label", "can't find label.")
	}
	p.Statement = slices.Delete(p.Statement, i, i+1)
	return c.setPolicy(q, p)
}

// checkTaskARN is about the ARNs of the tasks that move messages.
func checkTaskARN(text, parameter string) error {
	if _, _, ok := arn.Queue(text); !ok {
		return awserr.QueueParameter("You must use this format to specify the " + parameter + ": arn:<partition>:<service>:<region>:<account-id>:<resource-id>")
	}
	return nil
}

func startMove(_ context.Context, c *call) error {
	if c.sourceARN == "" {
		return awserr.QueueParameterMissing("SourceArn")
	}
	if err := checkTaskARN(c.sourceARN, "SourceArn"); err != nil {
		return err
	}
	if c.destinationARN != "" {
		if err := checkTaskARN(c.destinationARN, "DestinationArn"); err != nil {
			return err
		}
	}
	t, err := c.queues.StartMove(c.sourceARN, c.destinationARN, c.rate)
	if err == nil {
		c.w.text("TaskHandle", t.Handle())
	}
	return err
}

func cancelMove(_ context.Context, c *call) error {
	if c.taskHandle == "" {
		return awserr.QueueParameterMissing("TaskHandle")
	}
	n, err := c.queues.CancelMove(c.taskHandle)
	if err == nil {
		c.w.number("ApproximateNumberOfMessagesMoved", int64(n))
	}
	return err
}

func listMoves(_ context.Context, c *call) error {
	if c.sourceARN == "" {
		return awserr.QueueParameterMissing("SourceArn")
	}
	if err := checkTaskARN(c.sourceARN, "SourceArn"); err != nil {
		return err
	}
	most := 1
	if n := c.maxResults; n != nil {
		if *n < 1 || *n > 10 {
			return awserr.QueueParameterValue(strconv.Itoa(*n), "MaxResults", "Must be between 1 and 10, if provided.")
		}
		most = *n
	}
	all, err := c.queues.Moves(c.sourceARN, most)
	if err != nil {
		return err
	}
	c.w.list("Results", "ListMessageMoveTasksResultEntry", len(all), func(i int) {
		t := &all[i]
		if t.Status == "RUNNING" {
			c.w.text("TaskHandle", t.Handle())
		}
		c.w.text("Status", t.Status)
		c.w.text("SourceArn", t.Source)
		c.w.text("DestinationArn", t.Destination)
		if t.Rate > 0 {
			c.w.number("MaxNumberOfMessagesPerSecond", int64(t.Rate))
		}
		c.w.number("ApproximateNumberOfMessagesMoved", int64(t.Moved))
		c.w.number("ApproximateNumberOfMessagesToMove", int64(t.ToMove))
		c.w.text("FailureReason", t.Failure)
		c.w.number("StartedTimestamp", t.StartedMS)
	})
	return nil
}
