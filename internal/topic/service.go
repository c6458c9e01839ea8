package topic

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/outbox"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/worker"
)

// Options of Open. All but Logger are required.
type Options struct {
	Store  *store.Store
	Clock  *worker.Clock
	Outbox *outbox.Outbox
	// Endpoint is the URL at which the server is reached, for links in messages.
	Endpoint func() string
	// Exists says whether there is a queue or function of an ARN.
	Exists func(arn string) bool
	Logger *slog.Logger // nil: nothing is logged
}

// Service has all topics. Its methods may be called by many goroutines at once.
type Service struct {
	o      Options
	unique atomic.Uint64 // sequence numbers, which rise over restarts too
	base   int64         // the believed time when the clock began, in ms since 1970

	mu            sync.RWMutex // guards what follows; held for writing while definitions are stored
	topics        map[string]*Topic
	subscriptions map[string]*subscription            // by ARN
	of            map[string]map[string]*subscription // by the topic's ARN, then their own
	fifo          map[string]*fifo                    // by the topic's ARN
	removed       []*Subscription                     // those that can be brought back, in the order in which they were removed

	sweeping sync.Mutex // guards what follows; taken after any other
	sweeper  *worker.Timer
	swept    sync.WaitGroup
	closed   bool
}

// Open loads the topics.
func Open(o Options) (*Service, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{o: o, topics: map[string]*Topic{}, subscriptions: map[string]*subscription{}, of: map[string]map[string]*subscription{}, fifo: map[string]*fifo{}}
	s.unique.Store(o.Store.Incarnation() << 40)
	mono, _, _ := o.Clock.Instant()
	s.base = o.Clock.Believed() - mono.Milliseconds()
	each := func(kind byte, f func(rest string, v []byte) error) error {
		return o.Store.Each(key(kind, ""), func(k, v []byte) error { return f(string(k[2:]), v) })
	}
	err := errors.Join(
		each(rowTopic, func(_ string, v []byte) error {
			t := &Topic{}
			if err := decode(v, t); err != nil {
				return err
			}
			s.topics[t.ARN()] = t
			return nil
		}),
		each(rowSubscription, func(_ string, v []byte) error {
			one := &Subscription{}
			if err := decode(v, one); err != nil {
				return err
			}
			if one.RemovedMS > 0 {
				s.removed = append(s.removed, one)
				return nil
			}
			sub, err := prepare(one)
			if err == nil {
				s.hold(sub)
			}
			return err
		}),
		each(rowDedup, func(rest string, v []byte) error {
			var e earlier
			topicARN, id, _ := strings.Cut(rest, "\x00")
			if err := decode(v, &e); err != nil {
				return err
			}
			e.UntilMS = min(e.UntilMS, s.now()+dedupWindow) // the clock may have been ahead when it was noted
			s.fifoOf(topicARN).note(id, e)
			return nil
		}),
	)
	slices.SortStableFunc(s.removed, func(a, b *Subscription) int { return cmp.Compare(a.RemovedMS, b.RemovedMS) })
	for _, f := range s.fifo { // rows are in the order of ids
		slices.SortStableFunc(f.order, func(a, b string) int { return cmp.Compare(f.known[a].UntilMS, f.known[b].UntilMS) })
	}
	if len(s.fifo) > 0 {
		s.sweepLater()
	}
	return s, err
}

// now is the time by which deduplication ids are forgotten, in ms. A clock that is set or not believed does not move it.
func (s *Service) now() int64 {
	mono, _, _ := s.o.Clock.Instant()
	return s.base + mono.Milliseconds()
}

// admit refuses what takes room while the disk is nearly full. What is owed already is delivered.
func (s *Service) admit() error {
	return awserr.WhenFull(s.o.Store.Admit(), store.ErrDiskFull, "InternalError")
}

func (s *Service) hold(sub *subscription) {
	s.subscriptions[sub.ARN()] = sub
	if s.of[sub.TopicARN] == nil {
		s.of[sub.TopicARN] = map[string]*subscription{}
	}
	s.of[sub.TopicARN][sub.ARN()] = sub
}

