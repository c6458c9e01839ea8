package queue

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// Limits of SQS.
const (
	MaxMessage    = 1 << 20 // bytes of a message, and of a batch
	MaxVisibility = 43200   // seconds
	MaxDelay      = 900     // seconds
	MaxWait       = 20      // seconds
	// MaxInFlight is how many messages of a queue are in flight at once.
	MaxInFlight = 120_000
	maxReceives = 1000 // of a redrive policy
	// MaxTags is how many tags a queue has at most.
	MaxTags = 50
)

// settings are a queue's attributes as values. Times are in seconds.
type settings struct {
	fifo, byContent, dedupByGroup      bool
	delay, visibility, wait, retention int
	maxSize                            int
	redrive                            *redrivePolicy
}

type redrivePolicy struct {
	target string // ARN
	max    int    // receives
}

// ranges of the attributes that are numbers.
var ranges = map[string][2]int{
	"DelaySeconds": {0, MaxDelay}, "MaximumMessageSize": {1024, MaxMessage}, "MessageRetentionPeriod": {60, 1209600},
	"ReceiveMessageWaitTimeSeconds": {0, MaxWait}, "VisibilityTimeout": {0, MaxVisibility}, "KmsDataKeyReusePeriodSeconds": {60, 86400},
}

var (
	defaults = map[string]string{
		"DelaySeconds": "0", "MaximumMessageSize": strconv.Itoa(MaxMessage), "MessageRetentionPeriod": "345600",
		"ReceiveMessageWaitTimeSeconds": "0", "VisibilityTimeout": "30",
	}
	fifoDefaults = map[string]string{
		"FifoQueue": "true", "ContentBasedDeduplication": "false", "DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue",
	}
	otherAttributes = []string{"Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId", "SqsManagedSseEnabled"}
	// computed are those that are told and cannot be set.
	computed = []string{
		"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible",
		"CreatedTimestamp", "LastModifiedTimestamp", "QueueArn",
	}
)

// KnownAttribute reports whether GetQueueAttributes can be asked for it.
func KnownAttribute(name string) bool {
	_, number := ranges[name]
	_, fifo := fifoDefaults[name]
	return number || fifo || slices.Contains(otherAttributes, name) || slices.Contains(computed, name)
}

// normal are attributes in the form in which SQS keeps them: true and false in small letters, and the count of a redrive policy as a number. What is
// wrong stays as it is, for the checks.
func normal(given map[string]string) map[string]string {
	given = maps.Clone(given)
	for _, name := range []string{"FifoQueue", "ContentBasedDeduplication", "SqsManagedSseEnabled"} {
		if lower := strings.ToLower(given[name]); lower == "true" || lower == "false" {
			given[name] = lower
		}
	}
	if p, err := parseRedrive(given["RedrivePolicy"]); err == nil && p != nil && strings.Contains(given["RedrivePolicy"], `"`+strconv.Itoa(p.max)+`"`) {
		target, _ := json.Marshal(p.target) // a text always marshals
		given["RedrivePolicy"] = `{"deadLetterTargetArn":` + string(target) + `,"maxReceiveCount":` + strconv.Itoa(p.max) + `}`
	}
	return given
}

// checkAttributes is every check of attributes that needs no other queue, in the order of the names.
func checkAttributes(fifo, create bool, given map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if err := checkAttribute(fifo, create, name, given[name]); err != nil {
			return err
		}
	}
	if given["KmsMasterKeyId"] != "" && given["SqsManagedSseEnabled"] == "true" {
		return awserr.QueueTwoEncryptions()
	}
	return nil
}

