package sqs

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/queue"
)

// request has the members of all operations; those that are not given are empty or nil.
type request struct {
	entry                                                             // of the operations on one message
	queueURL, queueName, prefix, owner, nextToken, label              string
	attempt, sourceARN, destinationARN, taskHandle                    string
	maxResults, most, wait, rate                                      *int
	attributeNames, messageAttributeNames, tagKeys, accounts, actions []string
	attributes, tags                                                  map[string]string
	entries                                                           []entry
	hasAttributes                                                     bool
}

// entry is one message of a batch.
type entry struct {
	id, receiptHandle string
	visibility        *int
	message           queue.Entry
}

// decodeJSON reads the body of the JSON protocol.
func decodeJSON(body []byte) (*request, error) {
	r := &request{}
	d := &item.Reader{}
	d.Reset(body)
	err := d.Object(func(name []byte) error {
		switch string(name) {
		case "QueueUrl":
			return text(d, &r.queueURL)
		case "QueueName":
			return text(d, &r.queueName)
		case "QueueNamePrefix":
			return text(d, &r.prefix)
		case "QueueOwnerAWSAccountId":
			return text(d, &r.owner)
		case "NextToken":
			return text(d, &r.nextToken)
		case "Label":
			return text(d, &r.label)
		case "ReceiveRequestAttemptId":
			return text(d, &r.attempt)
		case "SourceArn":
			return text(d, &r.sourceARN)
		case "DestinationArn":
			return text(d, &r.destinationARN)
		case "TaskHandle":
			return text(d, &r.taskHandle)
		case "MaxResults":
			return number(d, &r.maxResults)
		case "MaxNumberOfMessages":
			return number(d, &r.most)
		case "WaitTimeSeconds":
			return number(d, &r.wait)
		case "MaxNumberOfMessagesPerSecond":
			return number(d, &r.rate)
		case "AttributeNames", "MessageSystemAttributeNames":
			return texts(d, &r.attributeNames)
		case "MessageAttributeNames":
			return texts(d, &r.messageAttributeNames)
		case "TagKeys":
			return texts(d, &r.tagKeys)
		case "AWSAccountIds":
			return texts(d, &r.accounts)
		case "Actions":
			return texts(d, &r.actions)
		case "Attributes":
			r.hasAttributes = true
			return table(d, &r.attributes)
		case "tags", "Tags":
			return table(d, &r.tags)
		case "Entries":
			r.entries = make([]entry, 0, maxBatch)
			return d.Array(func(int) error {
				e := entry{}
				err := d.Object(func(name []byte) error { return e.member(d, string(name)) })
				r.entries = append(r.entries, e)
				return err
			})
		}
		return r.member(d, string(name))
	})
	if err == nil {
		err = d.End()
	}
	return r, err
}

// member reads a member that the operations on one message and entries of batches have.
func (e *entry) member(d *item.Reader, name string) error {
	switch name {
	case "Id":
		return text(d, &e.id)
	case "ReceiptHandle":
		return text(d, &e.receiptHandle)
	case "VisibilityTimeout":
		return number(d, &e.visibility)
	}
	return e.message.ReadMember(d, name)
}

func text(d *item.Reader, to *string) (err error) {
	*to, err = d.String()
	return err
}

func number(d *item.Reader, to **int) error {
	if d.Null() {
		return nil
	}
	n, err := d.Integer()
	i := int(n)
	*to = &i
	return err
}

func texts(d *item.Reader, to *[]string) error {
	return d.Array(func(int) error {
		s, err := d.String()
		*to = append(*to, s)
		return err
	})
}

func table(d *item.Reader, to *map[string]string) error {
	*to = map[string]string{}
	return d.Object(func(name []byte) error {
		key := string(name)
		v, err := d.String()
		(*to)[key] = v
		return err
	})
}

