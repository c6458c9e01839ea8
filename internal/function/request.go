package function

import (
	"encoding/json"
)

// The bodies of the control operations, with AWS's member names. A nil pointer is
// a member that was not given.

// CreateRequest is CreateFunction's body.
type CreateRequest struct {
	FunctionName string
	Code         CodeRequest
	Publish      bool
	PublishTo    json.RawMessage
	PackageType  *string
	Tags         map[string]string
	Settings
}

// CodeRequest is where code comes from, in CreateFunction and UpdateFunctionCode.
type CodeRequest struct {
	ZipFile         []byte // base64 on the wire
	S3Bucket        string
	S3Key           string
	S3ObjectVersion string
	ImageURI        string `json:"ImageUri"`
	unsupportedCode
}

// Settings are the members that CreateFunction and UpdateFunctionConfiguration share.
type Settings struct {
	Role             *string
	Handler          *string
	Runtime          *string
	Description      *string
	Timeout          *int
	MemorySize       *int
	Environment      *Environment
	EphemeralStorage *EphemeralStorage
	TracingConfig    *TracingConfig
	LoggingConfig    *LoggingConfig
	Architectures    []string // not of UpdateFunctionConfiguration, which ignores it

	// Stored and echoed.
	VpcConfig            json.RawMessage
	DeadLetterConfig     json.RawMessage
	KMSKeyArn            json.RawMessage
	FileSystemConfigs    json.RawMessage
	Layers               json.RawMessage
	ImageConfig          json.RawMessage
	SnapStart            json.RawMessage
	CodeSigningConfigArn json.RawMessage

	unsupportedSettings
}

// UpdateCodeRequest is UpdateFunctionCode's body.
type UpdateCodeRequest struct {
	CodeRequest
	Architectures []string
	Publish       bool
	PublishTo     json.RawMessage
	DryRun        bool
	RevisionID    *string `json:"RevisionId"`
}

// UpdateConfigurationRequest is UpdateFunctionConfiguration's body.
type UpdateConfigurationRequest struct {
	Settings
	RevisionID *string `json:"RevisionId"`
}

// FunctionDocument is GetFunction's answer.
type FunctionDocument struct {
	Configuration Configuration
	Code          CodeLocation
	Tags          map[string]string `json:",omitempty"`
	Concurrency   *Concurrency      `json:",omitempty"`
}

// CodeLocation tells where a function's code can be fetched.
type CodeLocation struct {
	RepositoryType   string
	Location         string `json:",omitempty"`
	ImageURI         string `json:"ImageUri,omitempty"`
	ResolvedImageURI string `json:"ResolvedImageUri,omitempty"`
}

// Concurrency is a function's reserved concurrency.
type Concurrency struct {
	ReservedConcurrentExecutions int
}

// Page is ListFunctions' answer.
type Page struct {
	Functions  []Configuration
	NextMarker string `json:",omitempty"`
}

// PublishRequest is PublishVersion's body.
type PublishRequest struct {
	CodeSha256  string
	PublishTo   json.RawMessage
	Description *string
	RevisionID  *string `json:"RevisionId"`
}

// VersionsPage is ListVersionsByFunction's answer.
type VersionsPage struct {
	Versions   []Configuration
	NextMarker string `json:",omitempty"`
}

// AliasRequest is the body of CreateAlias and UpdateAlias.
type AliasRequest struct {
	Name            string // not of UpdateAlias
	FunctionVersion *string
	Description     *string
	RoutingConfig   *RoutingConfig
	RevisionID      *string `json:"RevisionId"` // of UpdateAlias only
}

// RoutingConfig gives a second version a share of an alias's calls, 0 to 1.
type RoutingConfig struct {
	AdditionalVersionWeights map[string]float64 `json:",omitempty"`
}

// AliasDocument is AWS's AliasConfiguration.
type AliasDocument struct {
	AliasArn        string
	Name            string
	FunctionVersion string
	Description     string
	RoutingConfig   *RoutingConfig `json:",omitempty"`
	RevisionID      string         `json:"RevisionId"`
}

// AliasesPage is ListAliases' answer.
type AliasesPage struct {
	Aliases    []AliasDocument
	NextMarker string `json:",omitempty"`
}
