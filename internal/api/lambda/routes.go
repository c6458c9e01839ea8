package lambda

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// operation is one of the Lambda API.
type operation struct {
	name     string
	serve    func(c *call, w http.ResponseWriter) error
	mappings bool // Mappings serves it
	// why is the reason of an operation that is refused, or answered as for who does not use
	// its feature. Empty: it is implemented.
	why      string
	answered bool
}

// routes are the operations by method and path, where {} stands for a part that a
// caller chooses. It is the one table of the door: metrics and docs/operations.md read it too.
var routes = map[string]operation{
	"POST 2015-03-31/functions":                                   {name: "CreateFunction", serve: createFunction},
	"GET 2015-03-31/functions":                                    {name: "ListFunctions", serve: listFunctions},
	"GET 2015-03-31/functions/{}":                                 {name: "GetFunction", serve: getFunction},
	"DELETE 2015-03-31/functions/{}":                              {name: "DeleteFunction", serve: deleteFunction},
	"GET 2015-03-31/functions/{}/configuration":                   {name: "GetFunctionConfiguration", serve: getConfiguration},
	"PUT 2015-03-31/functions/{}/configuration":                   {name: "UpdateFunctionConfiguration", serve: updateConfiguration},
	"PUT 2015-03-31/functions/{}/code":                            {name: "UpdateFunctionCode", serve: updateCode},
	"POST 2015-03-31/functions/{}/invocations":                    {name: "Invoke", serve: invoke},
	"POST 2021-11-15/functions/{}/response-streaming-invocations": {name: "InvokeWithResponseStream", serve: invokeStreaming},
	"PUT 2017-10-31/functions/{}/concurrency":                     {name: "PutFunctionConcurrency", serve: putConcurrency},
	"GET 2019-09-30/functions/{}/concurrency":                     {name: "GetFunctionConcurrency", serve: getConcurrency},
	"DELETE 2017-10-31/functions/{}/concurrency":                  {name: "DeleteFunctionConcurrency", serve: deleteConcurrency},

	"POST 2015-03-31/functions/{}/versions":     {name: "PublishVersion", serve: publishVersion},
	"GET 2015-03-31/functions/{}/versions":      {name: "ListVersionsByFunction", serve: listVersions},
	"POST 2015-03-31/functions/{}/aliases":      {name: "CreateAlias", serve: createAlias},
	"GET 2015-03-31/functions/{}/aliases":       {name: "ListAliases", serve: listAliases},
	"GET 2015-03-31/functions/{}/aliases/{}":    {name: "GetAlias", serve: getAlias},
	"PUT 2015-03-31/functions/{}/aliases/{}":    {name: "UpdateAlias", serve: updateAlias},
	"DELETE 2015-03-31/functions/{}/aliases/{}": {name: "DeleteAlias", serve: deleteAlias},

	"POST 2015-03-31/functions/{}/policy":      {name: "AddPermission", serve: addPermission},
	"GET 2015-03-31/functions/{}/policy":       {name: "GetPolicy", serve: getPolicy},
	"DELETE 2015-03-31/functions/{}/policy/{}": {name: "RemovePermission", serve: removePermission},

	"PUT 2026-07-09/resource-policy/{}":    {name: "PutResourcePolicy", serve: putResourcePolicy},
	"GET 2026-07-09/resource-policy/{}":    {name: "GetResourcePolicy", serve: getResourcePolicy},
	"DELETE 2026-07-09/resource-policy/{}": {name: "DeleteResourcePolicy", serve: deleteResourcePolicy},

	"PUT 2021-07-20/functions/{}/runtime-management-config": {name: "PutRuntimeManagementConfig", serve: putRuntimeManagement},
	"GET 2021-07-20/functions/{}/runtime-management-config": {name: "GetRuntimeManagementConfig", serve: getRuntimeManagement},

	"PUT 2019-09-30/functions/{}/provisioned-concurrency":    {name: "PutProvisionedConcurrencyConfig", serve: putProvisioned},
	"GET 2019-09-30/functions/{}/provisioned-concurrency":    {name: "GetProvisionedConcurrencyConfig", serve: getProvisioned},
	"DELETE 2019-09-30/functions/{}/provisioned-concurrency": {name: "DeleteProvisionedConcurrencyConfig", serve: deleteProvisioned},
	"GET 2024-08-31/functions/{}/recursion-config":           {name: "GetFunctionRecursionConfig", serve: getRecursion},
	"PUT 2024-08-31/functions/{}/recursion-config":           {name: "PutFunctionRecursionConfig", serve: putRecursion},
	"POST 2014-11-13/functions/{}/invoke-async":              {name: "InvokeAsync", serve: invokeAsync},

	"GET 2018-10-31/layers":                             {name: "ListLayers", serve: listLayers},
	"GET 2018-10-31/layers/{}/versions":                 {name: "ListLayerVersions", serve: listLayerVersions},
	"POST 2018-10-31/layers/{}/versions":                {name: "PublishLayerVersion", serve: publishLayer},
	"GET 2018-10-31/layers/{}/versions/{}":              {name: "GetLayerVersion", serve: getLayer},
	"DELETE 2018-10-31/layers/{}/versions/{}":           {name: "DeleteLayerVersion", serve: deleteLayer},
	"POST 2018-10-31/layers/{}/versions/{}/policy":      {name: "AddLayerVersionPermission", serve: addLayerPermission},
	"GET 2018-10-31/layers/{}/versions/{}/policy":       {name: "GetLayerVersionPolicy", serve: getLayerPolicy},
	"DELETE 2018-10-31/layers/{}/versions/{}/policy/{}": {name: "RemoveLayerVersionPermission", serve: removeLayerPermission},

	"PUT 2019-09-25/functions/{}/event-invoke-config":      {name: "PutFunctionEventInvokeConfig", serve: putEventConfig},
	"POST 2019-09-25/functions/{}/event-invoke-config":     {name: "UpdateFunctionEventInvokeConfig", serve: updateEventConfig},
	"GET 2019-09-25/functions/{}/event-invoke-config":      {name: "GetFunctionEventInvokeConfig", serve: getEventConfig},
	"DELETE 2019-09-25/functions/{}/event-invoke-config":   {name: "DeleteFunctionEventInvokeConfig", serve: deleteEventConfig},
	"GET 2019-09-25/functions/{}/event-invoke-config/list": {name: "ListFunctionEventInvokeConfigs", serve: listEventConfigs},

	"POST 2021-10-31/functions/{}/url":   {name: "CreateFunctionUrlConfig", serve: createURL},
	"GET 2021-10-31/functions/{}/url":    {name: "GetFunctionUrlConfig", serve: getURL},
	"PUT 2021-10-31/functions/{}/url":    {name: "UpdateFunctionUrlConfig", serve: updateURL},
	"DELETE 2021-10-31/functions/{}/url": {name: "DeleteFunctionUrlConfig", serve: deleteURL},
	"GET 2021-10-31/functions/{}/urls":   {name: "ListFunctionUrlConfigs", serve: listURLs},

	"GET 2017-03-31/tags/{}":          {name: "ListTags", serve: listTags},
	"POST 2017-03-31/tags/{}":         {name: "TagResource", serve: tagResource},
	"DELETE 2017-03-31/tags/{}":       {name: "UntagResource", serve: untagResource},
	"GET 2016-08-19/account-settings": {name: "GetAccountSettings", serve: accountSettings},

	"POST 2015-03-31/event-source-mappings":      {name: "CreateEventSourceMapping", mappings: true},
	"GET 2015-03-31/event-source-mappings":       {name: "ListEventSourceMappings", mappings: true},
	"GET 2015-03-31/event-source-mappings/{}":    {name: "GetEventSourceMapping", mappings: true},
	"PUT 2015-03-31/event-source-mappings/{}":    {name: "UpdateEventSourceMapping", mappings: true},
	"DELETE 2015-03-31/event-source-mappings/{}": {name: "DeleteEventSourceMapping", mappings: true},
}

