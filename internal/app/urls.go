package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/millstreamdb/millstream/internal/outbox"
	"github.com/millstreamdb/millstream/internal/topic"
)

// urlTimeout is how long a URL may take to answer; AWS's.
const urlTimeout = 15 * time.Second

// urls makes requests to URLs of subscriptions. Whoever may subscribe chooses them, so none leads to a machine's link-local addresses, where clouds keep their
// credentials, and none is redirected.
var urls = &http.Client{
	Timeout:       urlTimeout,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: urlTimeout, Control: refuseLinkLocal}).DialContext,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       30 * time.Second,
		ResponseHeaderTimeout: urlTimeout,
		// Who answers is not known: 64 of them at once get no more than this.
		MaxResponseHeaderBytes: 64 << 10,
	},
}

var errLinkLocal = errors.New("no message goes to link-local addresses")

func refuseLinkLocal(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := at.Addr().Unmap(); ip.IsLinkLocalUnicast() || ip == netip.MustParseAddr("fd00:ec2::254") {
		return errLinkLocal
	}
	return nil
}

// deliverToURL posts a payload. An answer of 4xx but 429 is not asked for again, as on AWS.
func (s *App) deliverToURL(ctx context.Context, d *outbox.Delivery, payload []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.Target, bytes.NewReader(payload))
	if err != nil {
		return &outbox.Permanent{Err: err}
	}
	for name, value := range d.Headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("User-Agent", "Amazon Simple Notification Service Agent")
	r.Header.Set("Accept-Encoding", "gzip,deflate") // as AWS; nobody reads the answer
	r.Header.Set("Connection", "Keep-Alive")
	answer, err := urls.Do(r)
	if errors.Is(err, errLinkLocal) {
		return &outbox.Permanent{Err: err}
	}
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 400 && code < 500 && code != http.StatusTooManyRequests:
		return &outbox.Permanent{Code: answer.Status, Err: fmt.Errorf("the endpoint answered %s", answer.Status)}
	}
	return fmt.Errorf("the endpoint answered %s", answer.Status)
}

// publishOwn publishes to a topic of this server; there is false when it has none of this ARN. A topic may be told twice by a crash.
func (s *App) publishOwn(topicARN, text string, attributes map[string]string) (there bool, err error) {
	if !s.topics.Has(topicARN) {
		return false, nil
	}
	text = strings.ToValidUTF8(text, "�")
	m := topic.Message{Text: &text}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := outbox.Attribute{Name: name, Type: "String", Value: []byte(strings.ToValidUTF8(attributes[name], "�"))}
		if len(a.Value) == 0 {
			continue // no attribute may be empty
		}
		if name == "ErrorCode" {
			a.Type = "Number"
		}
		m.Attributes = append(m.Attributes, a)
	}
	if m.Size() > topic.MaxMessage {
		m.Attributes = nil
	}
	_, err = s.topics.Publish(topicARN, m)
	return true, err
}
