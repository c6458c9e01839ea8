package poll

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/pattern"
	"github.com/millstreamdb/millstream/internal/queue"
)

// attributeOrder is the order of the system attributes in AWS's events.
var attributeOrder = []string{
	"ApproximateReceiveCount", "AWSTraceHeader", "SentTimestamp", "SequenceNumber", "MessageGroupId", "SenderId", "MessageDeduplicationId",
	"ApproximateFirstReceiveTimestamp", "DeadLetterQueueSourceArn",
}

func text(dst []byte, s string) []byte { return item.AppendJSONString(dst, []byte(s)) }

func member(dst []byte, name, value string) []byte {
	return text(append(text(dst, name), ':'), value)
}

// appendRecord renders a message as Lambda's event has it. body is JSON: a text, or for filters an object.
func (p *poller) appendRecord(dst []byte, m *queue.Received, body []byte) []byte {
	dst = member(append(dst, '{'), "messageId", m.IDText())
	dst = member(append(dst, ','), "receiptHandle", m.Handle)
	dst = append(append(dst, `,"body":`...), body...)
	dst = append(dst, `,"attributes":{`...)
	attributes := m.SystemAttributes()
	slices.SortFunc(attributes, func(a, b [2]string) int {
		return slices.Index(attributeOrder, a[0]) - slices.Index(attributeOrder, b[0])
	})
	for i, a := range attributes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = member(dst, a[0], a[1])
	}
	dst = append(dst, `},"messageAttributes":{`...)
	for i, a := range m.Message.Attributes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(text(dst, a.Name), ':', '{')
		if a.Binary {
			dst = member(dst, "binaryValue", base64.StdEncoding.EncodeToString([]byte(a.Value)))
		} else {
			dst = member(dst, "stringValue", a.Value)
		}
		dst = append(dst, `,"stringListValues":[],"binaryListValues":[],`...)
		dst = append(member(dst, "dataType", a.Type), '}')
	}
	dst = append(dst, '}')
	if sum := queue.AttributesMD5(m.Message.Attributes); sum != "" {
		dst = member(append(dst, ','), "md5OfMessageAttributes", sum)
	}
	dst = member(append(dst, ','), "md5OfBody", m.MD5Text())
	dst = member(append(dst, ','), "eventSource", "aws:sqs")
	dst = member(append(dst, ','), "eventSourceARN", p.def.StreamARN)
	dst = member(append(dst, ','), "awsRegion", p.def.Scope.Region)
	return append(dst, '}')
}

// estimate is about how large a message's record is, in bytes.
func estimate(m *queue.Received) int {
	n := len(m.Body) + 700
	for _, a := range m.Message.Attributes {
		n += len(a.Name) + len(a.Type) + len(a.Value)*4/3 + 100
	}
	return n
}

// render makes the event of the first messages, as many as fit.
func (p *poller) render(messages []*queue.Received) (payload []byte, n int) {
	payload = append(make([]byte, 0, 1024*len(messages)), `{"Records":[`...)
	for _, m := range messages {
		before := len(payload)
		if n > 0 {
			payload = append(payload, ',')
		}
		payload = p.appendRecord(payload, m, text(nil, m.Body))
		if n > 0 && len(payload)+2 > maxPayload {
			payload = payload[:before]
			break
		}
		n++
	}
	return append(payload, `]}`...), n
}

// matches reports whether a message passes the filters. A body that is a JSON object is matched as one, any other as a text.
func (p *poller) matches(m *queue.Received) bool {
	if len(p.filters) == 0 {
		return true
	}
	body := text(nil, m.Body)
	if pattern.IsObject(m.Body) {
		body = []byte(strings.TrimSpace(m.Body))
	}
	d, err := pattern.ParseDocument(string(p.appendRecord(nil, m, body)))
	if err != nil {
		return false
	}
	for _, f := range p.filters {
		if f.MatchDocument(d) {
			return true
		}
	}
	return false
}
