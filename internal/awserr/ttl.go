package awserr

// Texts of time to live.

// TimeToLiveEnabled and its kin answer an UpdateTimeToLive that asks for the state
// that is.
func TimeToLiveEnabled() *Error { return Validation("TimeToLive is already enabled") }

func TimeToLiveDisabled() *Error { return Validation("TimeToLive is already disabled") }

// TimeToLiveOnAnother is for a table whose items expire by another attribute.
func TimeToLiveOnAnother(current string) *Error {
	return Validation("TimeToLive is active on a different AttributeName: current AttributeName is " + current)
}