func (s *Service) drop(sub *subscription) {
	delete(s.subscriptions, sub.ARN())
	delete(s.of[sub.TopicARN], sub.ARN())
}

func (s *Service) set(kind byte, name string, v any) error {
	if err := s.admit(); err != nil {
		return err
	}
	row, err := encode(v)
	if err != nil {
		return err
	}
	b := s.o.Store.NewBatch()
	defer b.Close()
	b.Set(key(kind, name), row)
	return s.o.Store.Write(b)
}

// Has says whether there is a topic.
func (s *Service) Has(topicARN string) bool {
	_, err := s.Topic(topicARN)
	return err == nil
}

// Topic returns a topic.
func (s *Service) Topic(topicARN string) (*Topic, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.topic(topicARN)
}

func (s *Service) topic(topicARN string) (*Topic, error) {
	if t := s.topics[topicARN]; t != nil {
		return t, nil
	}
	if err := elements("TopicArn", topicARN); err != nil {
		return nil, err
	}
	if arn.Service(topicARN) != "sns" {
		return nil, awserr.TopicParameter("TopicArn")
	}
	return nil, awserr.TopicMissing()
}

// elements refuses an ARN that has too few parts.
func elements(parameter, text string) error {
	if n := strings.Count(text, ":") + 1; n < 6 {
		return awserr.TopicParameterReason(parameter, "An ARN must have at least 6 elements, not "+itoa(n))
	}
	return nil
}

// All returns the topics of a scope by ascending ARN.
func (s *Service) All(scope arn.Scope) (all []*Topic) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, t := range s.topics {
		if t.Scope == scope {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b *Topic) int { return cmp.Compare(a.ARN(), b.ARN()) })
	return all
}

const nameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// Create makes a topic, or returns the one that is there with the attributes and tags that are given.
func (s *Service) Create(scope arn.Scope, name string, attributes, tags map[string]string) (*Topic, error) {
	base, suffixed := strings.CutSuffix(name, ".fifo")
	if base == "" || len(name) > 256 || strings.Trim(base, nameCharacters) != "" || suffixed != (attributes["FifoTopic"] == "true") {
		return nil, awserr.TopicParameterReason("Topic Name", "")
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if err := checkTopicAttribute(name, attributes[name], true, suffixed); err != nil {
			return nil, err
		}
	}
	if err := checkTags(tags); err != nil {
		return nil, err
	}
	attributes = keptDelivery(attributes, true)
	if !suffixed { // AWS forgets that it was given
		attributes = maps.Clone(attributes)
		delete(attributes, "FifoTopic")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &Topic{Scope: scope, Name: name, Attributes: attributes, Tags: tags, CreatedMS: s.o.Clock.Stamp()}
	if old := s.topics[t.ARN()]; old != nil {
		for name, value := range attributes {
			if cmp.Or(old.Attributes[name], defaults[name]) != value {
				return nil, awserr.TopicParameterReason("Attributes", "Topic already exists with different attributes")
			}
		}
		for key, value := range tags {
			if had, ok := old.Tags[key]; !ok || had != value {
				return nil, awserr.TopicParameterReason("Tags", "Topic already exists with different tags")
			}
		}
		return old, nil
	}
	if err := s.set(rowTopic, t.ARN(), t); err != nil {
		return nil, err
	}
	s.topics[t.ARN()] = t
	return t, nil
}

// Delete removes a topic with its subscriptions. One that is not there is no error.
func (s *Service) Delete(topicARN string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics[topicARN] == nil {
		return nil
	}
	f := s.fifoOf(topicARN)
	f.mu.Lock() // what is being taken ends before, and leaves no deduplication id to a topic of the same name
	defer f.mu.Unlock()
	b := s.o.Store.NewBatch()
	defer b.Close()
	b.Delete(key(rowTopic, topicARN))
	for _, sub := range s.of[topicARN] {
		b.Delete(key(rowSubscription, sub.ARN()))
	}
	left := slices.DeleteFunc(slices.Clone(s.removed), func(one *Subscription) bool { return one.TopicARN == topicARN })
	for _, one := range s.removed {
		if one.TopicARN == topicARN {
			b.Delete(key(rowSubscription, one.ARN()))
		}
	}
	dedup := key(rowDedup, topicARN+"\x00")
	b.DeleteRange(dedup, store.PrefixEnd(dedup))
	if err := s.o.Store.Write(b); err != nil {
		return err
	}
	for _, sub := range s.of[topicARN] {
		delete(s.subscriptions, sub.ARN())
	}
	s.removed = left
	delete(s.of, topicARN)
	delete(s.fifo, topicARN)
	f.gone = true
	delete(s.topics, topicARN)
	return nil
}

// change stores what f makes of a topic.
func (s *Service) change(topicARN string, f func(*Topic) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.topic(topicARN)
	if err != nil {
		return err
	}
	t := *old
	t.Attributes, t.Tags = cloned(t.Attributes), cloned(t.Tags)
	if err := f(&t); err != nil {
		return err
	}
	if err := s.set(rowTopic, topicARN, &t); err != nil {
		return err
	}
	s.topics[topicARN] = &t
	return nil
}

func cloned(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return maps.Clone(m)
}

// SetAttribute sets an attribute of a topic.
func (s *Service) SetAttribute(topicARN, name, value string) error {
	return s.change(topicARN, func(t *Topic) error {
		if err := checkTopicAttribute(name, value, false, t.FIFO()); err != nil {
			return err
		}
		if t.Attributes[name] = value; value == "" && (name == "DeliveryPolicy" || name == "Policy") {
			delete(t.Attributes, name)
		}
		t.Attributes = keptDelivery(t.Attributes, true)
		return nil
	})
}

// ChangeTags sets tags and removes others.
func (s *Service) ChangeTags(topicARN string, set map[string]string, unset []string) error {
	err := s.change(topicARN, func(t *Topic) error {
		maps.Copy(t.Tags, set)
		for _, k := range unset {
			delete(t.Tags, k)
		}
		return checkTags(t.Tags)
	})
	var e *awserr.Error
	if errors.As(err, &e) && e.Code == "NotFound" {
		return awserr.TopicResourceMissing()
	}
	return err
}

// maxTags is how many tags a topic has at most.
const maxTags = 50

// Lengths of tags, in characters, as on AWS.
const (
	maxTagKey   = 128
	maxTagValue = 256
)

func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return awserr.TopicTags()
	}
	for key, value := range tags {
		switch {
		case key == "" || utf8.RuneCountInString(key) > maxTagKey:
			return awserr.TopicParameterReason("Tags", fmt.Sprintf("the key of a tag has 1 to %d characters", maxTagKey))
		case utf8.RuneCountInString(value) > maxTagValue:
			return awserr.TopicParameterReason("Tags", fmt.Sprintf("the value of a tag has at most %d characters", maxTagValue))
		}
	}
	return nil
}

// Attributes of a topic, as GetTopicAttributes shows them.
func (s *Service) Attributes(topicARN string) (map[string]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t, err := s.topic(topicARN)
	if err != nil {
		return nil, err
	}
	out := map[string]string{
		"TopicArn": topicARN, "Owner": t.Scope.Account, "DisplayName": "", "SubscriptionsDeleted": "0",
		"Policy": t.defaultPolicy(),
	}
	policy := effective(t.Attributes["DeliveryPolicy"], "")
	out["EffectiveDeliveryPolicy"], _ = policy.documents()
	if t.FIFO() {
		out["ContentBasedDeduplication"] = "false"
	}
	maps.Copy(out, t.Attributes)
	confirmed, pending := 0, 0
	for _, sub := range s.of[topicARN] {
		if sub.Pending {
			pending++
		} else {
			confirmed++
		}
	}
	out["SubscriptionsConfirmed"], out["SubscriptionsPending"] = itoa(confirmed), itoa(pending)
	return out, nil
}

