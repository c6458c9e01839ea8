package awserr

import (
	"net/http"
	"strconv"
	"strings"
)

// The errors of EventBridge and EventBridge Scheduler.

// ScheduleValidation is a ValidationException with AWS's text as it is.
func ScheduleValidation(text string) *Error {
	return &Error{Code: "ValidationException", Message: text}
}

// ScheduleConstraint is what the first layer of checks says of members: constraints are "Value ... at ... failed to satisfy constraint: ...".
func ScheduleConstraint(constraints []string) *Error {
	n := strconv.Itoa(len(constraints)) + " validation error"
	if len(constraints) > 1 {
		n += "s"
	}
	return ScheduleValidation(n + " detected: " + strings.Join(constraints, "; "))
}

// RuleMissing is the answer to a rule that does not exist.
func RuleMissing(rule string) *Error {
	return &Error{Code: "ResourceNotFoundException", Message: "Rule " + rule + " does not exist on EventBus default."}
}

// BusMissing is the answer to an event bus that does not exist.
func BusMissing(bus string) *Error {
	return &Error{Code: "ResourceNotFoundException", Message: "Event bus " + bus + " does not exist."}
}

// RuleExpression is the answer to a schedule expression that is none.
func RuleExpression() *Error {
	return ScheduleValidation("Parameter ScheduleExpression is not valid.")
}

// RuleEmpty is the answer to a rule with neither a pattern nor a schedule.
func RuleEmpty() *Error {
	return ScheduleValidation("Parameter(s) EventPattern or ScheduleExpression must be specified.")
}

// RuleHasTargets is the answer to the removal of a rule that has targets.
func RuleHasTargets() *Error {
	return ScheduleValidation("Rule can't be deleted since it has targets.")
}

// RuleTargets is the answer to more targets than a rule can have.
func RuleTargets() *Error {
	return &Error{Code: "LimitExceededException", Message: "The requested resource exceeds the maximum number allowed."}
}

// EventsUnsupported is the answer to what EventBridge has and Millstream has not.
func EventsUnsupported(text string) *Error {
	return &Error{Code: "UnsupportedOperationException", Message: text}
}

// ScheduleMissing is the answer to a schedule that does not exist.
func ScheduleMissing(schedule string) *Error {
	return &Error{Code: "ResourceNotFoundException", Message: "Schedule " + schedule + " does not exist.", Status: http.StatusNotFound}
}

// ScheduleExists is the answer to a second schedule of a name.
func ScheduleExists(schedule string) *Error {
	return &Error{Code: "ConflictException", Message: "Schedule " + schedule + " already exists.", Status: http.StatusConflict}
}

// ScheduleExpression is the answer to a schedule expression that is none.
func ScheduleExpression(expression string) *Error {
	return ScheduleValidation("Invalid Schedule Expression " + expression + ".")
}

// ScheduleGroupMissing is the answer to a schedule group that does not exist.
func ScheduleGroupMissing(group string) *Error {
	return &Error{Code: "ResourceNotFoundException", Message: "Schedule group " + group + " does not exist.", Status: http.StatusNotFound}
}

// ScheduleGroupExists is the answer to a second schedule group of a name.
func ScheduleGroupExists(group string) *Error {
	return &Error{Code: "ConflictException", Message: "Schedule group " + group + " already exists.", Status: http.StatusConflict}
}

// ScheduleResourceMissing is the answer to the tags of what does not exist.
func ScheduleResourceMissing(arn string) *Error {
	return &Error{Code: "ResourceNotFoundException", Message: "Resource " + arn + " does not exist.", Status: http.StatusNotFound}
}
