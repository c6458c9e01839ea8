package topic

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/outbox"
	"github.com/millstreamdb/millstream/internal/pattern"
	"github.com/millstreamdb/millstream/internal/store"
)

// Message is what is published. A nil member was not given.
type Message struct {
	Text         *string
	Subject      *string
	Structure    string // json: Text has a text for each protocol
	Attributes   []outbox.Attribute
	Group, Dedup *string
	Trace        string // X-Ray's header
}

// Published is what came of a message.
type Published struct {
	ID  string
	Seq string // of a FIFO topic
}

const (
	// MaxMessage is the most that a message may have with its attributes, in bytes.
	MaxMessage = 256 << 10
	maxSubject = 100
	// pieceBytes is how much one batch of deliveries has at most, in bytes.
	pieceBytes = 1 << 20
)

// Size of a message with its attributes, in bytes.
func (m *Message) Size() (n int) {
	if m.Text != nil {
		n = len(*m.Text)
	}
	for _, a := range m.Attributes {
		n += len(a.Name) + len(a.Type) + len(a.Value)
	}
	return n
}

// check makes the checks of a message; texts are those by protocol, when there are several.
func (m *Message) check(t *Topic) (texts map[string]string, err error) {
	switch {
	case m.Text == nil || *m.Text == "":
		return nil, awserr.TopicParameterReason("Empty message", "")
	case m.Size() > MaxMessage:
		return nil, awserr.TopicParameterReason("Message too long", "")
	case !utf8.ValidString(*m.Text):
		return nil, awserr.TopicParameterReason("Message", "Message must be UTF-8 encoded.")
	}
	if s := m.Subject; s != nil && (*s == "" || utf8.RuneCountInString(*s) > maxSubject || strings.ContainsFunc(*s, func(r rune) bool { return r < ' ' || r == 0x7f })) {
		return nil, awserr.TopicParameter("Subject")
	}
	switch m.Structure {
	case "":
	case "json":
		var members map[string]any
		if json.Unmarshal([]byte(*m.Text), &members) != nil {
			return nil, awserr.TopicParameterReason("Message Structure - JSON message body failed to parse", "")
		}
		texts = map[string]string{}
		for protocol, value := range members {
			if text, ok := value.(string); ok { // AWS leaves out what is no text
				texts[protocol] = text
			}
		}
		if _, ok := texts["default"]; !ok {
			return nil, awserr.TopicParameterReason("Message Structure - No default entry in JSON message body", "")
		}
	default:
		return nil, awserr.TopicParameter("MessageStructure")
	}
	names := map[string]bool{}
	for _, a := range m.Attributes {
		if err := checkAttribute(a); err != nil {
			return nil, err
		}
		if names[a.Name] { // no SDK can send it
			return nil, &awserr.Error{Code: "ParameterValueInvalid", Message: "The message attribute '" + a.Name + "' is there twice."}
		}
		names[a.Name] = true
	}
	return texts, m.checkFIFO(t)
}

func (m *Message) checkFIFO(t *Topic) error {
	valid := func(s string) bool {
		return s != "" && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
	}
	switch {
	case m.Group != nil && !valid(*m.Group):
		return awserr.TopicParameterReason("MessageGroupId", "")
	case m.Dedup != nil && !valid(*m.Dedup):
		return awserr.TopicParameterReason("MessageDeduplicationId", "")
	case !t.FIFO() && m.Dedup != nil:
		return awserr.TopicParameterReason("MessageDeduplicationId", "The request includes MessageDeduplicationId parameter that is not valid for this topic type")
	case !t.FIFO():
		return nil
	case m.Group == nil:
		return awserr.TopicParameterReason("The MessageGroupId parameter is required for FIFO topics", "")
	case m.Dedup == nil && t.Attributes["ContentBasedDeduplication"] != "true":
		return awserr.TopicParameterReason("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly", "")
	}
	if m.Dedup == nil {
		sum := sha256.Sum256([]byte(*m.Text))
		id := hex.EncodeToString(sum[:])
		m.Dedup = &id
	}
	return nil
}

