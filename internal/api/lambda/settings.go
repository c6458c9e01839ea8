package lambda

import (
	"net/http"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function"
)

// Policies, provisioned concurrency and the smaller settings of functions.

type object map[string]any

func addPermission(c *call, w http.ResponseWriter) error {
	var r function.PermissionRequest
	if err := c.decode(&r); err != nil {
		return err
	}
	text, err := c.h.functions.AddPermission(c.scope, c.name(), c.qualifier(), r)
	return answer(w, http.StatusCreated, object{"Statement": text}, err)
}

func getPolicy(c *call, w http.ResponseWriter) error {
	policy, revision, err := c.h.functions.Policy(c.scope, c.name(), c.qualifier())
	return answer(w, http.StatusOK, object{"Policy": policy, "RevisionId": revision}, err)
}

func removePermission(c *call, w http.ResponseWriter) error {
	revision := c.query.Get("RevisionId")
	return answer(w, http.StatusNoContent, nil, c.h.functions.RemovePermission(c.scope, c.name(), c.qualifier(), c.parts[1], &revision))
}

func putResourcePolicy(c *call, w http.ResponseWriter) error {
	var r struct{ Policy, RevisionID *string }
	if err := c.decode(&r); err != nil {
		return err
	}
	if r.Policy == nil {
		return awserr.Validation("1 validation error detected: Value null at 'policy' failed to satisfy constraint: Member must not be null")
	}
	policy, revision, err := c.h.functions.PutResourcePolicy(c.scope, c.name(), *r.Policy, r.RevisionID)
	return answer(w, http.StatusOK, object{"Policy": policy, "RevisionId": revision}, err)
}

func getResourcePolicy(c *call, w http.ResponseWriter) error {
	policy, revision, err := c.h.functions.ResourcePolicy(c.scope, c.name())
	return answer(w, http.StatusOK, object{"Policy": policy, "RevisionId": revision}, err)
}

func deleteResourcePolicy(c *call, w http.ResponseWriter) error {
	revision := c.query.Get("RevisionId")
	return answer(w, http.StatusNoContent, nil, c.h.functions.DeleteResourcePolicy(c.scope, c.name(), &revision))
}

func putRuntimeManagement(c *call, w http.ResponseWriter) error {
	var r function.RuntimeManagement
	if err := c.decode(&r); err != nil {
		return err
	}
	doc, err := c.h.functions.PutRuntimeManagement(c.scope, c.name(), c.qualifier(), r)
	return answer(w, http.StatusOK, doc, err)
}

func getRuntimeManagement(c *call, w http.ResponseWriter) error {
	doc, err := c.h.functions.RuntimeManagement(c.scope, c.name(), c.qualifier())
	return answer(w, http.StatusOK, doc, err)
}

func putProvisioned(c *call, w http.ResponseWriter) error {
	var r struct{ ProvisionedConcurrentExecutions *int }
	if err := c.decode(&r); err != nil {
		return err
	}
	if r.ProvisionedConcurrentExecutions == nil {
		return awserr.Validation("1 validation error detected: Value null at 'provisionedConcurrentExecutions' failed to satisfy constraint: Member must not be null")
	}
	doc, err := c.h.functions.PutProvisioned(c.scope, c.name(), c.qualifier(), *r.ProvisionedConcurrentExecutions)
	return answer(w, http.StatusAccepted, doc, err)
}

func getProvisioned(c *call, w http.ResponseWriter) error {
	if c.query.Get("List") == "ALL" {
		page, err := c.h.functions.ListProvisioned(c.scope, c.name(), c.query.Get("Marker"), c.maxItems())
		return answer(w, http.StatusOK, page, err)
	}
	doc, err := c.h.functions.Provisioned(c.scope, c.name(), c.qualifier())
	return answer(w, http.StatusOK, doc, err)
}

func deleteProvisioned(c *call, w http.ResponseWriter) error {
	return answer(w, http.StatusNoContent, nil, c.h.functions.DeleteProvisioned(c.scope, c.name(), c.qualifier()))
}

func getRecursion(c *call, w http.ResponseWriter) error {
	loop, err := c.h.functions.RecursiveLoop(c.scope, c.name())
	return answer(w, http.StatusOK, object{"RecursiveLoop": loop}, err)
}

func putRecursion(c *call, w http.ResponseWriter) error {
	var r struct{ RecursiveLoop string }
	if err := c.decode(&r); err != nil {
		return err
	}
	return answer(w, http.StatusOK, object{"RecursiveLoop": r.RecursiveLoop}, c.h.functions.SetRecursiveLoop(c.scope, c.name(), r.RecursiveLoop))
}

// invokeAsync is what Invoke with the type Event took the place of.
func invokeAsync(c *call, w http.ResponseWriter) error {
	_, err := c.h.functions.InvokeEvent(c.scope, function.Invocation{Name: c.name(), Payload: c.body, RequestID: w.Header().Get("x-amzn-RequestId"), TraceID: c.trace()})
	return answer(w, http.StatusAccepted, struct{}{}, err)
}
