package logs

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
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
	ResourceIdentifier string `json:"resourceIdentifier"`
	RetentionInDays    *int   `json:"retentionInDays"`
	LogGroupClass      string `json:"logGroupClass"`
	KmsKeyID           string `json:"kmsKeyId"`
	// DeletionProtectionEnabled must be there where it is all that is asked.
	DeletionProtectionEnabled *bool `json:"deletionProtectionEnabled"`
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
	name := arn.LogGroup(r.LogGroupName + r.LogGroupIdentifier + r.ResourceArn + r.ResourceIdentifier)
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
	LogGroupName              string `json:"logGroupName"`
	Arn                       string `json:"arn"`
	LogGroupArn               string `json:"logGroupArn,omitempty"`
	CreationTime              int64  `json:"creationTime"`
	RetentionInDays           int    `json:"retentionInDays,omitempty"`
	MetricFilterCount         *int   `json:"metricFilterCount,omitempty"`
	StoredBytes               *int64 `json:"storedBytes,omitempty"`
	LogGroupClass             string `json:"logGroupClass,omitempty"`
	KmsKeyID                  string `json:"kmsKeyId,omitempty"`
	DeletionProtectionEnabled *bool  `json:"deletionProtectionEnabled,omitempty"`
}

func arnOf(g function.LogGroup) string {
	return g.Scope.ARN("logs", "log-group:"+g.Name)
}

// classes are those of log groups, the first that of a group that names none.
var classes = []string{"STANDARD", "INFREQUENT_ACCESS", "DELIVERY"}

func classOf(g function.LogGroup) string { return cmp.Or(g.Class, classes[0]) }

// document is a group as DescribeLogGroups shows it.
func document(g function.LogGroup) groupDocument {
	return groupDocument{
		LogGroupName: g.Name, Arn: arnOf(g) + ":*", LogGroupArn: arnOf(g), CreationTime: g.Created.UnixMilli(), RetentionInDays: g.Retention,
		MetricFilterCount: new(int), StoredBytes: new(int64), LogGroupClass: classOf(g), KmsKeyID: g.KMSKey, DeletionProtectionEnabled: &g.Protected,
	}
}

func oneOf(member, value string, of []string) error {
	if value == "" || slices.Contains(of, value) {
		return nil
	}
	return invalid("1 validation error detected: Value '" + value + "' at '" + member + "' failed to satisfy constraint: Member must satisfy enum value set: [" + strings.Join(of, ", ") + "]")
}

type describeGroupsRequest struct {
	LogGroupNamePrefix  string   `json:"logGroupNamePrefix"`
	LogGroupNamePattern string   `json:"logGroupNamePattern"`
	LogGroupIdentifiers []string `json:"logGroupIdentifiers"`
	LogGroupClass       string   `json:"logGroupClass"`
	NextToken           string   `json:"nextToken"`
	Limit               int      `json:"limit"`
	// Of accounts there is the caller's: the two members on others change nothing.
}

// check refuses what AWS's reference says does not go together.
func (r *describeGroupsRequest) check() error {
	switch {
	case r.LogGroupNamePrefix != "" && r.LogGroupNamePattern != "":
		return invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	case len(r.LogGroupIdentifiers) > 50:
		return invalid("1 validation error detected: Value at 'logGroupIdentifiers' failed to satisfy constraint: Member must have length less than or equal to 50")
	case len(r.LogGroupIdentifiers) > 0 && r.LogGroupNamePrefix+r.LogGroupNamePattern+r.LogGroupClass != "":
		return invalid("logGroupIdentifiers cannot be combined with logGroupNamePrefix, logGroupNamePattern or logGroupClass.")
	}
	for i, name := range r.LogGroupIdentifiers {
		r.LogGroupIdentifiers[i] = arn.LogGroup(name)
	}
	return oneOf("logGroupClass", r.LogGroupClass, classes)
}

func (r *describeGroupsRequest) wants(g function.LogGroup) bool {
	return strings.HasPrefix(g.Name, r.LogGroupNamePrefix) && strings.Contains(g.Name, r.LogGroupNamePattern) &&
		(r.LogGroupClass == "" || r.LogGroupClass == classOf(g)) &&
		(len(r.LogGroupIdentifiers) == 0 || slices.Contains(r.LogGroupIdentifiers, g.Name))
}

func describeGroups(c *call) (any, error) {
	var r describeGroupsRequest
	if err := c.decode(&r); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
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
		if g.Name <= string(after) || !r.wants(g) {
			continue
		}
		if len(out.LogGroups) == r.Limit {
			out.NextToken = base64.RawURLEncoding.EncodeToString([]byte(out.LogGroups[r.Limit-1].LogGroupName))
			break
		}
		d := document(g)
		if r.LogGroupNamePattern != "" { // AWS's reference: only these three are in the answer then
			d = groupDocument{LogGroupName: d.LogGroupName, Arn: d.Arn, CreationTime: d.CreationTime}
		}
		out.LogGroups = append(out.LogGroups, d)
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
		err = oneOf("logGroupClass", r.LogGroupClass, classes)
	}
	if err == nil {
		g := function.LogGroup{Scope: c.scope, Name: name, Tags: tags, Class: r.LogGroupClass, KMSKey: r.KmsKeyID}
		g.Protected = r.DeletionProtectionEnabled != nil && *r.DeletionProtectionEnabled
		err = noGroup(c.functions.CreateLogGroup(g))
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

// retentions are the numbers of days that a group may have.
var retentions = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// change changes the group that a request names.
func (c *call) change(check func(r *groupRequest) error, change func(r *groupRequest, g *function.LogGroup)) (any, error) {
	r, name, err := c.named()
	if err == nil {
		err = check(&r)
	}
	if err == nil {
		err = noGroup(c.functions.ChangeLogGroup(c.scope, name, func(g *function.LogGroup) { change(&r, g) }))
	}
	return nil, err
}

func putRetention(c *call) (any, error) {
	return c.change(func(r *groupRequest) error {
		if r.RetentionInDays == nil {
			return missing("retentionInDays")
		}
		if !slices.Contains(retentions, *r.RetentionInDays) {
			days := strings.Trim(strings.ReplaceAll(fmt.Sprint(retentions), " ", ", "), "[]")
			return invalid(fmt.Sprintf("1 validation error detected: Value '%d' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: [%s]", *r.RetentionInDays, days))
		}
		return nil
	}, func(r *groupRequest, g *function.LogGroup) { g.Retention = *r.RetentionInDays })
}

func deleteRetention(c *call) (any, error) {
	return c.change(anything, func(_ *groupRequest, g *function.LogGroup) { g.Retention = 0 })
}

func putProtection(c *call) (any, error) {
	return c.change(func(r *groupRequest) error {
		if r.DeletionProtectionEnabled == nil {
			return missing("deletionProtectionEnabled")
		}
		return nil
	}, func(r *groupRequest, g *function.LogGroup) { g.Protected = *r.DeletionProtectionEnabled })
}

func associateKey(c *call) (any, error) {
	return c.change(func(r *groupRequest) error {
		if r.KmsKeyID == "" {
			return missing("kmsKeyId")
		}
		return nil
	}, func(r *groupRequest, g *function.LogGroup) { g.KMSKey = r.KmsKeyID })
}

func disassociateKey(c *call) (any, error) {
	return c.change(anything, func(_ *groupRequest, g *function.LogGroup) { g.KMSKey = "" })
}

func anything(*groupRequest) error { return nil }

func missing(member string) error {
	return invalid("1 validation error detected: Value null at '" + member + "' failed to satisfy constraint: Member must not be null")
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
