package mapping

// State is a mapping's state as AWS spells it. Changes take effect before they
// are answered, so the transitional states occur in the answers of changes only.
type State string

// The states.
const (
	Creating  State = "Creating"
	Enabling  State = "Enabling"
	Enabled   State = "Enabled"
	Disabling State = "Disabling"
	Disabled  State = "Disabled"
	Updating  State = "Updating"
	Deleting  State = "Deleting"
)

// View is a mapping as the API shows it.
type View struct {
	Definition
	State State
	// LastProcessingResult is one of AWS's texts.
	LastProcessingResult string
}

// LastResult tells how a mapping's newest invocation ended.
type LastResult int32

const (
	NoResult LastResult = iota
	ResultOK
	ResultFailed
)

// Text is AWS's.
func (r LastResult) Text() string {
	switch r {
	case ResultOK:
		return "OK"
	case ResultFailed:
		return "PROBLEM: Function call failed"
	}
	return "No records processed"
}