func checkAttribute(fifo, create bool, name, value string) error {
	if limits, ok := ranges[name]; ok {
		if n, err := strconv.Atoi(value); err != nil || n < limits[0] || n > limits[1] {
			return awserr.QueueAttributeValue(name, "")
		}
		return nil
	}
	if _, ok := fifoDefaults[name]; ok && !fifo {
		if name == "DeduplicationScope" || name == "FifoThroughputLimit" {
			return awserr.QueueAttributeFIFOOnly(name)
		}
		return awserr.QueueAttributeUnknown(name)
	}
	oneOf := func(values ...string) error {
		if !slices.Contains(values, value) {
			return awserr.QueueAttributeValue(name, "")
		}
		return nil
	}
	switch name {
	case "FifoQueue":
		if value != "true" && !create {
			return awserr.QueueAttributeValue(name, "Modifying queue type is not supported.")
		}
		return oneOf("true")
	case "ContentBasedDeduplication", "SqsManagedSseEnabled":
		return oneOf("true", "false")
	case "DeduplicationScope":
		return oneOf("queue", "messageGroup")
	case "FifoThroughputLimit":
		return oneOf("perQueue", "perMessageGroupId")
	case "Policy":
		if value != "" && !json.Valid([]byte(value)) {
			return awserr.QueueAttributeValue(name, "")
		}
		return nil
	case "RedrivePolicy":
		_, err := parseRedrive(value)
		return err
	case "RedriveAllowPolicy":
		_, err := parseAllow(value)
		return err
	case "KmsMasterKeyId":
		return nil
	}
	return awserr.QueueAttributeUnknown(name)
}

// checkTogether is about attributes that must fit each other, as they will be.
func checkTogether(attributes map[string]string) error {
	if attributes["FifoThroughputLimit"] == "perMessageGroupId" && attributes["DeduplicationScope"] != "messageGroup" {
		return awserr.QueueAttributeValue("FifoThroughputLimit", "The value perMessageGroupId is allowed only when the value for DeduplicationScope is messageGroup.")
	}
	return nil
}

// parseRedrive reads a RedrivePolicy; nil when there is none.
func parseRedrive(text string) (*redrivePolicy, error) {
	if text == "" {
		return nil, nil
	}
	bad := func(reason string) (*redrivePolicy, error) {
		return nil, awserr.QueueParameterValue(text, "RedrivePolicy", reason)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &members) != nil {
		return bad("Amazon SQS can't create the redrive policy, as it’s in an unsupported format.")
	}
	for name := range members {
		if name != "deadLetterTargetArn" && name != "maxReceiveCount" {
			return bad("Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount].")
		}
	}
	p := &redrivePolicy{}
	if members["deadLetterTargetArn"] == nil {
		return bad("Redrive policy does not contain mandatory attribute: deadLetterTargetArn.")
	}
	if members["maxReceiveCount"] == nil {
		return bad("Redrive policy does not contain mandatory attribute: maxReceiveCount.")
	}
	if json.Unmarshal(members["deadLetterTargetArn"], &p.target) != nil {
		return bad("Amazon SQS can't create the redrive policy, as it’s in an unsupported format.")
	}
	count := strings.Trim(string(members["maxReceiveCount"]), `"`)
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > maxReceives {
		return bad("Invalid value for maxReceiveCount: " + count + ", valid values are from 1 to 1000 both inclusive.")
	}
	p.max = n
	return p, nil
}

// allowPolicy says which queues may name a queue as their dead-letter queue.
type allowPolicy struct {
	Permission string   `json:"redrivePermission"`
	Sources    []string `json:"sourceQueueArns"`
}

func parseAllow(text string) (*allowPolicy, error) {
	if text == "" {
		return nil, nil
	}
	bad := func(reason string) (*allowPolicy, error) {
		return nil, awserr.QueueParameterValue(text, "RedriveAllowPolicy", reason)
	}
	p := &allowPolicy{}
	if json.Unmarshal([]byte(text), p) != nil {
		return bad("Amazon SQS can't create the redrive allow policy, as it’s in an unsupported format.")
	}
	switch {
	case !slices.Contains([]string{"allowAll", "denyAll", "byQueue"}, p.Permission):
		return bad("Invalid value for redrivePermission, valid values are: [allowAll, denyAll, byQueue].")
	case p.Permission == "byQueue" && (len(p.Sources) < 1 || len(p.Sources) > 10):
		return bad("sourceQueueArns must have 1 to 10 queues when redrivePermission is byQueue.")
	case p.Permission != "byQueue" && len(p.Sources) > 0:
		return bad("sourceQueueArns can be given only when redrivePermission is byQueue.")
	}
	return p, nil
}

