package wire

import "net/http"

// Error is a failure as the protocol shows it.
type Error struct {
	Code    string `json:"code"` // NotFound, BadRequest, ... : for programs
	Message string `json:"message"`
	Status  int    `json:"-"`
}

func (e *Error) Error() string { return e.Message }

// NotFound says that what was named does not exist.
func NotFound(message string) *Error {
	return &Error{Code: "NotFound", Message: message, Status: http.StatusNotFound}
}

// Conflict says that what was asked for does not go with what is there by now.
func Conflict(message string) *Error {
	return &Error{Code: "Conflict", Message: message, Status: http.StatusConflict}
}

// BadRequest says what is wrong with the request.
func BadRequest(message string) *Error {
	return &Error{Code: "BadRequest", Message: message, Status: http.StatusBadRequest}
}
