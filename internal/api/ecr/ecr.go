// Package ecr answers for the registry of container images that there is none of: tools
// ask whether it holds repositories of theirs.
package ecr

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// New returns the handler.
func New() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, message := "UnsupportedOperationException", "Millstream has no registry of container images: functions run from zip files, or as a service at an ImageUri of http(s)."
		if _, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); op == "DescribeRepositories" || op == "DeleteRepository" {
			code, message = "RepositoryNotFoundException", "The repository does not exist: "+message
		}
		h := w.Header()
		h.Set("Content-Type", "application/x-amz-json-1.1")
		h.Set("x-amzn-ErrorType", code)
		h.Set("x-amzn-RequestId", uuid.NewString())
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message}) // the caller has gone: there is nobody to tell
	})
}
