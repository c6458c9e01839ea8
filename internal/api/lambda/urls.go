package lambda

import (
	"net/http"

	"github.com/millstreamdb/millstream/internal/function"
)

func createURL(c *call, w http.ResponseWriter) error {
	var r function.URLRequest
	if err := c.decode(&r); err != nil {
		return err
	}
	doc, err := c.h.functions.CreateURL(c.scope, c.name(), c.qualifier(), r)
	if err != nil {
		return err
	}
	doc.LastModifiedTime = "" // AWS's answer to Create has none
	writeJSON(w, http.StatusCreated, doc)
	return nil
}

func getURL(c *call, w http.ResponseWriter) error {
	doc, err := c.h.functions.GetURL(c.scope, c.name(), c.qualifier())
	return answer(w, http.StatusOK, doc, err)
}

func updateURL(c *call, w http.ResponseWriter) error {
	var r function.URLRequest
	if err := c.decode(&r); err != nil {
		return err
	}
	doc, err := c.h.functions.UpdateURL(c.scope, c.name(), c.qualifier(), r)
	return answer(w, http.StatusOK, doc, err)
}

func deleteURL(c *call, w http.ResponseWriter) error {
	return answer(w, http.StatusNoContent, nil, c.h.functions.DeleteURL(c.scope, c.name(), c.qualifier()))
}

func listURLs(c *call, w http.ResponseWriter) error {
	page, err := c.h.functions.ListURLs(c.scope, c.name(), c.query.Get("Marker"), c.maxItems())
	return answer(w, http.StatusOK, page, err)
}
