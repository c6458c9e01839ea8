package queue

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// FindURL returns the queue of a QueueUrl. An account in its path counts; without one, that of scope does.
func (s *Service) FindURL(scope arn.Scope, queueURL string) (*Queue, error) {
	if queueURL == "" {
		return nil, awserr.QueueParameterMissing("QueueUrl")
	}
	path := queueURL
	if u, err := url.Parse(path); err == nil {
		path = u.Path
	}
	account, name := "", strings.Trim(path, "/")
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		account, name = name[:i], name[i+1:]
		account = account[strings.LastIndexByte(account, '/')+1:]
	}
	if len(account) == 12 && strings.Trim(account, "0123456789") == "" {
		scope.Account = account
	}
	return s.Find(scope, name)
}

// ReadMember reads a member of a SendMessage request's JSON, or of an entry of its batch; what is none of them is passed over.
func (e *Entry) ReadMember(d *item.Reader, name string) error {
	switch name {
	case "MessageBody":
		return readText(d, &e.Body)
	case "MessageGroupId":
		return readText(d, &e.Group)
	case "MessageDeduplicationId":
		return readText(d, &e.Dedup)
	case "DelaySeconds":
		return readNumber(d, &e.Delay)
	case "MessageAttributes":
		return readAttributes(d, &e.Attributes)
	case "MessageSystemAttributes":
		return readAttributes(d, &e.System)
	}
	return d.Skip()
}

func readText(d *item.Reader, to **string) error {
	if d.Null() {
		return nil
	}
	s, err := d.String()
	*to = &s
	return err
}

func readNumber(d *item.Reader, to **int) error {
	if d.Null() {
		return nil
	}
	n, err := d.Integer()
	i := int(n)
	*to = &i
	return err
}

func readAttributes(d *item.Reader, to *[]Attribute) error {
	return d.Object(func(name []byte) error {
		a := Attribute{Name: string(name)}
		err := d.Object(func(name []byte) error {
			var text *string
			switch string(name) {
			case "DataType":
				err := readText(d, &text)
				if text != nil {
					a.Type = *text
				}
				return err
			case "StringValue":
				err := readText(d, &text)
				if text != nil {
					a.Value = *text
				}
				return err
			case "BinaryValue":
				if err := readText(d, &text); err != nil || text == nil {
					return err
				}
				return a.SetBinary(*text)
			}
			return d.Skip()
		})
		*to = append(*to, a)
		return err
	})
}

// SetBinary gives an attribute a binary value, in base64.
func (a *Attribute) SetBinary(coded string) error {
	b, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		return awserr.QueueParameter("The value of the message attribute '" + a.Name + "' is not in base64.")
	}
	a.Value, a.Binary = string(b), true
	return nil
}

// readAnswer reads a list of SendMessage requests.
func (s *Service) readAnswer(scope arn.Scope, list []byte) (all []Outgoing, err error) {
	d := &item.Reader{}
	d.Reset(list)
	err = d.Array(func(i int) error {
		if i == MaxAnswer {
			return awserr.QueueParameter("An answer may send at most " + strconv.Itoa(MaxAnswer) + " messages.")
		}
		o, queueURL := Outgoing{}, ""
		err := d.Object(func(name []byte) (err error) {
			if string(name) == "QueueUrl" {
				queueURL, err = d.String()
				return err
			}
			return o.Entry.ReadMember(d, string(name))
		})
		if err == nil {
			o.Queue, err = s.FindURL(scope, queueURL)
		}
		if err == nil && s.apart && o.Queue.Scope().Account != scope.Account {
			err = awserr.QueueMissing()
		}
		if err != nil {
			return messageError(i, err)
		}
		all = append(all, o)
		return nil
	})
	if err == nil {
		err = d.End()
	}
	return all, err
}
