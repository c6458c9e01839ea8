// Package sns answers SNS, in the query protocol.
package sns

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/outbox"
	"github.com/millstreamdb/millstream/internal/topic"
	"github.com/millstreamdb/millstream/internal/trace"
)

const (
	namespace = "http://sns.amazonaws.com/doc/2010-03-31/"
	maxBody   = 8 << 20 // bytes: a batch with all its signs escaped
	maxPage   = 100
	maxBatch  = 10
)

// Options of New.
type Options struct {
	// Authenticate reads who a request is from. Required.
	Authenticate func(*http.Request) (arn.Scope, *awserr.Error)
	// Apart has a caller reach the topics of its own account only, as where no policy lets it in elsewhere.
	Apart  bool
	Logger *slog.Logger
}

// call is one request under way.
type call struct {
	topics *topic.Service
	scope  arn.Scope
	form   url.Values
	signed bool            // it is from an account, not by a link
	trace  string          // X-Ray's header of the request
	out    strings.Builder // members of the answer
}

// links are the operations that a message's links name: who has the link may follow it.
var links = map[string]bool{"ConfirmSubscription": true, "Unsubscribe": true}

// IsLink says whether a request follows a link of a message. It is not signed, and may be a GET.
func IsLink(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == "/" && links[r.URL.Query().Get("Action")]
}

// New returns the handler.
func New(topics *topic.Service, o Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{topics: topics, trace: trace.From(r.Context()).Header()}
		id := uuid.NewString()
		var action string
		err := c.read(r, o.Authenticate, o.Apart)
		if err == nil {
			action = c.form.Get("Action")
			if op := operations[action]; op != nil {
				err = op(c)
			} else {
				err = &awserr.Error{Code: "InvalidAction", Message: "The action " + action + " is not valid for this web service."}
			}
		}
		var e *awserr.Error
		if err != nil && !errors.As(err, &e) {
			o.Logger.Error("a request failed", "service", "sns", "operation", action, "error", err)
			e = &awserr.Error{Code: "InternalFailure", Message: "The request processing has failed because of an unknown error, exception or failure.", Status: http.StatusInternalServerError}
		}
		w.Header().Set("Content-Type", "text/xml")
		w.Header().Set("x-amzn-RequestId", id)
		if e != nil {
			fault := "Sender"
			if e.HTTPStatus() >= 500 {
				fault = "Receiver"
			}
			e.SetRetryAfter(w.Header())
			w.WriteHeader(e.HTTPStatus())
			_, _ = io.WriteString(w, `<ErrorResponse xmlns="`+namespace+`"><Error><Type>`+fault+`</Type><Code>`+e.Code+`</Code><Message>`+escaped(e.Message)+
				`</Message></Error><RequestId>`+id+`</RequestId></ErrorResponse>`) // the client has gone: there is nobody to tell
			return
		}
		result := ""
		switch {
		case silent[action]:
		case c.out.Len() == 0: // as AWS writes it
			result = `<` + action + `Result/>`
		default:
			result = `<` + action + `Result>` + c.out.String() + `</` + action + `Result>`
		}
		_, _ = io.WriteString(w, `<`+action+`Response xmlns="`+namespace+`">`+result+`<ResponseMetadata><RequestId>`+id+`</RequestId></ResponseMetadata></`+action+`Response>`) // as above
	})
}

// silent are the operations whose answers have no result.
var silent = map[string]bool{"AddPermission": true, "RemovePermission": true, "DeleteTopic": true, "SetTopicAttributes": true, "SetSubscriptionAttributes": true, "Unsubscribe": true}

