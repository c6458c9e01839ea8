package queue

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// Entry is a message to be sent. A nil member was not given.
type Entry struct {
	Body         *string
	Delay        *int // seconds
	Group, Dedup *string
	// Once, unless empty, is by what the message is known to be sent again, in the place of Dedup, which is shown.
	Once       string
	Attributes []Attribute
	// System are the system attributes: AWSTraceHeader is the one that there is.
	System []Attribute
	// Trace is X-Ray's header of the request that sends it, which counts where System names none.
	Trace string
}

// checkName is about the name of a new queue.
func checkName(name string, fifo bool) error {
	base, suffixed := strings.CutSuffix(name, ".fifo")
	switch {
	case fifo && !suffixed:
		return awserr.FIFOQueueName()
	case !fifo && suffixed, base == "", len(name) > 80, strings.Trim(base, nameCharacters) != "":
		return awserr.QueueName()
	}
	return nil
}

const nameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// check makes a message of an entry, or says what is wrong with it. inBatch has its own text for the size.
func (e *Entry) check(s *settings, inBatch bool) (*Message, error) {
	if e.Body == nil || *e.Body == "" {
		return nil, awserr.QueueParameterMissing("MessageBody")
	}
	m := &Message{Body: *e.Body, Attributes: e.Attributes, Trace: e.Trace}
	switch {
	case m.size() <= s.maxSize:
	case inBatch:
		return nil, awserr.BatchMessageTooLong(s.maxSize)
	default:
		return nil, awserr.MessageTooLong(s.maxSize)
	}
	if !validText(m.Body) {
		return nil, awserr.MessageContents()
	}
	if err := checkMessageAttributes(e.Attributes); err != nil {
		return nil, err
	}
	for _, a := range e.System {
		if a.Name != "AWSTraceHeader" {
			return nil, awserr.QueueParameter("Message system attribute '" + a.Name + "' is invalid.")
		}
		m.Trace = a.Value
	}
	if err := e.checkFIFO(s, m); err != nil {
		return nil, err
	}
	if d := e.Delay; d != nil && (*d < 0 || *d > MaxDelay) {
		return nil, awserr.QueueParameterValue(strconv.Itoa(*d), "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
	}
	m.MD5 = md5.Sum([]byte(m.Body))
	return m, nil
}

func (e *Entry) checkFIFO(s *settings, m *Message) error {
	if e.Group != nil {
		if !validID(*e.Group) {
			return invalidID(*e.Group, "MessageGroupId")
		}
		m.Group = *e.Group
	}
	if e.Dedup != nil {
		if !validID(*e.Dedup) {
			return invalidID(*e.Dedup, "MessageDeduplicationId")
		}
		if !s.fifo {
			return awserr.QueueParameterValue(*e.Dedup, "MessageDeduplicationId", "The request includes a parameter that is not valid for this queue type.")
		}
		m.Dedup = *e.Dedup
	}
	switch {
	case !s.fifo:
		return nil
	case e.Group == nil:
		return awserr.QueueParameterMissing("MessageGroupId")
	case e.Dedup == nil && !s.byContent:
		return awserr.DeduplicationMissing()
	case e.Delay != nil && *e.Delay != 0:
		return awserr.QueueParameterValue(strconv.Itoa(*e.Delay), "DelaySeconds", "The request include parameter that is not valid for this queue type.")
	}
	if e.Dedup == nil {
		sum := sha256.Sum256([]byte(m.Body))
		m.Dedup = hex.EncodeToString(sum[:])
	}
	return nil
}

func invalidID(id, parameter string) error {
	return awserr.QueueParameterValue(id, parameter, parameter+" can only include alphanumeric and punctuation characters. 1 to 128 in length.")
}

// validID accepts 1 to 128 printable characters of ASCII without blanks.
func validID(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// validText accepts the characters that XML has, in UTF-8.
func validText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !validRune(r) })
}

func validRune(r rune) bool {
	return r >= 0x20 && r < 0xd800 || r == '\t' || r == '\n' || r == '\r' || r >= 0xe000 && r <= 0xfffd || r >= 0x10000
}

// sendable is s with U+FFFD in the place of each character that no message may have.
func sendable(s string) string {
	return strings.Map(func(r rune) rune {
		if validRune(r) {
			return r
		}
		return utf8.RuneError
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}

// maxAttributes is how many attributes a message has at most.
const maxAttributes = 10

func checkMessageAttributes(attributes []Attribute) error {
	if len(attributes) > maxAttributes {
		return awserr.QueueParameter("Number of message attributes [" + strconv.Itoa(len(attributes)) + "] exceeds the allowed maximum [10].")
	}
	for _, a := range attributes {
		lower := strings.ToLower(a.Name)
		base, _, _ := strings.Cut(a.Type, ".")
		switch {
		case len(a.Name) >= 256 || a.Name == "":
			return awserr.QueueParameter("Message (user) attribute names must be shorter than 256 Bytes")
		case strings.ContainsFunc(a.Name, func(r rune) bool { return !strings.ContainsRune(nameCharacters+".", r) && (r < 0xc0 || r > 0x17f) }):
			return awserr.QueueParameter("Message (user) attributes name can only contain upper and lower score characters, digits, periods, hyphens and underscores. ")
		case strings.HasPrefix(lower, "aws."), strings.HasPrefix(lower, "amazon."), strings.HasPrefix(a.Name, "."), strings.HasSuffix(a.Name, "."):
			return awserr.QueueParameter("You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for internal use. Additionally, they cannot start or end with '.'.")
		case a.Type == "":
			return awserr.QueueParameter("The message attribute '" + a.Name + "' must contain non-empty message attribute type.")
		case base != "String" && base != "Number" && base != "Binary":
			return awserr.QueueParameter("The message attribute '" + a.Name + "' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.")
		case len(a.Type) >= 256:
			return awserr.QueueParameter("Message (user) attribute types must be shorter than 256 Bytes")
		case a.Value == "":
			return awserr.QueueParameter("Message (user) attribute '" + a.Name + "' must contain a non-empty value of type '" + base + "'.")
		case a.Binary != (base == "Binary"):
			return awserr.QueueParameter("The message attribute '" + a.Name + "' with type '" + base + "' must use field '" + map[bool]string{true: "Binary", false: "String"}[base == "Binary"] + "'.")
		case !a.Binary && !validText(a.Value):
			return awserr.QueueParameter(awserr.MessageContents().Message)
		case base == "Number" && !isNumber(a.Value):
			return awserr.QueueParameter("Can't cast the value of message (user) attribute '" + a.Name + "' to a number.")
		}
	}
	return nil
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil && strings.Trim(s, "+-.0123456789eE") == ""
}

// fits says whether a message with a body is not too large for the queue.
func (q *Queue) fits(e Entry) bool {
	m := Message{Body: *e.Body, Attributes: e.Attributes}
	return m.size() <= q.definition().settings.maxSize
}

// CheckBatch is about the messages of a batch together.
func (q *Queue) CheckBatch(entries []Entry) error {
	s := q.definition().settings
	size := 0
	for _, e := range entries {
		m := Message{Attributes: e.Attributes}
		if e.Body != nil {
			m.Body = *e.Body
		}
		size += m.size()
		switch {
		case !s.fifo:
		case e.Dedup == nil && !s.byContent:
			return awserr.DeduplicationMissing()
		case e.Group == nil:
			return awserr.QueueParameter(awserr.QueueParameterMissing("MessageGroupId").Message)
		}
	}
	if size > MaxMessage {
		return awserr.BatchTooLong(MaxMessage, size)
	}
	return nil
}
