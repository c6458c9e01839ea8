package request

import (
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// UpdateTimeToLive turns time to live of a table on or off.
type UpdateTimeToLive struct {
	Common
	Enabled   bool
	Attribute string // 1 to 255 characters
}

// DescribeTimeToLive names a table.
type DescribeTimeToLive struct{ Common }

// DecodeUpdateTimeToLive decodes and checks an UpdateTimeToLive request.
func DecodeUpdateTimeToLive(body []byte) (*UpdateTimeToLive, error) {
	var name, attribute text
	var enabled flag
	given := false
	err := decode(body, func(r *item.Reader, member []byte) error {
		switch string(member) {
		case "TableName":
			return name.read(r)
		case "TimeToLiveSpecification":
			if given = !r.Null(); !given {
				return nil
			}
			enabled, attribute = flag{}, text{}
			return r.Structure("TimeToLiveSpecification", func(member []byte) error {
				switch string(member) {
				case "Enabled":
					return enabled.read(r)
				case "AttributeName":
					return attribute.read(r)
				}
				return r.Skip()
			})
		}
		return r.Skip()
	})
	if err != nil {
		return nil, err
	}
	op := &UpdateTimeToLive{Enabled: enabled.b, Attribute: attribute.s}
	if failure := op.check(&name, &enabled, &attribute, given); failure != nil {
		return nil, failure
	}
	return op, nil
}

func (op *UpdateTimeToLive) check(name *text, enabled *flag, attribute *text, given bool) *awserr.Error {
	const path = "timeToLiveSpecification"
	var v violations
	if failure := op.controlTable(&v, name.given, name.s); failure != nil {
		return failure
	}
	if !given {
		v.null(path)
		return v.err()
	}
	if !enabled.given {
		v.null(path + ".enabled")
	}
	attribute.required(&v, path+".attributeName", func() { v.text(attribute.s, 1, 255, path+".attributeName") })
	return v.err()
}

// DecodeDescribeTimeToLive decodes and checks a DescribeTimeToLive request.
func DecodeDescribeTimeToLive(body []byte) (*DescribeTimeToLive, error) {
	op := new(DescribeTimeToLive)
	if err := op.decodeNamed(body); err != nil {
		return nil, err
	}
	return op, nil
}
