package wire

// API is an HTTP API of the front door: routes that lead to functions. It is also what
// the server stores.
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