// Subscribe makes a subscription, or returns the one that is there. One of http or https is to be confirmed, of which its endpoint is told.
func (s *Service) Subscribe(topicARN, protocol, endpoint string, attributes map[string]string) (*Subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.topic(topicARN)
	if err != nil {
		return nil, err
	}
	if err := s.checkEndpoint(t, protocol, endpoint); err != nil {
		return nil, err
	}
	attributes = keptDelivery(lowered(attributes), false)
	one := &Subscription{ID: uuid.NewString(), TopicARN: topicARN, Protocol: protocol, Endpoint: endpoint, Attributes: cloned(attributes), CreatedMS: s.o.Clock.Stamp()}
	maps.DeleteFunc(one.Attributes, func(_, value string) bool { return value == "" }) // AWS takes it for none
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if err := s.checkSubscriptionAttribute(one, name, attributes[name], "Attributes Reason: "); err != nil {
			return nil, err
		}
	}
	for _, sub := range s.of[topicARN] {
		if sub.Protocol == protocol && sub.Endpoint == endpoint {
			for name, value := range attributes {
				if cmp.Or(sub.Attributes[name], subscriptionDefaults[name]) != value {
					return nil, awserr.TopicParameterReason("Attributes", "Subscription already exists with different attributes")
				}
			}
			if sub.Pending { // whoever asks again has not been told, or has lost what it was told
				return sub.Subscription, s.subscribed(sub)
			}
			return sub.Subscription, nil
		}
	}
	if protocol == "http" || protocol == "https" {
		one.Pending = true
		one.Token = newToken()
	}
	sub, err := prepare(one)
	if err != nil {
		return nil, err
	}
	return one, s.subscribed(sub)
}

// subscriptionDefaults of attributes that were not set.
var subscriptionDefaults = map[string]string{"RawMessageDelivery": "false", "FilterPolicyScope": "MessageAttributes"}

// lowered are attributes with a RawMessageDelivery of true or false in small letters, as AWS keeps it.
func lowered(attributes map[string]string) map[string]string {
	if raw := strings.ToLower(attributes["RawMessageDelivery"]); raw == "true" || raw == "false" {
		attributes = maps.Clone(attributes)
		attributes["RawMessageDelivery"] = raw
	}
	return attributes
}

// subscribed stores a subscription and owes its endpoint what confirms it, if it is to be confirmed. The caller holds mu.
func (s *Service) subscribed(sub *subscription) error {
	one := sub.Subscription
	if err := s.admit(); err != nil {
		return err
	}
	b := s.o.Store.NewBatch()
	defer b.Close()
	var owed []*outbox.Delivery
	if one.Pending {
		d, payload := s.confirmation(one)
		if err := s.o.Outbox.Add(b, d, payload); err != nil {
			return full(err)
		}
		owed = append(owed, d)
	}
	row, err := encode(one)
	if err == nil {
		b.Set(key(rowSubscription, one.ARN()), row)
		err = s.o.Store.Write(b)
	}
	if err != nil {
		s.o.Outbox.Forget(owed...)
		return err
	}
	s.hold(sub)
	// The clock of a test waits for the deliveries from here on.
	s.o.Clock.Begin()
	defer s.o.Clock.End()
	s.o.Outbox.Release(owed...)
	return nil
}