func (p *allowPolicy) allows(source string) bool {
	return p == nil || p.Permission == "allowAll" || p.Permission == "byQueue" && slices.Contains(p.Sources, source)
}

// all are the attributes that a queue has, set or not.
func (d *definition) all() map[string]string {
	all := maps.Clone(defaults)
	if d.Attributes["FifoQueue"] == "true" {
		maps.Copy(all, fifoDefaults)
	}
	all["SqsManagedSseEnabled"] = "true"
	if d.Attributes["KmsMasterKeyId"] != "" {
		all["SqsManagedSseEnabled"] = "false"
		all["KmsDataKeyReusePeriodSeconds"] = "300"
	}
	maps.Copy(all, d.Attributes)
	if d.Attributes["KmsMasterKeyId"] == "" { // without a key there is no time for which data keys are used again
		delete(all, "KmsDataKeyReusePeriodSeconds")
	}
	return all
}

// set changes attributes; an empty policy or key is none.
func (d *definition) set(given map[string]string) {
	d.Attributes = maps.Clone(d.Attributes)
	if d.Attributes == nil {
		d.Attributes = map[string]string{}
	}
	key, told := given["KmsMasterKeyId"]
	if _, sse := given["SqsManagedSseEnabled"]; told && !sse { // one kind of encryption takes the place of the other; without its key there is none
		switch had := d.Attributes["KmsMasterKeyId"]; {
		case key != "":
			delete(d.Attributes, "SqsManagedSseEnabled")
		case had != "":
			d.Attributes["SqsManagedSseEnabled"] = "false"
		}
	}
	for name, value := range given {
		if value == "" {
			delete(d.Attributes, name)
		} else {
			d.Attributes[name] = value
		}
	}
	d.load()
}

// differs names an attribute that a queue has otherwise than it is given, the first by name; empty: none.
func (d *definition) differs(given map[string]string) string {
	all := d.all()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if name == "KmsDataKeyReusePeriodSeconds" && all["KmsMasterKeyId"] == "" {
			continue // it counts only with a key
		}
		if all[name] != given[name] {
			return name
		}
	}
	return ""
}

// load reads the settings off the attributes, which have been checked. Those that an earlier release has stored get the form of today's.
func (d *definition) load() {
	d.Attributes = normal(d.Attributes)
	all := d.all()
	number := func(name string) int {
		n, _ := strconv.Atoi(all[name]) // checked
		return n
	}
	d.settings = settings{
		fifo: all["FifoQueue"] == "true", byContent: all["ContentBasedDeduplication"] == "true", dedupByGroup: all["DeduplicationScope"] == "messageGroup",
		delay: number("DelaySeconds"), visibility: number("VisibilityTimeout"), wait: number("ReceiveMessageWaitTimeSeconds"),
		retention: number("MessageRetentionPeriod"), maxSize: number("MaximumMessageSize"),
	}
	d.settings.redrive, _ = parseRedrive(all["RedrivePolicy"]) // checked
}

// shown are the attributes that are named, all for "All".
func (d *definition) shown(names []string, c Counts) map[string]string {
	all := d.all()
	all["ApproximateNumberOfMessages"] = strconv.Itoa(c.Visible)
	all["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(c.InFlight)
	all["ApproximateNumberOfMessagesDelayed"] = strconv.Itoa(c.Delayed)
	all["CreatedTimestamp"] = strconv.FormatInt(d.CreatedMS/1000, 10)
	all["LastModifiedTimestamp"] = strconv.FormatInt(d.ModifiedMS/1000, 10)
	all["QueueArn"] = d.arn()
	if slices.Contains(names, "All") {
		return all
	}
	maps.DeleteFunc(all, func(name, _ string) bool { return !slices.Contains(names, name) })
	return all
}