func (c *call) read(r *http.Request, authenticate func(*http.Request) (arn.Scope, *awserr.Error), apart bool) error {
	if IsLink(r) {
		c.form = r.URL.Query()
		return nil
	}
	// A link can be followed by whom nobody asked, and may carry a signature: where none is verified, it is to be in a header, which no link has.
	if r.Method != http.MethodPost && (r.Method != http.MethodGet || r.Header.Get("Authorization") == "" && !apart) {
		return &awserr.Error{Code: "MethodNotAllowed", Message: "Millstream takes calls of SNS by POST, as SDKs send them, or by GET with a signature in the header Authorization.", Status: http.StatusMethodNotAllowed}
	}
	scope, refused := authenticate(r)
	if refused != nil {
		return refused
	}
	c.scope, c.signed = scope, true
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return &awserr.Error{Code: "RequestEntityTooLarge", Message: "The request is too large, or was cut off.", Status: http.StatusRequestEntityTooLarge}
	}
	if c.form, err = url.ParseQuery(string(body)); err != nil {
		return &awserr.Error{Code: "MalformedQueryString", Message: "The form could not be read: " + err.Error()}
	}
	for k, v := range r.URL.Query() { // members may be in the address too
		if !c.form.Has(k) {
			c.form[k] = v
		}
	}
	if a, ok := arn.Parse(c.form.Get("TopicArn")); ok && a.Region != scope.Region { // a topic is reached in its own region only
		return awserr.TopicParameter("TopicArn")
	}
	for _, name := range []string{"TopicArn", "TargetArn", "SubscriptionArn", "ResourceArn", "Endpoint"} {
		if a, ok := arn.Parse(c.form.Get(name)); apart && ok && a.Account != scope.Account {
			return &awserr.Error{Code: "AuthorizationError", Status: http.StatusForbidden,
				Message: "User: " + scope.Global("iam", "root") + " is not authorized to perform: SNS:" + c.form.Get("Action") + " on resource: " + a.String()}
		}
	}
	return nil
}

func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

func (c *call) text(name, value string) {
	c.out.WriteString("<" + name + ">" + escaped(value) + "</" + name + ">")
}

func (c *call) object(name string, members func()) {
	c.out.WriteString("<" + name + ">")
	members()
	c.out.WriteString("</" + name + ">")
}

func (c *call) attributes(all map[string]string) {
	c.object("Attributes", func() {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			c.object("entry", func() {
				c.text("key", name)
				c.text("value", all[name])
			})
		}
	})
}

// get returns a member, nil when it was not given.
func (c *call) get(name string) *string {
	if !c.form.Has(name) {
		return nil
	}
	v := c.form.Get(name)
	return &v
}

// list are the prefixes name.1, name.2 and so on that the form has, in order.
func (c *call) list(name string) (prefixes []string) {
	found := map[int]bool{}
	for k := range c.form {
		rest, ok := strings.CutPrefix(k, name+".")
		if !ok {
			continue
		}
		digits, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.Atoi(digits); err == nil {
			found[n] = true
		}
	}
	for _, n := range slices.Sorted(maps.Keys(found)) {
		prefixes = append(prefixes, name+"."+strconv.Itoa(n))
	}
	return prefixes
}

// texts reads a list of texts.
func (c *call) texts(name string) (all []string) {
	for _, p := range c.list(name) {
		all = append(all, c.form.Get(p))
	}
	return all
}

// pairs reads a map, or a list of tags.
func (c *call) pairs(name, key, value string) map[string]string {
	all := map[string]string{}
	for _, p := range c.list(name) {
		all[c.form.Get(p+"."+key)] = c.form.Get(p + "." + value)
	}
	return all
}

