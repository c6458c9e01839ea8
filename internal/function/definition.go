package function

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
)

// definition is the stored form of a function. It never changes: an update makes
// a new one. Fields are only ever added.
type definition struct {
	Scope        schema.Scope      `json:"scope"`
	Name         string            `json:"name"`
	Version      int               `json:"version,omitempty"` // 0: $LATEST
	Role         string            `json:"role"`
	Runtime      string            `json:"runtime,omitempty"`
	Handler      string            `json:"handler,omitempty"`
	Description  string            `json:"description,omitempty"`
	Timeout      int               `json:"timeout"`
	MemorySize   int               `json:"memorySize"`
	PackageType  string            `json:"packageType"`
	Architecture string            `json:"architecture"`
	Ephemeral    int               `json:"ephemeral"`
	Tracing      string            `json:"tracing"`
	Logging      LoggingConfig     `json:"logging"`
	Env          map[string]string `json:"env,omitempty"`
	// Sealed are the variables as they are on the disk. In memory it is empty, or they could not be opened: see locked.
	Sealed   []byte                     `json:"sealed,omitempty"`
	Kept     map[string]json.RawMessage `json:"kept,omitempty"` // members that are stored and echoed only
	ImageURI string                     `json:"imageUri,omitempty"`
	CodeHash string                     `json:"codeHash,omitempty"` // of the zip, hexadecimal
	CodeSize int64                      `json:"codeSize,omitempty"`
	Layers   []usedLayer                `json:"layers,omitempty"`
	Revision string                     `json:"revision"`
	Modified time.Time                  `json:"modified"`
	// Runs changes with whatever a running process would have to be started anew for.
	Runs string `json:"runs,omitempty"`
	shared

	run GoFunc // of a Go function; never stored
	// locked says why Sealed could not be opened. Such a function does not start.
	locked string
}

func (d *definition) arn() string { return d.Scope.FunctionARN(d.Name) }

// version is the number of a published version, or $LATEST.
func (d *definition) version() string {
	if d.Version == 0 {
		return runner.Latest
	}
	return strconv.Itoa(d.Version)
}

func (d *definition) qualifiedARN() string { return d.arn() + ":" + d.version() }

func (d *definition) spec(codeDir string, layers ...string) runner.Spec {
	return runner.Spec{
		Scope: d.Scope, Name: d.Name, ARN: d.arn(), Version: d.version(), Revision: d.Revision,
		Handler: d.Handler, Runtime: d.Runtime, URL: d.ImageURI, CodeDir: codeDir, Layers: layers,
		Timeout: time.Duration(d.Timeout) * time.Second, MemoryMB: d.MemorySize, EphemeralMB: d.Ephemeral,
		Env: d.Env, LogGroup: d.Logging.LogGroup, LogJSON: d.Logging.LogFormat == "JSON",
		AppLevel: d.Logging.ApplicationLogLevel, SystemLevel: d.Logging.SystemLogLevel,
	}
}

// shared is what all versions of a function have in common. It stands in $LATEST's
// definition; those of published versions have none of it.
type shared struct {
	Tags           map[string]string        `json:"tags,omitempty"`
	Reserved       *int                     `json:"reserved,omitempty"`    // concurrency; nil: none reserved
	LastVersion    int                      `json:"lastVersion,omitempty"` // the number of the newest version that was ever published
	Aliases        map[string]alias         `json:"aliases,omitempty"`
	URL            *urlConfig               `json:"url,omitempty"`
	URLs           map[string]*urlConfig    `json:"urls,omitempty"`           // by alias
	Events         map[string]EventConfig   `json:"events,omitempty"`         // how Event invocations are tried again, by qualifier
	Policies       map[string][]statement   `json:"policies,omitempty"`       // by qualifier
	PolicyHeads    map[string]policyHead    `json:"policyHeads,omitempty"`    // by qualifier, of policies whose head is not the ordinary one
	RuntimeUpdates map[string]runtimeUpdate `json:"runtimeUpdates,omitempty"` // by version, where it is not Auto
	Provisioned    map[string]provisioned   `json:"provisioned,omitempty"`    // by qualifier
	RecursiveLoop  string                   `json:"recursiveLoop,omitempty"`
}

