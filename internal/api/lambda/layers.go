package lambda

import (
	"net/http"
	"strconv"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function"
)

// version is the number of a layer's version in the path.
func (c *call) version() (int, error) {
	n, err := strconv.Atoi(c.parts[1])
	if err != nil {
		return 0, &awserr.Error{Code: "SerializationException", Message: "STRING_VALUE cannot be converted to Long"}
	}
	return n, nil
}

func publishLayer(c *call, w http.ResponseWriter) error {
	var r function.LayerRequest
	if err := c.decode(&r); err != nil {
		return err
	}
	doc, err := c.h.functions.PublishLayer(c.scope, c.name(), r)
	return answer(w, http.StatusCreated, doc, err)
}

func listLayers(c *call, w http.ResponseWriter) error {
	q := c.query
	if q.Get("find") == "LayerVersion" {
		doc, err := c.h.functions.LayerByARN(c.scope, q.Get("Arn"))
		return answer(w, http.StatusOK, doc, err)
	}
	page, err := c.h.functions.Layers(c.scope, q.Get("CompatibleRuntime"), q.Get("CompatibleArchitecture"), q.Get("Marker"), c.maxItems())
	return answer(w, http.StatusOK, page, err)
}

func listLayerVersions(c *call, w http.ResponseWriter) error {
	q := c.query
	page, err := c.h.functions.LayerVersions(c.scope, c.name(), q.Get("CompatibleRuntime"), q.Get("CompatibleArchitecture"), q.Get("Marker"), c.maxItems())
	return answer(w, http.StatusOK, page, err)
}

func getLayer(c *call, w http.ResponseWriter) error {
	n, err := c.version()
	if err != nil {
		return err
	}
	doc, err := c.h.functions.Layer(c.scope, c.name(), n)
	return answer(w, http.StatusOK, doc, err)
}

func deleteLayer(c *call, w http.ResponseWriter) error {
	n, err := c.version()
	if err != nil {
		return err
	}
	return answer(w, http.StatusNoContent, nil, c.h.functions.DeleteLayer(c.scope, c.name(), n))
}

func addLayerPermission(c *call, w http.ResponseWriter) error {
	n, err := c.version()
	if err != nil {
		return err
	}
	var r function.PermissionRequest
	if err := c.decode(&r); err != nil {
		return err
	}
	if revision := c.query.Get("RevisionId"); revision != "" {
		r.RevisionID = &revision
	}
	text, revision, err := c.h.functions.AddLayerPermission(c.scope, c.name(), n, r)
	return answer(w, http.StatusCreated, object{"Statement": text, "RevisionId": revision}, err)
}

func getLayerPolicy(c *call, w http.ResponseWriter) error {
	n, err := c.version()
	if err != nil {
		return err
	}
	policy, revision, err := c.h.functions.LayerPolicy(c.scope, c.name(), n)
	return answer(w, http.StatusOK, object{"Policy": policy, "RevisionId": revision}, err)
}

func removeLayerPermission(c *call, w http.ResponseWriter) error {
	n, err := c.version()
	if err != nil {
		return err
	}
	revision := c.query.Get("RevisionId")
	return answer(w, http.StatusNoContent, nil, c.h.functions.RemoveLayerPermission(c.scope, c.name(), n, c.parts[2], &revision))
}