var operations = map[string]func(*call) error{
	"CreateTopic": (*call).createTopic, "ListTopics": (*call).listTopics, "GetTopicAttributes": (*call).topicAttributes,
	"DeleteTopic": func(c *call) error { return c.topics.Delete(c.form.Get("TopicArn")) },
	"SetTopicAttributes": func(c *call) error {
		return c.topics.SetAttribute(c.form.Get("TopicArn"), c.form.Get("AttributeName"), c.form.Get("AttributeValue"))
	},
	"Subscribe": (*call).subscribe, "ConfirmSubscription": (*call).confirm, "GetSubscriptionAttributes": (*call).subscriptionAttributes,
	"Unsubscribe": func(c *call) error { return c.topics.Unsubscribe(c.form.Get("SubscriptionArn"), c.signed) },
	"SetSubscriptionAttributes": func(c *call) error {
		return c.topics.SetSubscriptionAttribute(c.form.Get("SubscriptionArn"), c.form.Get("AttributeName"), c.form.Get("AttributeValue"))
	},
	"ListSubscriptions":        func(c *call) error { return c.subscriptions("") },
	"ListSubscriptionsByTopic": func(c *call) error { return c.subscriptions(c.form.Get("TopicArn")) },
	"Publish":                  (*call).publish, "PublishBatch": (*call).publishBatch,
	"TagResource": func(c *call) error {
		tags, err := c.tagged()
		if err != nil {
			return err
		}
		return c.topics.ChangeTags(c.form.Get("ResourceArn"), tags, nil)
	},
	"UntagResource": func(c *call) error {
		return c.topics.ChangeTags(c.form.Get("ResourceArn"), nil, c.texts("TagKeys.member"))
	},
	"ListTagsForResource": (*call).tags,
	"AddPermission": func(c *call) error {
		return c.topics.AddPermission(c.form.Get("TopicArn"), c.form.Get("Label"), c.texts("AWSAccountId.member"), c.texts("ActionName.member"))
	},
	"RemovePermission": func(c *call) error { return c.topics.RemovePermission(c.form.Get("TopicArn"), c.form.Get("Label")) },
}

// tagged reads tags, of which no key may be there twice.
func (c *call) tagged() (map[string]string, error) {
	tags := c.pairs("Tags.member", "Key", "Value")
	if len(tags) != len(c.list("Tags.member")) {
		return nil, awserr.TopicParameter("Duplicated keys are not allowed.")
	}
	return tags, nil
}

func (c *call) createTopic() error {
	tags, err := c.tagged()
	if err != nil {
		return err
	}
	t, err := c.topics.Create(c.scope, c.form.Get("Name"), c.pairs("Attributes.entry", "key", "value"), tags)
	if err == nil {
		c.text("TopicArn", t.ARN())
	}
	return err
}

func (c *call) topicAttributes() error {
	all, err := c.topics.Attributes(c.form.Get("TopicArn"))
	if err == nil {
		c.attributes(all)
	}
	return err
}

// page finds the part of n sorted ARNs that is asked for.
func (c *call) page(n int, at func(i int) string) (from, to int) {
	token := c.form.Get("NextToken")
	for from < n && at(from) <= token {
		from++
	}
	return from, min(n, from+maxPage)
}

func (c *call) next(n, to int, at func(i int) string) {
	if to < n {
		c.text("NextToken", at(to-1))
	}
}

func (c *call) listTopics() error {
	all := c.topics.All(c.scope)
	at := func(i int) string { return all[i].ARN() }
	from, to := c.page(len(all), at)
	c.object("Topics", func() {
		for _, t := range all[from:to] {
			c.object("member", func() { c.text("TopicArn", t.ARN()) })
		}
	})
	c.next(len(all), to, at)
	return nil
}

const pending = "PendingConfirmation"

func (c *call) subscriptions(topicARN string) error {
	all, err := c.topics.Subscriptions(c.scope, topicARN)
	if err != nil {
		return err
	}
	at := func(i int) string { return all[i].ARN() }
	from, to := c.page(len(all), at)
	c.object("Subscriptions", func() {
		for _, s := range all[from:to] {
			c.object("member", func() {
				shown := s.ARN()
				if s.Pending {
					shown = pending
				}
				c.text("SubscriptionArn", shown)
				owner, _ := arn.Parse(s.TopicARN)
				c.text("Owner", owner.Account)
				c.text("Protocol", s.Protocol)
				c.text("Endpoint", s.Endpoint)
				c.text("TopicArn", s.TopicARN)
			})
		}
	})
	c.next(len(all), to, at)
	return nil
}