func checkAttribute(a outbox.Attribute) error {
	base, rest, dotted := strings.Cut(a.Type, ".")
	wrong := func(text string) error {
		return &awserr.Error{Code: "ParameterValueInvalid", Message: text}
	}
	switch {
	case a.Name == "":
		return wrong("Invalid attribute name: " + a.Name)
	case len(a.Name) > 256:
		return wrong("Length of message attribute name must be less than 256 bytes.")
	case strings.Trim(a.Name, nameCharacters+".") != "":
		sign := strings.IndexFunc(a.Name, func(r rune) bool { return !strings.ContainsRune(nameCharacters+".", r) })
		r, _ := utf8.DecodeRuneInString(a.Name[sign:])
		return wrong(fmt.Sprintf("Invalid non-alphanumeric character '#x%X' was found in the message attribute name. Can only include alphanumeric characters, hyphens, underscores, or dots.", r))
	case a.Name[0] == '.':
		return wrong("Invalid message attribute name starting with character '.' was found.")
	case a.Name[len(a.Name)-1] == '.':
		return wrong("Invalid message attribute name ending with character '.' was found.")
	case strings.Contains(a.Name, ".."):
		return wrong("Message attribute name can not have successive '.' character.")
	case len(a.Type) > 256 || strings.Trim(a.Type, nameCharacters+". ") != "":
		return wrong("The message attribute '" + a.Name + "' has an invalid message attribute type.")
	case !a.Binary && !utf8.Valid(a.Value):
		return wrong("The message attribute '" + a.Name + "' must be UTF-8 encoded.")
	case base != "String" && base != "Number" && base != "Binary", dotted && rest == "":
		return wrong("The message attribute '" + a.Name + "' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.")
	case len(a.Value) == 0:
		return wrong("The message attribute '" + a.Name + "' must contain non-empty message attribute value for message attribute type '" + a.Type + "'.")
	case a.Binary != (base == "Binary"):
		return wrong("The message attribute '" + a.Name + "' with type '" + a.Type + "' must use field '" + map[bool]string{true: "Binary", false: "String"}[base == "Binary"] + "'.")
	case base == "Number":
		if _, err := strconv.ParseFloat(string(a.Value), 64); err != nil {
			return wrong("Could not cast message attribute '" + a.Name + "' value to number.")
		}
	}
	return nil
}

// Check says whether Publish would refuse a message for what is in it.
func (s *Service) Check(topicARN string, m Message) error {
	t, err := s.Topic(topicARN)
	if err == nil {
		_, err = m.check(t)
	}
	return err
}

// Publish takes a message: on return a delivery is owed, durably, to each subscription that it is for.
func (s *Service) Publish(topicARN string, m Message) (Published, error) {
	if err := s.admit(); err != nil {
		return Published{}, err
	}
	s.mu.RLock()
	t, err := s.topic(topicARN)
	var to []*subscription
	for _, sub := range s.of[topicARN] {
		if !sub.Pending {
			to = append(to, sub)
		}
	}
	s.mu.RUnlock()
	if err != nil {
		return Published{}, err
	}
	texts, err := m.check(t)
	if err != nil {
		return Published{}, err
	}
	slices.SortFunc(to, func(a, b *subscription) int { return cmp.Compare(a.ARN(), b.ARN()) })
	p := &published{s: s, topic: t, m: &m, texts: texts, now: s.o.Clock.StampTime().UTC()}
	p.ID = uuid.NewString()
	// The clock of a test waits for the deliveries from here on.
	s.o.Clock.Begin()
	defer s.o.Clock.End()
	if !t.FIFO() {
		return p.Published, p.store(to, nil)
	}
	s.mu.Lock()
	if s.topics[topicARN] == nil {
		s.mu.Unlock()
		return Published{}, awserr.TopicMissing()
	}
	f := s.fifoOf(topicARN)
	s.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return Published{}, awserr.TopicMissing()
	}
	return p.inOrder(f, to)
}

// inOrder takes a message of a FIFO topic.
func (p *published) inOrder(f *fifo, to []*subscription) (Published, error) {
	now := p.s.now()
	id := *p.m.Dedup
	if p.topic.Attributes["FifoThroughputScope"] == "MessageGroup" {
		id = *p.m.Group + " " + id
	}
	if e, ok := f.known[id]; ok && e.UntilMS > now {
		return Published{e.ID, e.Seq}, nil
	}
	p.Seq = fmt.Sprintf("1%019d", p.s.unique.Add(1))
	e := earlier{UntilMS: now + dedupWindow, ID: p.ID, Seq: p.Seq}
	row, err := encode(e)
	if err != nil {
		return Published{}, err
	}
	gone := f.expired(now, 8) // more than one message brings
	err = p.store(to, func(b *store.Batch) {
		for _, old := range gone {
			b.Delete(dedupKey(p.topic.ARN(), old))
		}
		b.Set(dedupKey(p.topic.ARN(), id), row)
	})
	if err != nil {
		return Published{}, err
	}
	f.forget(gone)
	f.note(id, e)
	p.s.sweepLater()
	return p.Published, nil
}

