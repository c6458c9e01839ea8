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
	// Authorizers say who may call, for routes that name them.
	Authorizers []Authorizer `json:"authorizers,omitempty"`

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
	TimeoutMS  int      `json:"timeoutMs,omitempty"`
	Authorizer string   `json:"authorizer,omitempty"` // its name; empty: everyone may call
	Scopes     []string `json:"scopes,omitempty"`     // of which a JWT must have one
}

// Authorizer says who may call a route: a function that is asked, or the signature of a token.
type Authorizer struct {
	Name string `json:"name"`
	// Kind is "token" or "request" (a function is asked; token is for REST APIs), or "jwt"
	// (for HTTP APIs).
	Kind     string `json:"kind"`
	Function string `json:"function,omitempty"`
	// Identity is where a request says who calls, in the words of API Gateway:
	// method.request.header.NAME and so on for REST APIs, $request.header.NAME for HTTP APIs.
	// Without one of them in a request the answer is 401.
	Identity []string `json:"identity,omitempty"`
	Pattern  string   `json:"pattern,omitempty"` // of tokens: a regular expression
	Payload  string   `json:"payload,omitempty"` // of kind request: "1.0" or "2.0"
	Simple   bool     `json:"simple,omitempty"`  // answers are {"isAuthorized": ...}, and no policies
	// TTLSeconds is how long an answer counts for the same identity, up to 3600; 0: it is asked for each time.
	TTLSeconds int      `json:"ttlSeconds,omitempty"`
	Issuer     string   `json:"issuer,omitempty"` // of kind jwt: the URL under which its keys are found
	Audience   []string `json:"audience,omitempty"`
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
