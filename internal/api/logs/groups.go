package logs

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function"
)

// groupRequest names a group, by its name or its ARN.
type groupRequest struct {
	LogGroupName       string `json:"logGroupName"`
	LogGroupIdentifier string `json:"logGroupIdentifier"`
	ResourceArn        string `json:"resourceArn"`
	RetentionInDays    *int   `json:"retentionInDays"`
	// Tags is a map, and a list of names where an older operation takes them away.
	Tags    json.RawMessage `json:"tags"`
	TagKeys []string        `json:"tagKeys"`
}

// tags reads the map.
func (r *groupRequest) tags() (tags map[string]string, err error) {
	if len(r.Tags) > 0 && json.Unmarshal(r.Tags, &tags) != nil {
		err = &awserr.Error{Code: "SerializationException", Message: "tags is a map of texts"}
	}
	return tags, err
}

// name is the group's name.
func (r *groupRequest) name() (string, error) {
	name := arn.LogGroup(r.LogGroupName + r.LogGroupIdentifier + r.ResourceArn)
	if name == "" || len(name) > 512 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/.#") != "" {
		return "", invalid("1 validation error detected: Value '" + name + "' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+")
	}
	return name, nil
}

// named decodes a request that names a group.
func (c *call) named() (r groupRequest, name string, err error) {
	if err = c.decode(&r); err == nil {
		name, err = r.name()
	}
	return r, name, err
}

type groupDocument struct {
	LogGroupName      string `json:"logGroupName"`
	Arn               string `json:"arn"`
	LogGroupArn       string `json:"logGroupArn"`
	CreationTime      int64  `json:"creationTime"`
	RetentionInDays   int    `json:"retentionInDays,omitempty"`
	MetricFilterCount int    `json:"metricFilterCount"`
	StoredBytes       int64  `json:"storedBytes"`
	LogGroupClass     string `json:"logGroupClass"`
}

func arnOf(g function.LogGroup) string {
	return g.Scope.ARN("logs", "log-group:"+g.Name)
}

func describeGroups(c *call) (any, error) {
	var r struct {
		LogGroupNamePrefix  string `json:"logGroupNamePrefix"`
		LogGroupNamePattern string `json:"logGroupNamePattern"`
		NextToken           string `json:"nextToken"`
		Limit               int    `json:"limit"`
	}
	if err := c.decode(&r); err != nil {
		return nil, err
	}
	var out struct {
		LogGroups []groupDocument `json:"logGroups"`
		NextToken string          `json:"nextToken,omitempty"`
	}
	out.LogGroups = []groupDocument{}
	after, err := base64.RawURLEncoding.DecodeString(r.NextToken)
	if err != nil {
		return nil, invalid("The specified nextToken is invalid.")
	}
	if r.Limit <= 0 || r.Limit > 50 {
		r.Limit = 50
	}
	for _, g := range c.functions.LogGroups(c.scope) {
		if !strings.HasPrefix(g.Name, r.LogGroupNamePrefix) || !strings.Contains(g.Name, r.LogGroupNamePattern) || g.Name <= string(after) {
			continue
		}
		if len(out.LogGroups) == r.Limit {
			out.NextToken = base64.RawURLEncoding.EncodeToString([]byte(out.LogGroups[r.Limit-1].LogGroupName))
			break
		}
		out.LogGroups = append(out.LogGroups, groupDocument{
			LogGroupName: g.Name, Arn: arnOf(g) + ":*", LogGroupArn: arnOf(g), CreationTime: g.Created.UnixMilli(), RetentionInDays: g.Retention, LogGroupClass: "STANDARD",
		})
	}
	return out, nil
}

func createGroup(c *call) (any, error) {
	r, name, err := c.named()
	if err != nil {
		return nil, err
	}
	tags, err := r.tags()
	if err == nil {
		err = noGroup(c.functions.CreateLogGroup(c.scope, name, tags))
	}
	return nil, err
}

func deleteGroup(c *call) (any, error) {
	_, name, err := c.named()
	if err == nil {
		err = noGroup(c.functions.DeleteLogGroup(c.scope, name))
	}
	return nil, err
}

func tagGroup(c *call) (any, error) {
	r, name, err := c.named()
	if err != nil {
		return nil, err
	}
	tags, err := r.tags()
	if err == nil {
		err = noGroup(c.functions.TagLogGroup(c.scope, name, tags, nil))
	}
	return nil, err
}

// untagGroup takes tags away: tagKeys, or in the older operation tags, names them.
func untagGroup(c *call) (any, error) {
	r, name, err := c.named()
	if err == nil && len(r.Tags) > 0 && json.Unmarshal(r.Tags, &r.TagKeys) != nil {
		err = &awserr.Error{Code: "SerializationException", Message: "tags is a list of texts"}
	}
	if err == nil {
		err = noGroup(c.functions.TagLogGroup(c.scope, name, nil, r.TagKeys))
	}
	return nil, err
}

func putRetention(c *call) (any, error) {
	r, name, err := c.named()
	switch {
	case err != nil:
	case r.RetentionInDays == nil || *r.RetentionInDays < 1 || *r.RetentionInDays > 3653:
		err = invalid("1 validation error detected: Value at 'retentionInDays' failed to satisfy constraint: Member must be a number of days that CloudWatch Logs has")
	default:
		err = noGroup(c.functions.SetRetention(c.scope, name, *r.RetentionInDays))
	}
	return nil, err
}

func deleteRetention(c *call) (any, error) {
	_, name, err := c.named()
	if err == nil {
		err = noGroup(c.functions.SetRetention(c.scope, name, 0))
	}
	return nil, err
}

func listTags(c *call) (any, error) {
	_, name, err := c.named()
	if err != nil {
		return nil, err
	}
	g, err := c.functions.LogGroup(c.scope, name)
	if g.Tags == nil {
		g.Tags = map[string]string{}
	}
	return map[string]any{"tags": g.Tags}, noGroup(err)
}