// published is a message on its way into the store.
type published struct {
	Published
	s     *Service
	topic *Topic
	m     *Message
	texts map[string]string
	now   time.Time

	seen struct { // what filters look at, made once
		attributes, body *pattern.Document
		bad              bool
	}
}

// store writes what is owed to subscriptions, in pieces; also, unless nil, goes with the last. Room for all of it is made first, so that a message is
// refused for all of them or for none. Deliveries begin when all are durable.
func (p *published) store(to []*subscription, also func(*store.Batch)) error {
	var owed []*outbox.Delivery
	var of []*subscription
	var payloads [][]byte // those of the first piece; the others are rendered again, so that they are not in memory together
	kept := 0
	for _, sub := range to {
		if !p.passes(sub) {
			continue
		}
		d, payload, err := p.delivery(sub)
		if err != nil {
			return err
		}
		d.Weigh(len(payload))
		if owed, of = append(owed, d), append(of, sub); kept < pieceBytes {
			kept += d.Size
			payloads = append(payloads, payload)
		}
	}
	if err := p.s.o.Outbox.Reserve(owed...); err != nil {
		return full(err)
	}
	b := p.s.o.Store.NewBatch()
	defer b.Close()
	written := 0
	fail := func(err error) error {
		p.s.o.Outbox.Forget(owed[written:]...)
		p.s.o.Outbox.Release(owed[:written]...) // they are stored, and are made: at least once
		return err
	}
	for i, d := range owed {
		var payload []byte
		var err error
		if i < len(payloads) {
			payload = payloads[i]
		} else {
			_, payload, err = p.delivery(of[i])
		}
		if err == nil {
			err = p.s.o.Outbox.Put(b, d, payload)
		}
		if err == nil && b.Len() >= pieceBytes {
			if err = p.s.o.Store.Write(b); err == nil {
				written = i + 1
				b.Reset()
			}
		}
		if err != nil {
			return fail(err)
		}
	}
	if also != nil {
		also(b)
	}
	if !b.Empty() {
		if err := p.s.o.Store.Write(b); err != nil {
			return fail(err)
		}
	}
	p.s.o.Outbox.Release(owed...)
	return nil
}

// full turns the outbox's refusal into what a client tries again.
func full(err error) error {
	if err == outbox.ErrFull {
		return awserr.TopicThrottled()
	}
	return err
}

// passes says whether a subscription's filter policy lets the message through.
func (p *published) passes(sub *subscription) bool {
	if sub.filter == nil {
		return true
	}
	seen := &p.seen.attributes
	text := func() string { return attributesDocument(p.m.Attributes) }
	if sub.ofBody {
		seen, text = &p.seen.body, func() string { return p.text("default") }
	}
	if *seen == nil {
		d, err := pattern.ParseDocument(text())
		if err != nil { // a body that is no JSON passes no filter
			return false
		}
		*seen = &d
	}
	return sub.filter.MatchDocument(**seen)
}

// attributesDocument is what a filter on attributes looks at: numbers as numbers, arrays as arrays.
func attributesDocument(attributes []outbox.Attribute) string {
	doc := map[string]json.RawMessage{}
	for _, a := range attributes {
		value := string(a.Value)
		base, _, _ := strings.Cut(a.Type, ".")
		switch {
		case a.Binary: // filters do not see it
			continue
		case base == "Number" && json.Valid(a.Value), a.Type == "String.Array" && json.Valid(a.Value):
			doc[a.Name] = json.RawMessage(value)
		default:
			text, err := json.Marshal(value)
			if err != nil {
				continue
			}
			doc[a.Name] = text
		}
	}
	text, _ := json.Marshal(doc) // what is in it is valid
	return string(text)
}

// text is the message for a protocol.
func (p *published) text(protocol string) string {
	if p.texts == nil {
		return *p.m.Text
	}
	if t, ok := p.texts[protocol]; ok {
		return t
	}
	return p.texts["default"]
}

// letter: a dead-letter queue gets the message as the subscription would have, and nothing about what went wrong.
var letter = outbox.Letter{Plain: true}

// ownRetry is for queues and functions of this server: AWS tries for 23 days.
var ownRetry = outbox.Retry{Attempts: 100_015, AgeMS: (23 * 24 * time.Hour).Milliseconds()}

