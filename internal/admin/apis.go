package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// API is an HTTP API of the front door: routes that lead to functions.
type API struct {
	Name string `json:"name"` // unique in its account and region
	Kind string `json:"kind"` // "http" as API Gateway's HTTP APIs, "rest" as its REST APIs
	// Stage is "$default", or the first part of the paths on AWS, which may be left
	// out here.
	Stage          string            `json:"stage"`
	StageVariables map[string]string `json:"stageVariables,omitempty"`
	CORS           *CORS             `json:"cors,omitempty"`
	// BinaryTypes of a REST API: bodies of these media types are given in base64.
	BinaryTypes []string `json:"binaryTypes,omitempty"`
	Routes      []Route  `json:"routes"`

	ID  string `json:"id,omitempty"`  // of the server's making
	URL string `json:"url,omitempty"` // where it is reached; empty while the front door is closed
}

// Route leads from a method and a path to a function.
type Route struct {
	Method   string `json:"method"` // "ANY" for all
	Path     string `json:"path"`   // /items/{id}, /files/{path+}; "$default" for what nothing else takes
	Function string `json:"function"`
	Payload  string `json:"payload"` // "1.0" or "2.0"
	// TimeoutMS is how long a function may take; 0: as long as on AWS.
	TimeoutMS int `json:"timeoutMs,omitempty"`
}

// CORS is what web pages of other origins may do.
type CORS struct {
	AllowOrigins     []string `json:"allowOrigins,omitempty"`
	AllowMethods     []string `json:"allowMethods,omitempty"`
	AllowHeaders     []string `json:"allowHeaders,omitempty"`
	ExposeHeaders    []string `json:"exposeHeaders,omitempty"`
	MaxAge           *int     `json:"maxAge,omitempty"` // seconds
	AllowCredentials bool     `json:"allowCredentials,omitempty"`
}

// APIs lists the HTTP APIs of the scope, by name.
func (c *Client) APIs(ctx context.Context) ([]API, error) {
	var answer struct {
		APIs []API `json:"apis"`
	}
	err := c.document(ctx, http.MethodGet, "apis", nil, nil, &answer)
	return answer.APIs, err
}

// PutAPI makes an HTTP API, or replaces the one of its name as a whole.
func (c *Client) PutAPI(ctx context.Context, api API) (kept API, err error) {
	body, err := json.Marshal(api)
	if err != nil {
		return API{}, err
	}
	err = c.document(ctx, http.MethodPut, "apis/"+url.PathEscape(api.Name), nil, body, &kept)
	return kept, err
}

// DeleteAPI removes an HTTP API.
func (c *Client) DeleteAPI(ctx context.Context, name string) error {
	var none struct{}
	return c.document(ctx, http.MethodDelete, "apis/"+url.PathEscape(name), nil, nil, &none)
}
