package lambda

import (
	"net/http"

	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/schema"
)

// The settings of Event invocations.

func putEventConfig(c *call, w http.ResponseWriter) error {
	return c.setEventConfig(w, c.h.functions.PutEventConfig)
}

func updateEventConfig(c *call, w http.ResponseWriter) error {
	return c.setEventConfig(w, c.h.functions.UpdateEventConfig)
}

func (c *call) setEventConfig(w http.ResponseWriter, set func(scope schema.Scope, name, qualifier string, r function.EventConfigRequest) (function.EventConfigDocument, error)) error {
	var r function.EventConfigRequest
	if err := c.decode(&r); err != nil {
		return err
	}
	doc, err := set(c.scope, c.name(), c.qualifier(), r)
	return answer(w, http.StatusOK, doc, err)
}

func getEventConfig(c *call, w http.ResponseWriter) error {
	doc, err := c.h.functions.GetEventConfig(c.scope, c.name(), c.qualifier())
	return answer(w, http.StatusOK, doc, err)
}

func deleteEventConfig(c *call, w http.ResponseWriter) error {
	return answer(w, http.StatusNoContent, nil, c.h.functions.DeleteEventConfig(c.scope, c.name(), c.qualifier()))
}

func listEventConfigs(c *call, w http.ResponseWriter) error {
	page, err := c.h.functions.ListEventConfigs(c.scope, c.name(), c.query.Get("Marker"), c.maxItems())
	return answer(w, http.StatusOK, page, err)
}
