package lambda

import (
	"net/http"

	"github.com/millstreamdb/millstream/internal/function"
)

func publishVersion(c *call, w http.ResponseWriter) error {
	var r function.PublishRequest
	if err := c.decode(&r); err != nil {
		return err
	}
	conf, err := c.h.functions.Publish(c.scope, c.name(), r)
	return answer(w, http.StatusCreated, conf, err)
}

func listVersions(c *call, w http.ResponseWriter) error {
	page, err := c.h.functions.Versions(c.scope, c.name(), c.query.Get("Marker"), c.maxItems())
	return answer(w, http.StatusOK, page, err)
}

func createAlias(c *call, w http.ResponseWriter) error {
	var r function.AliasRequest
	if err := c.decode(&r); err != nil {
		return err
	}
	doc, err := c.h.functions.CreateAlias(c.scope, c.name(), r)
	return answer(w, http.StatusCreated, doc, err)
}

func listAliases(c *call, w http.ResponseWriter) error {
	page, err := c.h.functions.Aliases(c.scope, c.name(), c.query.Get("FunctionVersion"), c.query.Get("Marker"), c.maxItems())
	return answer(w, http.StatusOK, page, err)
}

func getAlias(c *call, w http.ResponseWriter) error {
	doc, err := c.h.functions.Alias(c.scope, c.name(), c.parts[1])
	return answer(w, http.StatusOK, doc, err)
}

func updateAlias(c *call, w http.ResponseWriter) error {
	var r function.AliasRequest
	if err := c.decode(&r); err != nil {
		return err
	}
	doc, err := c.h.functions.UpdateAlias(c.scope, c.name(), c.parts[1], r)
	return answer(w, http.StatusOK, doc, err)
}

func deleteAlias(c *call, w http.ResponseWriter) error {
	return answer(w, http.StatusNoContent, nil, c.h.functions.DeleteAlias(c.scope, c.name(), c.parts[1]))
}
