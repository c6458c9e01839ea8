package template

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/millstreamdb/millstream/internal/arn"
)

// naming is what a service asks of the names that it is given. The services have the last
// word. This is asked before anything is changed, so that a stack does not fail half-way
// for a name. TestNames holds both to the same.
type naming struct {
	kind        string // of what is named, for people
	property    string // that gives the name
	least, most int    // bytes
	signs       string // that it may have beside letters and digits
}

var (
	tableNaming    = naming{"table", "TableName", 3, 255, "-_."}
	indexNaming    = naming{"secondary index", "IndexName", 3, 255, "-_."}
	functionNaming = naming{"function", "FunctionName", 1, 64, "-_"}
	aliasNaming    = naming{"alias", "Name", 1, 128, "-_"}
	layerNaming    = naming{"layer", "LayerName", 1, 140, "-_"}
	queueNaming    = naming{"queue", "QueueName", 1, 80, "-_"}
	topicNaming    = naming{"topic", "TopicName", 1, 256, "-_"}
	ruleNaming     = naming{"rule", "Name", 1, 64, "-_."}
	scheduleNaming = naming{"schedule", "Name", 1, 64, "-_."}
	groupNaming    = naming{"schedule group", "Name", 1, 64, "-_."}
	storedNaming   = naming{"parameter", "Name", 1, 2048, "-_./"}
	bucketNaming   = naming{"bucket", "BucketName", 3, 63, "-."}
)

// fifo ends the names of FIFO queues and topics, and of no others.
const fifo = ".fifo"

const lettersAndDigits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// wrong says what the service would have against a name; empty: nothing.
func (n naming) wrong(name string) string {
	switch signs := strings.Split(n.signs, ""); {
	case len(name) < n.least:
		return fmt.Sprintf("%q is too short for the name of a %s: it needs at least %d characters", name, n.kind, n.least)
	case len(name) > n.most:
		return fmt.Sprintf("%.20q... is too long for the name of a %s: it has %d characters and may have %d", name, n.kind, len(name), n.most)
	case strings.Trim(name, lettersAndDigits+n.signs) != "":
		return fmt.Sprintf("%q: the name of a %s may have letters, digits and %s only", name, n.kind, strings.Join(signs, " "))
	}
	return ""
}

// named checks the name of a resource, given or made, which no other of its kind may have.
func (c *preparation) named(n naming, name string) {
	c.refuseName(n, n.wrong(name))
	c.alone(n, name)
}

// refuseName tells what is wrong with a resource's name; empty: nothing.
func (c *preparation) refuseName(n naming, wrong string) {
	if wrong != "" {
		c.problems.add(c.nameLine(n), "%s.%s: %s", c.r.id, n.property, wrong)
	}
}

// alone tells of a name that another resource of the kind has. name is all that must differ.
func (c *preparation) alone(n naming, name string) {
	of := n.kind + " " + name
	if other, taken := c.plan.named[of]; taken && other != c.r.id {
		c.refuseName(n, fmt.Sprintf("%s is a %s with the name %q, too", other, n.kind, name))
		return
	}
	c.plan.named[of] = c.r.id
}

func (c *preparation) nameLine(n naming) int {
	if own := c.props.get(n.property); own != nil {
		return own.line
	}
	return c.r.line
}

// tableNamed gives a table its name, and checks those of its indexes, too.
func (c *preparation) tableNamed(t *tableProperties) {
	t.TableName = c.plan.name(c.r.id, t.TableName)
	c.named(tableNaming, t.TableName)
	index := func(property string, i int, name string) {
		if wrong := indexNaming.wrong(name); wrong != "" {
			line := c.r.line
			if list := c.props.get(property); list != nil && i < len(list.list) {
				line = list.list[i].line
			}
			c.problems.add(line, "%s.%s[%d].IndexName: %s", c.r.id, property, i, wrong)
		}
	}
	for i, g := range t.GlobalSecondaryIndexes {
		index("GlobalSecondaryIndexes", i, g.IndexName)
	}
	for i, l := range t.LocalSecondaryIndexes {
		index("LocalSecondaryIndexes", i, aws.ToString(l.IndexName))
	}
}

// functionNamed checks the name of a function, which may be written as its ARN.
func (c *preparation) functionNamed(name string) {
	if f, ok := arn.ParseFunction(name); ok && f.Qualifier == "" {
		name = f.Name
	}
	c.named(functionNaming, name)
}

// aliasNamed checks the name of an alias, which is no number. Aliases differ within their function only.
func (c *preparation) aliasNamed(function, name string) {
	wrong := aliasNaming.wrong(name)
	if wrong == "" && strings.Trim(name, "0123456789") == "" {
		wrong = fmt.Sprintf("%q is a number, which only versions are named by", name)
	}
	c.refuseName(aliasNaming, wrong)
	c.alone(aliasNaming, function+":"+name)
}

// fifoNamed checks the name of a queue or topic, whose end says whether it is a FIFO one.
func (c *preparation) fifoNamed(n naming, name string, isFIFO bool) {
	base, ends := strings.CutSuffix(name, fifo)
	wrong := n.wrong(base)
	switch {
	case isFIFO && !ends:
		wrong = fmt.Sprintf("the name of a FIFO %s ends in %s, and %q does not", n.kind, fifo, name)
	case !isFIFO && ends:
		wrong = fmt.Sprintf("%q ends in %s, as only the name of a FIFO %s does", name, fifo, n.kind)
	case wrong == "" && len(name) > n.most:
		wrong = n.wrong(name)
	}
	c.refuseName(n, wrong)
	c.alone(n, name)
}

// bucketNamed checks the name of a bucket, which is part of a host's name. S3 itself takes
// shorter parts between the dots.
func (c *preparation) bucketNamed(name string) {
	wrong := bucketNaming.wrong(name)
	switch parts := strings.Split(name, "."); {
	case wrong != "":
	case name != strings.ToLower(name):
		wrong = fmt.Sprintf("%q has capital letters, and the name of a bucket may have none", name)
	case net.ParseIP(name) != nil:
		wrong = fmt.Sprintf("%q is an IP address, and the name of a bucket may not be one", name)
	case slices.ContainsFunc(parts, func(part string) bool { return len(part) < 3 || strings.Trim(part, "-") != part }):
		wrong = fmt.Sprintf("%q: each part between the dots of a bucket's name needs at least 3 characters, and begins and ends with a letter or digit", name)
	}
	c.refuseName(bucketNaming, wrong)
	c.alone(bucketNaming, name)
}
