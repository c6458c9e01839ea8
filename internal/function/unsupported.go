package function

import (
	"encoding/json"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// Members that ask for what functions here do not have. They are refused by name:
// ignored, a function would do something else than it was asked for.

// unsupportedSettings are those of CreateFunction and UpdateFunctionConfiguration.
type unsupportedSettings struct {
	CapacityProviderConfig json.RawMessage
	DurableConfig          json.RawMessage
	RuntimeConfig          json.RawMessage
	TenancyConfig          json.RawMessage
}

// unsupportedCode are those of code.
type unsupportedCode struct {
	S3ObjectStorageMode json.RawMessage
	SourceKMSKeyArn     json.RawMessage
}

func (s *unsupportedSettings) refuse() *awserr.Error {
	return refuseMembers([]member{
		{"CapacityProviderConfig", s.CapacityProviderConfig, "functions run on this machine"},
		{"DurableConfig", s.DurableConfig, "there are no durable executions"},
		{"RuntimeConfig", s.RuntimeConfig, "runtimes are those that are installed here"},
		{"TenancyConfig", s.TenancyConfig, "processes are not kept apart by tenant"},
	})
}

func (c *unsupportedCode) refuse() *awserr.Error {
	return refuseMembers([]member{
		{"S3ObjectStorageMode", c.S3ObjectStorageMode, "code is not stored in S3"},
		{"SourceKMSKeyArn", c.SourceKMSKeyArn, "code is not encrypted"},
	})
}

// refusePublishTo refuses another target of Publish than a numbered version.
func refusePublishTo(raw json.RawMessage) *awserr.Error {
	return refuseMembers([]member{{"PublishTo", raw, "versions are the numbered ones"}})
}

type member struct {
	name   string
	value  json.RawMessage
	reason string
}

func refuseMembers(list []member) *awserr.Error {
	for _, m := range list {
		if m.value != nil && string(m.value) != "null" {
			return awserr.LambdaInvalidParameter(m.name + " is not supported by this version of Millstream: " + m.reason + ".")
		}
	}
	return nil
}