// delivery makes what is owed to a subscription.
func (p *published) delivery(sub *subscription) (*outbox.Delivery, []byte, error) {
	d := &outbox.Delivery{
		Source: sub.ARN(), Target: sub.Endpoint, Ordered: p.topic.FIFO(), DeadLetter: sub.deadLetter, Letter: letter,
		SinceMS: p.now.UnixMilli(), Retry: ownRetry, Trace: p.m.Trace,
	}
	if p.m.Group != nil {
		d.Group = *p.m.Group
	}
	if p.m.Dedup != nil {
		d.Dedup = *p.m.Dedup
	}
	switch sub.Protocol {
	case "lambda":
		d.Letter.Event = true
		payload, err := p.event(sub)
		return d, payload, err
	case "http", "https":
		policy := effective(p.topic.Attributes["DeliveryPolicy"], sub.Attributes["DeliveryPolicy"])
		d.Retry, d.PerSecond = policy.retry(), policy.perSecond
		d.Headers = map[string]string{
			"x-amz-sns-message-type": "Notification", "x-amz-sns-message-id": p.ID, "x-amz-sns-topic-arn": p.topic.ARN(), "x-amz-sns-subscription-arn": sub.ARN(),
			"Content-Type": policy.contentType,
		}
		if sub.raw {
			d.Headers["x-amz-sns-rawdelivery"] = "true"
		}
	}
	if sub.raw {
		d.Attributes = p.m.Attributes
		return d, []byte(p.text(sub.Protocol)), nil
	}
	payload, err := p.notification(sub)
	return d, payload, err
}

// attribute is one of a message in an envelope; binary values are in base64.
type attribute struct{ Type, Value string }

func (p *published) attributes() map[string]attribute {
	if len(p.m.Attributes) == 0 {
		return nil
	}
	all := map[string]attribute{}
	for _, a := range p.m.Attributes {
		v := string(a.Value)
		if a.Binary {
			v = base64.StdEncoding.EncodeToString(a.Value)
		}
		all[a.Name] = attribute{a.Type, v}
	}
	return all
}

const timeForm = "2006-01-02T15:04:05.000Z"

// unsigned is what stands for a signature, of which this server has none.
const unsigned = "EXAMPLE"

// link makes a link to an operation with parameters, each a name and a value, with the colons of ARNs as they are, as AWS writes them.
func (s *Service) link(action string, parameters ...string) string {
	text := s.o.Endpoint() + "/?Action=" + action
	for i := 0; i < len(parameters); i += 2 {
		text += "&" + parameters[i] + "=" + strings.ReplaceAll(url.QueryEscape(parameters[i+1]), "%3A", ":")
	}
	return text
}

// certificate has the form of AWS's URL. There is nothing behind it.
func (s *Service) certificate() string {
	return s.o.Endpoint() + "/SimpleNotificationService-00000000000000000000000000000000.pem"
}

// envelope is a message as queues and URLs get it, with the members in AWS's order.
type envelope struct {
	pairs [][2]string
	tail  string
}

func (e *envelope) add(name, value string) {
	if value != "" {
		e.pairs = append(e.pairs, [2]string{name, value})
	}
}

// render writes it in AWS's form, a member a line.
func (e *envelope) render() ([]byte, error) {
	var out bytes.Buffer
	for i, p := range e.pairs {
		text, err := marshal(p[1])
		if err != nil {
			return nil, err
		}
		out.WriteString(map[bool]string{true: "{\n", false: ",\n"}[i == 0])
		out.WriteString(`  "` + p[0] + `" : ` + text)
	}
	out.WriteString(e.tail + "\n}")
	return out.Bytes(), nil
}