// decodeQuery reads the form of the query protocol. Lists are numbered from 1 on, as in Tag.1.Key.
func decodeQuery(form url.Values) (*request, error) {
	r := &request{
		queueURL: form.Get("QueueUrl"), queueName: form.Get("QueueName"), prefix: form.Get("QueueNamePrefix"), owner: form.Get("QueueOwnerAWSAccountId"),
		nextToken: form.Get("NextToken"), label: form.Get("Label"), attempt: form.Get("ReceiveRequestAttemptId"),
		sourceARN: form.Get("SourceArn"), destinationARN: form.Get("DestinationArn"), taskHandle: form.Get("TaskHandle"),
	}
	numbers := map[string]**int{
		"MaxResults": &r.maxResults, "MaxNumberOfMessages": &r.most, "WaitTimeSeconds": &r.wait, "MaxNumberOfMessagesPerSecond": &r.rate,
	}
	for name, to := range numbers {
		if err := formNumber(form, name, to); err != nil {
			return nil, err
		}
	}
	list := func(name string) (all []string) {
		for _, p := range numbered(form, name) {
			all = append(all, form.Get(p))
		}
		return all
	}
	r.attributeNames = append(list("AttributeName"), list("MessageSystemAttributeName")...)
	r.messageAttributeNames, r.tagKeys = list("MessageAttributeName"), list("TagKey")
	r.accounts, r.actions = list("AWSAccountId"), list("ActionName")
	pairs := func(name, key string) map[string]string {
		all := map[string]string{}
		for _, p := range numbered(form, name) {
			all[form.Get(p+"."+key)] = form.Get(p + ".Value")
		}
		return all
	}
	r.attributes, r.tags = pairs("Attribute", "Name"), pairs("Tag", "Key")
	r.hasAttributes = len(r.attributes) > 0
	if err := r.fromForm(form, ""); err != nil {
		return nil, err
	}
	for _, kind := range []string{"SendMessageBatchRequestEntry", "DeleteMessageBatchRequestEntry", "ChangeMessageVisibilityBatchRequestEntry"} {
		for _, p := range numbered(form, kind) {
			e := entry{}
			if err := e.fromForm(form, p+"."); err != nil {
				return nil, err
			}
			r.entries = append(r.entries, e)
		}
	}
	return r, nil
}

func (e *entry) fromForm(form url.Values, prefix string) error {
	e.id, e.receiptHandle = form.Get(prefix+"Id"), form.Get(prefix+"ReceiptHandle")
	m := &e.message
	// What a form has may be a part of the request's body, and a message is kept for longer than that: its texts are copies.
	get := func(name string) string { return strings.Clone(form.Get(name)) }
	for name, to := range map[string]**string{"MessageBody": &m.Body, "MessageGroupId": &m.Group, "MessageDeduplicationId": &m.Dedup} {
		if form.Has(prefix + name) {
			s := get(prefix + name)
			*to = &s
		}
	}
	if err := formNumber(form, prefix+"VisibilityTimeout", &e.visibility); err != nil {
		return err
	}
	if err := formNumber(form, prefix+"DelaySeconds", &m.Delay); err != nil {
		return err
	}
	for name, to := range map[string]*[]queue.Attribute{"MessageAttribute": &m.Attributes, "MessageSystemAttribute": &m.System} {
		for _, p := range numbered(form, prefix+name) {
			a := queue.Attribute{Name: get(p + ".Name"), Type: get(p + ".Value.DataType"), Value: get(p + ".Value.StringValue")}
			if form.Has(p + ".Value.BinaryValue") {
				if err := a.SetBinary(form.Get(p + ".Value.BinaryValue")); err != nil {
					return err
				}
			}
			*to = append(*to, a)
		}
	}
	return nil
}

func formNumber(form url.Values, name string, to **int) error {
	if !form.Has(name) {
		return nil
	}
	n, err := strconv.Atoi(form.Get(name))
	if err != nil {
		return awserr.QueueParameterValue(form.Get(name), name, "Must be an integer.")
	}
	*to = &n
	return nil
}

// numbered are the prefixes name.1, name.2 and so on that a form has, in order. Numbers may be left out.
func numbered(form url.Values, name string) (prefixes []string) {
	var numbers []int
	for key := range form {
		rest, ok := strings.CutPrefix(key, name+".")
		if !ok {
			continue
		}
		digits, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.Atoi(digits); err == nil && !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		prefixes = append(prefixes, name+"."+strconv.Itoa(n))
	}
	return prefixes
}
