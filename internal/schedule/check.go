package schedule

import (
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schedule/when"
)

func itoa(n int) string { return strconv.Itoa(n) }

// constraints collects what the first layer of checks refuses.
type constraints []string

func (c *constraints) fail(value, member, rule string) {
	*c = append(*c, "Value '"+value+"' at '"+member+"' failed to satisfy constraint: "+rule)
}

func (c constraints) err() error {
	if len(c) == 0 {
		return nil
	}
	return awserr.ScheduleConstraint(c)
}

// Patterns of names, as the two services write them.
const (
	ruleWord     = `[\.\-_A-Za-z0-9]+`
	scheduleWord = `[0-9a-zA-Z-_.]+`
)

// word checks a name.
func (c *constraints) word(value, member string, most int, pattern string) {
	switch {
	case value == "":
		c.fail(value, member, "Member must have length greater than or equal to 1")
	case len(value) > most:
		c.fail(value, member, "Member must have length less than or equal to "+itoa(most))
	case strings.Trim(value, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.") != "":
		c.fail(value, member, "Member must satisfy regular expression pattern: "+pattern)
	}
}

func (c *constraints) atMost(value, member string, most int) {
	if len(value) > most {
		c.fail(value, member, "Member must have length less than or equal to "+itoa(most))
	}
}

func (c *constraints) retries(t *Target, member string) {
	between := func(v *int, name string, low, high int) {
		switch {
		case v == nil:
		case *v < low:
			c.fail(itoa(*v), member+"."+name, "Member must have value greater than or equal to "+itoa(low))
		case *v > high:
			c.fail(itoa(*v), member+"."+name, "Member must have value less than or equal to "+itoa(high))
		}
	}
	between(t.RetryAttempts, "maximumRetryAttempts", 0, maxRetries)
	between(t.MaxAge, "maximumEventAgeInSeconds", minAgeSeconds, maxAgeSeconds)
}

// checkTarget accepts functions and queues.
func checkTarget(t *Target) error {
	switch service := arn.Service(t.ARN); service {
	case "lambda":
		if _, ok := arn.ParseFunction(t.ARN); !ok {
			return awserr.ScheduleValidation("Provided Arn is not in correct format.")
		}
	case "sqs":
		_, queue, ok := arn.Queue(t.ARN)
		if !ok {
			return awserr.ScheduleValidation("Provided Arn is not in correct format.")
		}
		if strings.HasSuffix(queue, ".fifo") && t.GroupID == "" {
			return awserr.ScheduleValidation("Parameter MessageGroupId must be specified for the FIFO queue " + t.ARN + ".")
		}
	case "":
		return awserr.ScheduleValidation("Provided Arn is not in correct format.")
	default:
		return awserr.ScheduleValidation("Millstream starts functions and sends to queues: " + t.ARN + " is neither.")
	}
	if t.DeadLetter != "" && arn.Service(t.DeadLetter) != "sqs" {
		return awserr.ScheduleValidation("The dead-letter queue must be an SQS queue, not " + t.DeadLetter + ".")
	}
	return nil
}

// ruleExpression says whether a rule can have an expression: rate(), whose unit must agree with the number, or cron().
func ruleExpression(text string) bool {
	e, err := when.Parse(text)
	if err != nil || e.Once() {
		return false
	}
	if e.Rate() > 0 {
		return strings.HasPrefix(text, "rate(1 ") != strings.HasSuffix(text, "s)")
	}
	return true
}

// maxTags is how many tags a rule or a group has at most.
const maxTags = 50

func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return awserr.ScheduleValidation("Too many tags: at most " + itoa(maxTags) + ".")
	}
	for key, value := range tags {
		if key == "" || len(key) > 128 || len(value) > 256 {
			return awserr.ScheduleValidation("A tag has a key of 1 to 128 characters and a value of at most 256.")
		}
	}
	return nil
}