func (c *call) subscribe() error {
	s, err := c.topics.Subscribe(c.form.Get("TopicArn"), c.form.Get("Protocol"), c.form.Get("Endpoint"), c.pairs("Attributes.entry", "key", "value"))
	if err != nil {
		return err
	}
	shown := s.ARN()
	if s.Pending && c.form.Get("ReturnSubscriptionArn") != "true" {
		shown = "pending confirmation"
	}
	c.text("SubscriptionArn", shown)
	return nil
}

func (c *call) confirm() error {
	s, err := c.topics.Confirm(c.form.Get("TopicArn"), c.form.Get("Token"), c.signed && c.form.Get("AuthenticateOnUnsubscribe") == "true")
	if err == nil {
		c.text("SubscriptionArn", s.ARN())
	}
	return err
}

func (c *call) subscriptionAttributes() error {
	s, err := c.topics.Subscription(c.form.Get("SubscriptionArn"))
	if err != nil {
		return err
	}
	owner, _ := arn.Parse(s.TopicARN)
	all := map[string]string{
		"SubscriptionArn": s.ARN(), "TopicArn": s.TopicARN, "Protocol": s.Protocol, "Endpoint": s.Endpoint, "Owner": owner.Account,
		"PendingConfirmation": strconv.FormatBool(s.Pending), "ConfirmationWasAuthenticated": strconv.FormatBool(!s.Pending), "RawMessageDelivery": "false",
		"SubscriptionPrincipal": owner.Scope().Global("iam", "root"),
	}
	maps.Copy(all, s.Attributes)
	if policy := c.topics.EffectivePolicy(s); policy != "" {
		all["EffectiveDeliveryPolicy"] = policy
	}
	switch {
	case all["FilterPolicy"] == "":
		delete(all, "FilterPolicyScope")
	case all["FilterPolicyScope"] == "":
		all["FilterPolicyScope"] = "MessageAttributes"
	}
	c.attributes(all)
	return nil
}

// message reads a message, of a batch's entry when prefix is not empty.
func (c *call) message(prefix string) (topic.Message, error) {
	m := topic.Message{Trace: c.trace,
		Text: c.get(prefix + "Message"), Subject: c.get(prefix + "Subject"), Structure: c.form.Get(prefix + "MessageStructure"),
		Group: c.get(prefix + "MessageGroupId"), Dedup: c.get(prefix + "MessageDeduplicationId"),
	}
	for _, p := range c.list(prefix + "MessageAttributes.entry") {
		if !c.form.Has(p + ".Value.DataType") {
			at := "messageAttributes."
			if n, ok := strings.CutPrefix(prefix, entriesName+"."); ok {
				at = "publishBatchRequestEntries." + n + "member.messageAttributes."
			}
			return m, &awserr.Error{Code: "ValidationError", Message: "1 validation error detected: Value null at '" + at + c.form.Get(p+".Name") + ".member.dataType' failed to satisfy constraint: Member must not be null"}
		}
		a := outbox.Attribute{Name: c.form.Get(p + ".Name"), Type: c.form.Get(p + ".Value.DataType"), Value: []byte(c.form.Get(p + ".Value.StringValue"))}
		if v := c.get(p + ".Value.BinaryValue"); v != nil {
			b, err := base64.StdEncoding.DecodeString(*v)
			if err != nil {
				return m, awserr.TopicParameterReason("MessageAttributes", a.Name+" is not in base64")
			}
			a.Value, a.Binary = b, true
		}
		m.Attributes = append(m.Attributes, a)
	}
	return m, nil
}

