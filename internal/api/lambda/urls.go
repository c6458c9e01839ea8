package lambda

import (
	"net/http"

	"github.com/millstreamdb/millstream/internal/function"
)

// urlRoute finds the operation of a path of function URLs.
func urlRoute(method string, p []string) (op operation, name string) {
	if len(p) != 4 || p[1] != "functions" {
		return operation{}, ""
	}
	switch p[3] {
	case "url":
		return pick(method, "POST", operation{name: "CreateFunctionUrlConfig", serve: createURL}, "GET", operation{name: "GetFunctionUrlConfig", serve: getURL},
			"PUT", operation{name: "UpdateFunctionUrlConfig", serve: updateURL}, "DELETE", operation{name: "DeleteFunctionUrlConfig", serve: deleteURL}), p[2]
	case "urls":
		return pick(method, "GET", operation{name: "ListFunctionUrlConfigs", serve: listURLs}), p[2]
	}
	return operation{}, ""
}

func createURL(c *call, w http.ResponseWriter) error {
	var r function.URLRequest
	if err := c.decode(&r); err != nil {
		return err
	}
	doc, err := c.h.functions.CreateURL(c.scope, c.name, c.qualifier(), r)
	if err != nil {
		return err
	}
	doc.LastModifiedTime = "" // AWS's answer to Create has none
	writeJSON(w, http.StatusCreated, doc)
	return nil
}

func getURL(c *call, w http.ResponseWriter) error {
	doc, err := c.h.functions.GetURL(c.scope, c.name, c.qualifier())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, doc)
	return nil
}

func updateURL(c *call, w http.ResponseWriter) error {
	var r function.URLRequest
	if err := c.decode(&r); err != nil {
		return err
	}
	doc, err := c.h.functions.UpdateURL(c.scope, c.name, c.qualifier(), r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, doc)
	return nil
}

func deleteURL(c *call, w http.ResponseWriter) error {
	if err := c.h.functions.DeleteURL(c.scope, c.name, c.qualifier()); err != nil {
		return err
	}
	writeJSON(w, http.StatusNoContent, nil)
	return nil
}

func listURLs(c *call, w http.ResponseWriter) error {
	docs, err := c.h.functions.ListURLs(c.scope, c.name)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct{ FunctionUrlConfigs []function.URLDocument }{docs})
	return nil
}