// marshal is json.Marshal without its care for HTML.
func marshal(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

func (p *published) notification(sub *subscription) ([]byte, error) {
	e := &envelope{}
	e.add("Type", "Notification")
	e.add("MessageId", p.ID)
	e.add("SequenceNumber", p.Seq)
	e.add("TopicArn", p.topic.ARN())
	if p.m.Subject != nil {
		e.add("Subject", *p.m.Subject)
	}
	e.add("Message", p.text(sub.Protocol))
	e.add("Timestamp", p.now.Format(timeForm))
	if !p.topic.FIFO() { // messages of FIFO topics are not signed
		e.add("SignatureVersion", cmp.Or(p.topic.Attributes["SignatureVersion"], "1"))
		e.add("Signature", unsigned)
		e.add("SigningCertURL", p.s.certificate())
	}
	e.add("UnsubscribeURL", p.s.link("Unsubscribe", "SubscriptionArn", sub.ARN()))
	if err := e.attributes(p.attributes()); err != nil {
		return nil, err
	}
	return e.render()
}

// attributes has the envelope end with a message's attributes.
func (e *envelope) attributes(all map[string]attribute) error {
	if len(all) == 0 {
		return nil
	}
	e.tail = ",\n  \"MessageAttributes\" : {"
	for i, name := range slices.Sorted(maps.Keys(all)) {
		a := all[name]
		value, err := marshal(a.Value)
		if err != nil {
			return err
		}
		e.tail += map[bool]string{true: "\n", false: ",\n"}[i == 0] + `    "` + name + `" : {"Type":"` + a.Type + `","Value":` + value + `}`
	}
	e.tail += "\n  }"
	return nil
}

// record is a message in the event that functions get.
type record struct {
	EventSource, EventVersion, EventSubscriptionArn string
	Sns                                             struct {
		Type, MessageId, TopicArn                                                       string
		Subject                                                                         *string
		Message, Timestamp, SignatureVersion, Signature, SigningCertUrl, UnsubscribeUrl string
		MessageAttributes                                                               map[string]attribute
	}
}

// OfEvent turns the event of a function into the message as a queue would get it, which is what a dead-letter queue is told.
func OfEvent(event []byte) ([]byte, error) {
	var in struct{ Records []record }
	if err := json.Unmarshal(event, &in); err != nil || len(in.Records) != 1 {
		return nil, errors.New("what was to be delivered is no event of a topic")
	}
	m := &in.Records[0].Sns
	e := &envelope{}
	e.add("Type", m.Type)
	e.add("MessageId", m.MessageId)
	e.add("TopicArn", m.TopicArn)
	if m.Subject != nil {
		e.add("Subject", *m.Subject)
	}
	e.add("Message", m.Message)
	e.add("Timestamp", m.Timestamp)
	e.add("SignatureVersion", m.SignatureVersion)
	e.add("Signature", m.Signature)
	e.add("SigningCertURL", m.SigningCertUrl)
	e.add("UnsubscribeURL", m.UnsubscribeUrl)
	if err := e.attributes(m.MessageAttributes); err != nil {
		return nil, err
	}
	return e.render()
}

// event is a message as functions get it.
func (p *published) event(sub *subscription) ([]byte, error) {
	var event struct{ Records [1]record }
	r := &event.Records[0]
	r.EventSource, r.EventVersion, r.EventSubscriptionArn = "aws:sns", "1.0", sub.ARN()
	r.Sns.Type, r.Sns.MessageId, r.Sns.TopicArn, r.Sns.Subject = "Notification", p.ID, p.topic.ARN(), p.m.Subject
	r.Sns.Message, r.Sns.Timestamp, r.Sns.SignatureVersion, r.Sns.Signature = p.text("lambda"), p.now.Format(timeForm), cmp.Or(p.topic.Attributes["SignatureVersion"], "1"), unsigned
	r.Sns.SigningCertUrl, r.Sns.UnsubscribeUrl = p.s.certificate(), p.s.link("Unsubscribe", "SubscriptionArn", sub.ARN())
	if r.Sns.MessageAttributes = p.attributes(); r.Sns.MessageAttributes == nil {
		r.Sns.MessageAttributes = map[string]attribute{}
	}
	text, err := marshal(&event)
	return []byte(text), err
}

// confirmation is what the endpoint of a new subscription is told, and that of one which was removed by a link.
func (s *Service) confirmation(sub *Subscription) (*outbox.Delivery, []byte) {
	now := s.o.Clock.StampTime().UTC()
	id := uuid.NewString()
	kind, text := "SubscriptionConfirmation", "You have chosen to subscribe to the topic "+sub.TopicARN+".\nTo confirm the subscription, visit the SubscribeURL included in this message."
	if sub.RemovedMS > 0 {
		kind, text = "UnsubscribeConfirmation", "You have chosen to deactivate subscription "+sub.ARN()+".\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
	}
	d := &outbox.Delivery{
		Source: sub.ARN(), Target: sub.Endpoint, SinceMS: now.UnixMilli(), Retry: effective("", sub.Attributes["DeliveryPolicy"]).retry(), Letter: letter,
		Headers: map[string]string{"x-amz-sns-message-type": kind, "x-amz-sns-message-id": id, "x-amz-sns-topic-arn": sub.TopicARN, "Content-Type": "text/plain; charset=UTF-8"},
	}
	e := &envelope{}
	e.add("Type", kind)
	e.add("MessageId", id)
	e.add("Token", sub.Token)
	e.add("TopicArn", sub.TopicARN)
	e.add("Message", text)
	e.add("SubscribeURL", s.link("ConfirmSubscription", "TopicArn", sub.TopicARN, "Token", sub.Token))
	e.add("Timestamp", now.Format(timeForm))
	e.add("SignatureVersion", "1")
	e.add("Signature", unsigned)
	e.add("SigningCertURL", s.certificate())
	payload, _ := e.render() // texts always marshal
	return d, payload
}

func itoa(n int) string { return strconv.Itoa(n) }