func (c *call) publish() error {
	to := c.form.Get("TopicArn")
	if to == "" {
		to = c.form.Get("TargetArn")
	}
	if to == "" && !c.form.Has("TopicArn") {
		if c.form.Has("PhoneNumber") {
			return awserr.TopicParameterReason("PhoneNumber", "Millstream sends no SMS")
		}
		return awserr.TopicParameterReason("TopicArn or TargetArn Reason: no value for required parameter", "")
	}
	if a, ok := arn.Parse(to); ok && strings.HasPrefix(a.Resource, "endpoint/") { // of mobile push, of which there are none
		return awserr.TopicParameterReason("TargetArn", "No endpoint found for the target arn specified")
	}
	m, err := c.message("")
	if err != nil {
		return err
	}
	p, err := c.topics.Publish(to, m)
	if err == nil {
		c.published(p)
	}
	return err
}

func (c *call) published(p topic.Published) {
	c.text("MessageId", p.ID)
	if p.Seq != "" {
		c.text("SequenceNumber", p.Seq)
	}
}

const entriesName = "PublishBatchRequestEntries.member"

func (c *call) publishBatch() error {
	entries := c.list(entriesName)
	topicARN := c.form.Get("TopicArn")
	switch n := len(entries); {
	case n == 0:
		return awserr.TopicBatch("EmptyBatchRequest", "The batch request doesn't contain any entries.")
	case n > maxBatch:
		return awserr.TopicBatch("TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible.")
	}
	if _, err := c.topics.Topic(topicARN); err != nil {
		return err
	}
	ids, size := map[string]bool{}, 0
	messages := make([]topic.Message, len(entries))
	for i, p := range entries {
		id := c.form.Get(p + ".Id")
		switch {
		case id == "":
			return awserr.TopicBatch("InvalidBatchEntryId", "The Id of a batch entry in a batch request doesn't abide by the specification.")
		case len(id) > 80:
			return awserr.TopicBatch("InvalidBatchEntryId", "The Id of a batch entry in the batch request is too long: "+id)
		case strings.ContainsFunc(id, func(r rune) bool {
			return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
		}):
			return awserr.TopicBatch("InvalidBatchEntryId", "The Id of a batch entry in the batch request contains an impermissible character: "+id)
		}
		if ids[id] {
			return awserr.TopicBatch("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
		}
		ids[id] = true
		m, err := c.message(p + ".")
		if err != nil {
			return err
		}
		messages[i] = m
		size += m.Size()
	}
	if size > topic.MaxMessage {
		return awserr.TopicBatch("BatchRequestTooLong", "The length of all the messages put together is more than the limit.")
	}
	for _, m := range messages { // one that is refused for what is in it has all of them refused
		if err := c.topics.Check(topicARN, m); err != nil {
			return err
		}
	}
	var failed strings.Builder
	c.object("Successful", func() {
		for i, p := range entries {
			id := c.form.Get(p + ".Id")
			done, err := c.topics.Publish(topicARN, messages[i])
			if err == nil {
				c.object("member", func() {
					c.text("Id", id)
					c.published(done)
				})
				continue
			}
			var e *awserr.Error
			if !errors.As(err, &e) {
				e = &awserr.Error{Code: "InternalFailure", Message: "The request processing has failed because of an unknown error, exception or failure.", Status: 500}
			}
			failed.WriteString("<member><Id>" + escaped(id) + "</Id><SenderFault>" + strconv.FormatBool(e.HTTPStatus() < 500) + "</SenderFault><Code>" + e.Code + "</Code><Message>" + escaped(e.Message) + "</Message></member>")
		}
	})
	c.out.WriteString("<Failed>" + failed.String() + "</Failed>")
	return nil
}

func (c *call) tags() error {
	t, err := c.topics.Topic(c.form.Get("ResourceArn"))
	if err != nil {
		return awserr.TopicResourceMissing()
	}
	c.object("Tags", func() {
		for _, k := range slices.Sorted(maps.Keys(t.Tags)) {
			c.object("member", func() {
				c.text("Key", k)
				c.text("Value", t.Tags[k])
			})
		}
	})
	return nil
}