// Configuration is AWS's FunctionConfiguration.
type Configuration struct {
	FunctionName         string               `json:"FunctionName"`
	FunctionArn          string               `json:"FunctionArn"`
	Runtime              string               `json:"Runtime,omitempty"`
	Role                 string               `json:"Role"`
	Handler              string               `json:"Handler,omitempty"`
	CodeSize             int64                `json:"CodeSize"`
	Description          string               `json:"Description"`
	Timeout              int                  `json:"Timeout"`
	MemorySize           int                  `json:"MemorySize"`
	LastModified         string               `json:"LastModified"`
	CodeSha256           string               `json:"CodeSha256"`
	Version              string               `json:"Version"`
	Environment          *EnvironmentResponse `json:"Environment,omitempty"`
	TracingConfig        TracingConfig        `json:"TracingConfig"`
	RevisionID           string               `json:"RevisionId"`
	State                string               `json:"State,omitempty"`
	LastUpdateStatus     string               `json:"LastUpdateStatus,omitempty"`
	PackageType          string               `json:"PackageType"`
	Architectures        []string             `json:"Architectures"`
	EphemeralStorage     EphemeralStorage     `json:"EphemeralStorage"`
	SnapStart            SnapStartResponse    `json:"SnapStart"`
	RuntimeVersionConfig *RuntimeVersion      `json:"RuntimeVersionConfig,omitempty"`
	LoggingConfig        LoggingConfig        `json:"LoggingConfig"`

	VpcConfig           json.RawMessage `json:"VpcConfig,omitempty"`
	DeadLetterConfig    json.RawMessage `json:"DeadLetterConfig,omitempty"`
	KMSKeyArn           json.RawMessage `json:"KMSKeyArn,omitempty"`
	FileSystemConfigs   json.RawMessage `json:"FileSystemConfigs,omitempty"`
	Layers              []Layer         `json:"Layers,omitempty"`
	ImageConfigResponse *ImageConfig    `json:"ImageConfigResponse,omitempty"`
}

// Parts of Configuration and of the requests.
type (
	Environment struct {
		Variables map[string]string `json:"Variables"`
	}
	EnvironmentResponse struct {
		Variables map[string]string `json:"Variables,omitempty"`
		Error     *EnvironmentError `json:"Error,omitempty"` // why they cannot be told
	}
	EnvironmentError struct{ ErrorCode, Message string }
	TracingConfig    struct {
		Mode string `json:"Mode"`
	}
	EphemeralStorage struct {
		Size int `json:"Size"`
	}
	SnapStartResponse struct {
		ApplyOn            string `json:"ApplyOn"`
		OptimizationStatus string `json:"OptimizationStatus"`
	}
	RuntimeVersion struct {
		RuntimeVersionArn string `json:"RuntimeVersionArn"`
	}
	LoggingConfig struct {
		LogFormat           string `json:"LogFormat"`
		ApplicationLogLevel string `json:"ApplicationLogLevel,omitempty"`
		SystemLogLevel      string `json:"SystemLogLevel,omitempty"`
		LogGroup            string `json:"LogGroup"`
	}
	Layer struct {
		Arn      string `json:"Arn"`
		CodeSize int64  `json:"CodeSize"`
	}
	ImageConfig struct {
		ImageConfig json.RawMessage `json:"ImageConfig"`
	}
)

// snapStart shows what was asked for: nothing is done for it.
func (d *definition) snapStart() SnapStartResponse {
	r := SnapStartResponse{"None", "Off"}
	_ = json.Unmarshal(d.Kept["SnapStart"], &r) // kept as it came; absent or another kind: none
	if r.ApplyOn == "" {
		r.ApplyOn = "None"
	}
	r.OptimizationStatus = "Off"
	return r
}

// configuration renders a definition. The answer of a list lacks the states.
func (d *definition) configuration(listed bool) Configuration {
	c := Configuration{
		FunctionName: d.Name, FunctionArn: d.arn(), Runtime: d.Runtime, Role: d.Role, Handler: d.Handler,
		CodeSize: d.CodeSize, Description: d.Description, Timeout: d.Timeout, MemorySize: d.MemorySize,
		LastModified: d.Modified.UTC().Format("2006-01-02T15:04:05.000-0700"),
		CodeSha256:   base64OfHex(d.CodeHash), Version: d.version(),
		TracingConfig: TracingConfig{d.Tracing}, RevisionID: d.Revision,
		PackageType: d.PackageType, Architectures: []string{d.Architecture},
		EphemeralStorage: EphemeralStorage{d.Ephemeral}, SnapStart: d.snapStart(),
		LoggingConfig: d.Logging,
		VpcConfig:     d.Kept["VpcConfig"], DeadLetterConfig: d.Kept["DeadLetterConfig"],
		KMSKeyArn: d.Kept["KMSKeyArn"], FileSystemConfigs: d.Kept["FileSystemConfigs"],
	}
	if len(d.Env) > 0 { // AWS shows none where there are no variables
		c.Environment = &EnvironmentResponse{Variables: d.Env}
	}
	if d.locked != "" {
		c.Environment = &EnvironmentResponse{Error: &EnvironmentError{"AccessDeniedException", awserr.EnvironmentLocked(d.locked).Message}}
	}
	for _, u := range d.Layers {
		c.Layers = append(c.Layers, Layer{Arn: u.ARN, CodeSize: u.Size})
	}
	if image := d.Kept["ImageConfig"]; image != nil {
		c.ImageConfigResponse = &ImageConfig{image}
	}
	if !listed {
		c.State, c.LastUpdateStatus = "Active", "Successful"
		if d.PackageType == packageZip {
			c.RuntimeVersionConfig = &RuntimeVersion{schema.Scope{Region: d.Scope.Region}.ARN("lambda", "runtime:"+d.Runtime)}
		}
	}
	return c
}