// checkEndpoint accepts what a topic can deliver to.
func (s *Service) checkEndpoint(t *Topic, protocol, endpoint string) error {
	switch protocol {
	case "sqs":
		if arn.Service(endpoint) != "sqs" {
			return awserr.TopicParameterReason("SQS endpoint ARN", "")
		}
		if strings.HasSuffix(endpoint, ".fifo") && !t.FIFO() {
			return awserr.TopicParameterReason("Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics", "")
		}
		if !s.o.Exists(endpoint) {
			return awserr.TopicParameterReason("Endpoint", "Millstream delivers to its own queues, and has no "+endpoint)
		}
	case "lambda":
		if arn.Service(endpoint) != "lambda" {
			return awserr.TopicParameterReason("Lambda endpoint ARN", "")
		}
		if !s.o.Exists(endpoint) {
			return awserr.TopicParameterReason("Endpoint", "Millstream delivers to its own functions, and has no "+endpoint)
		}
	case "http", "https":
		u, err := url.Parse(endpoint)
		if err != nil || u.Scheme != protocol || u.Host == "" {
			return awserr.TopicParameterReason("Endpoint must match the specified protocol", "")
		}
	case "email", "email-json", "sms", "application", "firehose":
		return awserr.TopicParameterReason("Protocol", "Millstream delivers by sqs, lambda, http and https, not by "+protocol)
	default:
		return awserr.TopicParameterReason("Amazon SNS does not support this protocol string: "+protocol, "")
	}
	if t.FIFO() && protocol != "sqs" {
		return awserr.TopicParameterReason("Invalid protocol type: "+protocol, "")
	}
	return nil
}