// Operations returns the names of all operations that are there.
func Operations() (names []string) {
	for _, table := range []map[string]operation{routes, unused} {
		for _, op := range table {
			names = append(names, op.name)
		}
	}
	// Two operations share a path with another one each.
	names = append(names, "ListProvisionedConcurrencyConfigs", "GetLayerVersionByArn")
	slices.Sort(names)
	return names
}

// OperationOf returns the name of the operation that a request asks for, empty when it
// is none.
func OperationOf(r *http.Request) string {
	op, _ := route(r.Method, split(r.URL.EscapedPath()))
	if other := op.byQuery(r.URL.Query()); other != "" {
		return other
	}
	return op.name
}

// byQuery names the operation that shares its path with op, when the query asks for that.
func (op operation) byQuery(q url.Values) string {
	if op.name == "GetProvisionedConcurrencyConfig" && q.Get("List") == "ALL" {
		return "ListProvisionedConcurrencyConfigs"
	}
	if op.name == "ListLayers" && q.Get("find") == "LayerVersion" {
		return "GetLayerVersionByArn"
	}
	return ""
}

// Reason tells why an operation is not implemented: it is answered as for who does not use
// its feature, or refused. Empty: it is implemented, or none of Lambda's.
func Reason(name string) (why string, answered bool) {
	for _, op := range unused {
		if op.name == name {
			return op.why, op.answered
		}
	}
	return "", false
}

// split takes a path apart as it came, so that an encoded slash belongs to a name; nil
// for one that is not well-formed.
func split(escaped string) []string {
	parts := strings.Split(strings.Trim(escaped, "/"), "/")
	for i := range parts {
		p, err := url.PathUnescape(parts[i])
		if err != nil {
			return nil
		}
		parts[i] = p
	}
	return parts
}

// route finds the operation of a path, and the parts that the caller chose.
func route(method string, parts []string) (op operation, chosen []string) {
	if len(parts) > 3 && (parts[1] == "tags" || parts[1] == "resource-policy") {
		// An ARN whose slashes were not encoded is put together again.
		parts = append(parts[:2:2], strings.Join(parts[2:], "/"))
	}
	key := method + " "
	for i, p := range parts {
		switch {
		case i == 0:
			key += p
		case i%2 == 1 || i == 4 && p == "list" && parts[3] == "event-invoke-config":
			key += "/" + p
		default:
			key += "/{}"
			chosen = append(chosen, p)
		}
	}
	if op, found := unused[key]; found {
		return op, chosen
	}
	return routes[key], chosen
}