// Confirm confirms the subscription of a token, which names it: of the topic's ARN, as at AWS, only the account and the region count. authenticate has
// the links of its messages no longer unsubscribe.
func (s *Service) Confirm(topicARN, token string, authenticate bool) (*Subscription, error) {
	named, ok := arn.Parse(topicARN)
	if !ok || named.Service != "sns" {
		return nil, awserr.TopicParameter("Topic")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subscriptions {
		if token == "" || sub.Token != token {
			continue
		}
		if of, _ := arn.Parse(sub.TopicARN); of.Scope() != named.Scope() {
			return nil, awserr.TopicParameter("Topic")
		}
		if sub.Pending {
			one := *sub.Subscription
			one.Pending, one.Authenticate = false, authenticate
			return &one, s.replace(&one)
		}
		return sub.Subscription, nil
	}
	for i, one := range s.removed {
		if token == "" || one.Token != token || one.RemovedMS+keepRemoved < s.o.Clock.Stamp() {
			continue
		}
		back := *one
		back.RemovedMS, back.Authenticate = 0, authenticate
		if err := s.replace(&back); err != nil {
			return nil, err
		}
		s.removed = slices.Delete(slices.Clone(s.removed), i, i+1)
		return &back, nil
	}
	if strings.Trim(strings.ToLower(token), "0123456789abcdef") != "" {
		return nil, &awserr.Error{Code: "InvalidParameter", Message: "Invalid token"}
	}
	return nil, awserr.TopicParameter("Token")
}

// replace stores a subscription in the place of the one that is there. The caller holds mu.
func (s *Service) replace(one *Subscription) error {
	sub, err := prepare(one)
	if err != nil {
		return err
	}
	if err := s.set(rowSubscription, one.ARN(), one); err != nil {
		return err
	}
	s.hold(sub)
	return nil
}

// Subscription returns a subscription.
func (s *Service) Subscription(subscriptionARN string) (*Subscription, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sub, err := s.subscription(subscriptionARN)
	if err != nil {
		return nil, err
	}
	return sub.Subscription, nil
}

func (s *Service) subscription(subscriptionARN string) (*subscription, error) {
	if sub := s.subscriptions[subscriptionARN]; sub != nil {
		return sub, nil
	}
	if subscriptionARN == "" {
		return nil, awserr.TopicParameterReason("SubscriptionArn", "no value for required parameter")
	}
	if err := elements("SubscriptionArn", subscriptionARN); err != nil {
		return nil, err
	}
	if strings.Count(subscriptionARN, ":") == 5 { // it names a topic
		return nil, awserr.TopicParameter("SubscriptionId")
	}
	return nil, awserr.SubscriptionMissing()
}

// Unsubscribe removes a subscription. One that is not there is no error. signed is false for whoever follows the link of a message.
func (s *Service) Unsubscribe(subscriptionARN string, signed bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.subscription(subscriptionARN)
	var e *awserr.Error
	if errors.As(err, &e) && e.Code == "NotFound" {
		return nil
	}
	if err != nil {
		return err
	}
	if sub.Authenticate && !signed {
		return awserr.TopicForbidden("the subscription was confirmed with AuthenticateOnUnsubscribe: its owner unsubscribes")
	}
	b := s.o.Store.NewBatch()
	defer b.Close()
	if !signed && (sub.Protocol == "http" || sub.Protocol == "https") && s.admit() == nil {
		return s.unsubscribed(b, sub)
	}
	b.Delete(key(rowSubscription, subscriptionARN))
	if err := s.o.Store.Write(b); err != nil {
		return err
	}
	s.drop(sub)
	return nil
}

// keepRemoved is how long a subscription that was removed by a link can be brought back, in ms; maxRemoved, how many are kept for it.
const (
	keepRemoved = 2 * 24 * 3600_000
	maxRemoved  = 1000
)

// unsubscribed removes a subscription by the link of a message, of which its endpoint is told, as at AWS: it may be brought back. The caller holds mu.
func (s *Service) unsubscribed(b *store.Batch, sub *subscription) error {
	one := *sub.Subscription
	one.RemovedMS, one.Token = s.o.Clock.Stamp(), newToken()
	d, payload := s.confirmation(&one)
	if err := s.o.Outbox.Add(b, d, payload); err != nil {
		return full(err)
	}
	gone := 0
	for gone < len(s.removed) && (gone <= len(s.removed)-maxRemoved || s.removed[gone].RemovedMS+keepRemoved < one.RemovedMS) {
		b.Delete(key(rowSubscription, s.removed[gone].ARN()))
		gone++
	}
	row, err := encode(&one)
	if err == nil {
		b.Set(key(rowSubscription, one.ARN()), row)
		err = s.o.Store.Write(b)
	}
	if err != nil {
		s.o.Outbox.Forget(d)
		return err
	}
	s.removed = append(slices.Clone(s.removed[gone:]), &one)
	s.drop(sub)
	s.o.Clock.Begin() // the clock of a test waits for the deliveries from here on
	defer s.o.Clock.End()
	s.o.Outbox.Release(d)
	return nil
}

// newToken makes a token, which is a number in hexadecimal.
func newToken() string {
	var token [48]byte
	_, _ = rand.Read(token[:]) // never fails
	return hex.EncodeToString(token[:])
}

// SetSubscriptionAttribute sets an attribute of a subscription.
func (s *Service) SetSubscriptionAttribute(subscriptionARN, name, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.subscription(subscriptionARN)
	if err != nil {
		return err
	}
	value = lowered(map[string]string{name: value})[name]
	one := *sub.Subscription
	one.Attributes = cloned(one.Attributes)
	if err := s.checkSubscriptionAttribute(&one, name, value, ""); err != nil {
		return err
	}
	if one.Attributes[name] = value; value == "" || name == "FilterPolicy" && value == "{}" { // AWS's way to remove a filter policy
		delete(one.Attributes, name)
	}
	one.Attributes = keptDelivery(one.Attributes, false)
	return s.replace(&one)
}

// EffectivePolicy is the delivery policy that counts for a subscription to a URL; empty for others, for which there is none.
func (s *Service) EffectivePolicy(one *Subscription) string {
	if one.Protocol != "http" && one.Protocol != "https" {
		return ""
	}
	ofTopic := ""
	if t, err := s.Topic(one.TopicARN); err == nil {
		ofTopic = t.Attributes["DeliveryPolicy"]
	}
	policy := effective(ofTopic, one.Attributes["DeliveryPolicy"])
	_, text := policy.documents()
	return text
}

// Subscriptions returns those of a topic, or with an empty ARN those of a scope, by ascending ARN.
func (s *Service) Subscriptions(scope arn.Scope, topicARN string) (all []*Subscription, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if topicARN != "" {
		if _, err := s.topic(topicARN); err != nil {
			return nil, err
		}
	}
	for _, sub := range s.subscriptions {
		a, _ := arn.Parse(sub.TopicARN)
		if topicARN == "" && a.Scope() == scope || sub.TopicARN == topicARN {
			all = append(all, sub.Subscription)
		}
	}
	slices.SortFunc(all, func(a, b *Subscription) int { return cmp.Compare(a.ARN(), b.ARN()) })
	return all, nil
}

// checkSubscriptionAttribute accepts an attribute's value; where begins what is said of a filter policy.
func (s *Service) checkSubscriptionAttribute(one *Subscription, name, value, where string) error {
	object := func() bool { return json.Valid([]byte(value)) && strings.HasPrefix(strings.TrimSpace(value), "{") }
	changed := *one
	changed.Attributes = cloned(one.Attributes)
	changed.Attributes[name] = value
	if len(value) > maxAttribute {
		return awserr.TopicParameterReason(name, fmt.Sprintf("it has more than %d bytes", maxAttribute))
	}
	switch name {
	case "RawMessageDelivery":
		if value != "true" && value != "false" {
			return awserr.TopicParameter(where + "RawMessageDelivery: Invalid value [" + value + "]. Must be true or false.")
		}
		if one.Protocol == "lambda" && value == "true" {
			return awserr.TopicParameterReason("Delivery protocol [lambda] does not support raw message delivery.", "")
		}
	case "FilterPolicyScope":
		if value != "MessageAttributes" && value != "MessageBody" {
			return awserr.TopicParameter(where + "FilterPolicyScope: Invalid value [" + value + "]. Please use either MessageBody or MessageAttributes")
		}
		if policy := one.Attributes["FilterPolicy"]; policy != "" {
			if err := checkPolicy(policy, value == "MessageBody"); err != nil {
				return awserr.TopicParameter(where + err.Error())
			}
		}
	case "FilterPolicy":
		if value == "" || value == "{}" {
			return nil
		}
		if err := checkPolicy(value, one.Attributes["FilterPolicyScope"] == "MessageBody"); err != nil {
			return awserr.TopicParameter(where + err.Error())
		}
		if _, err := prepare(&changed); err != nil {
			return awserr.TopicParameter(where + "FilterPolicy: " + err.Error())
		}
	case "RedrivePolicy":
		if value == "" {
			return nil
		}
		p, err := prepare(&changed)
		switch {
		case !object() || err != nil:
			return awserr.TopicParameter(where + "RedrivePolicy: failed to parse JSON.")
		case arn.Service(p.deadLetter) != "sqs":
			return awserr.TopicParameter(where + "RedrivePolicy: deadLetterTargetArn is an invalid arn")
		case strings.HasSuffix(one.TopicARN, ".fifo") && strings.HasSuffix(one.Endpoint, ".fifo") && !strings.HasSuffix(p.deadLetter, ".fifo"):
			return awserr.TopicParameter(where + "RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic.")
		}
		if topic, _ := arn.Parse(one.TopicARN); topic.Account != "" {
			if _, other := arn.OfOther(topic.Account, p.deadLetter); other {
				return awserr.TopicParameterReason("RedrivePolicy", "dead letter queue must be in the same account as the subscription's topic")
			}
		}
		if !s.o.Exists(p.deadLetter) {
			return awserr.TopicParameterReason("RedrivePolicy", "Millstream delivers to its own queues, and has no "+p.deadLetter)
		}
	case "DeliveryPolicy":
		if value == "" {
			return nil
		}
		if _, _, err := parseDelivery(value, false); err != nil {
			return awserr.TopicParameterReason("DeliveryPolicy", err.Error())
		}
	case "SubscriptionRoleArn", "ReplayPolicy":
		return awserr.TopicParameterReason("AttributeName", "Millstream has no "+name)
	default:
		return awserr.TopicParameter("AttributeName")
	}
	return nil
}
