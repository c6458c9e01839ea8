package function

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function/archive"
	"github.com/millstreamdb/millstream/internal/schema"
)

// maxLayers is how many layers a function may have.
const maxLayers = 5

// layerVersion is the stored form of a version of a layer. Fields are only ever added.
type layerVersion struct {
	Scope         schema.Scope `json:"scope"`
	Name          string       `json:"name"`
	Version       int          `json:"version"` // 0: the layer itself, of which Last alone counts
	Last          int          `json:"last,omitempty"`
	Description   string       `json:"description,omitempty"`
	License       string       `json:"license,omitempty"`
	Runtimes      []string     `json:"runtimes,omitempty"`
	Architectures []string     `json:"architectures,omitempty"`
	CodeHash      string       `json:"codeHash,omitempty"`
	CodeSize      int64        `json:"codeSize,omitempty"`
	Created       time.Time    `json:"created"`
	Policy        []statement  `json:"policy,omitempty"`
	PolicyID      string       `json:"policyId,omitempty"` // the policy's revision
}

// usedLayer is a layer as a function uses it. It stays when the layer's version is deleted.
type usedLayer struct {
	ARN  string `json:"arn"`
	Hash string `json:"hash,omitempty"` // empty: of an AWS account, and not there
	Size int64  `json:"size,omitempty"`
}

// layers are those of all scopes.
type layers struct {
	mu    sync.RWMutex // guards what follows, and is held over the write of a row
	found map[id]*layer
}

type layer struct {
	last     int
	versions map[int]*layerVersion
}

// LayerRequest is PublishLayerVersion's body.
type LayerRequest struct {
	Description             *string
	LicenseInfo             *string
	CompatibleRuntimes      []string
	CompatibleArchitectures []string
	Content                 CodeRequest
}

// LayerDocument is AWS's description of a layer's version. Content is not in lists.
type LayerDocument struct {
	Content                 *LayerContent `json:",omitempty"`
	LayerArn                string        `json:",omitempty"`
	LayerVersionArn         string
	Version                 int
	Description             string
	CreatedDate             string
	CompatibleRuntimes      []string `json:",omitempty"`
	CompatibleArchitectures []string `json:",omitempty"`
	LicenseInfo             string   `json:",omitempty"`
}

// LayerContent tells where a layer's zip can be fetched.
type LayerContent struct {
	Location   string
	CodeSha256 string
	CodeSize   int64
}

// LayerVersionsPage is ListLayerVersions' answer, LayersPage that of ListLayers.
type (
	LayerVersionsPage struct {
		LayerVersions []LayerDocument
		NextMarker    string `json:",omitempty"`
	}
	LayersPage struct {
		Layers     []LayerItem
		NextMarker string `json:",omitempty"`
	}
	LayerItem struct {
		LayerName             string
		LayerArn              string
		LatestMatchingVersion LayerDocument
	}
)

func (v *layerVersion) layerARN() string {
	return v.Scope.ARN("lambda", "layer:"+v.Name)
}

func (v *layerVersion) arn() string { return v.layerARN() + ":" + strconv.Itoa(v.Version) }

func (v *layerVersion) document() LayerDocument {
	return LayerDocument{
		LayerVersionArn: v.arn(), Version: v.Version, Description: v.Description, CreatedDate: v.Created.UTC().Format("2006-01-02T15:04:05.000-0700"),
		CompatibleRuntimes: v.Runtimes, CompatibleArchitectures: v.Architectures, LicenseInfo: v.License,
	}
}

func (s *Service) wholeLayer(v *layerVersion) LayerDocument {
	doc := v.document()
	doc.LayerArn = v.layerARN()
	doc.Content = &LayerContent{Location: s.codeLink(v.CodeHash), CodeSha256: base64OfHex(v.CodeHash), CodeSize: v.CodeSize}
	return doc
}

// maxRuntimes is how many runtimes a layer may say that it is for.
const maxRuntimes = 15

var layerPattern = regexp.MustCompile(`^(?:arn:aws[a-zA-Z-]*:lambda:([a-z0-9-]+):(\d{12}):layer:)?([a-zA-Z0-9-_]{1,140})$`)

var layerVersionPattern = regexp.MustCompile(`^(arn:aws[a-zA-Z-]*:lambda:([a-z0-9-]+):(\d{12}):layer:([a-zA-Z0-9-_]+)):([0-9]+)$`)

// layerName takes a layer's name or ARN; mine is false for those of other scopes.
func layerName(scope schema.Scope, text string) (name string, mine bool, err error) {
	m := layerPattern.FindStringSubmatch(text)
	if m == nil {
		return "", false, constraint(text, "layerName", `Member must satisfy regular expression pattern: (arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+`)
	}
	return m[3], m[1] == "" || m[1] == scope.Region && m[2] == scope.Account, nil
}

// PublishLayer makes a new version of a layer.
func (s *Service) PublishLayer(scope schema.Scope, text string, r LayerRequest) (LayerDocument, error) {
	name, mine, err := layerName(scope, text)
	if err != nil {
		return LayerDocument{}, err
	}
	c := &constraints{}
	c.atMost(r.Description, "description", 256)
	c.atMost(r.LicenseInfo, "licenseInfo", 512)
	c.allOf(r.CompatibleRuntimes, "compatibleRuntimes", slices.Concat(runtimes, retired))
	c.allOf(r.CompatibleArchitectures, "compatibleArchitectures", []string{"x86_64", "arm64"})
	if len(r.CompatibleRuntimes) > maxRuntimes {
		c.fail("["+strings.Join(r.CompatibleRuntimes, ", ")+"]", "compatibleRuntimes", fmt.Sprintf("Member must have length less than or equal to %d", maxRuntimes))
	}
	if err := c.err(); err != nil {
		return LayerDocument{}, err
	}
	if err := r.Content.refuse(); err != nil {
		return LayerDocument{}, err
	}
	switch {
	case !mine:
		return LayerDocument{}, awserr.NotThere()
	case r.Content.inS3():
		if err := s.fetch(scope.Account, &r.Content); err != nil {
			return LayerDocument{}, err
		}
	}
	switch {
	case len(r.Content.ZipFile) == 0:
		return LayerDocument{}, awserr.LambdaInvalidParameter("Uploaded file must be a non-empty zip")
	case len(r.Content.ZipFile) > archive.MaxZipped && !r.Content.inS3():
		return LayerDocument{}, awserr.ZippedTooLarge(archive.MaxZipped)
	}
	if err := s.rows.admit(false); err != nil {
		return LayerDocument{}, err
	}
	hash, err := s.code.add(r.Content.ZipFile)
	switch {
	case errors.Is(err, archive.ErrTooLarge):
		return LayerDocument{}, awserr.UnzippedTooLarge(archive.MaxUnzipped)
	case errors.Is(err, archive.ErrNotZip):
		return LayerDocument{}, awserr.BadZip()
	case err != nil:
		return LayerDocument{}, err
	}
	if err := s.share(hash, r.Content.ZipFile); err != nil {
		s.code.release(hash)
		return LayerDocument{}, err
	}
	v := &layerVersion{
		Scope: scope, Name: name, Runtimes: r.CompatibleRuntimes, Architectures: r.CompatibleArchitectures,
		CodeHash: hash, CodeSize: int64(len(r.Content.ZipFile)), Created: s.opts.Now(),
	}
	set(&v.Description, r.Description)
	set(&v.License, r.LicenseInfo)
	s.layers.mu.Lock()
	defer s.layers.mu.Unlock()
	l := s.layers.found[id{scope, name}]
	if l == nil {
		l = &layer{versions: map[int]*layerVersion{}}
	}
	v.Version = l.last + 1
	if err := s.keepLayer(l, v, v.Version); err != nil {
		s.code.release(hash)
		return LayerDocument{}, err
	}
	l.last, l.versions[v.Version] = v.Version, v
	s.layers.found[id{scope, name}] = l
	return s.wholeLayer(v), nil
}

// layerVersionOf finds a version of a layer, nil when it is not there.
func (s *Service) layerVersionOf(scope schema.Scope, text string, version int) (*layerVersion, error) {
	name, mine, err := layerName(scope, text)
	if err != nil || !mine {
		return nil, err
	}
	s.layers.mu.RLock()
	defer s.layers.mu.RUnlock()
	if l := s.layers.found[id{scope, name}]; l != nil {
		return l.versions[version], nil
	}
	return nil, nil
}

// Layer returns a version of a layer.
func (s *Service) Layer(scope schema.Scope, text string, version int) (LayerDocument, error) {
	if version < 1 {
		return LayerDocument{}, awserr.LambdaInvalidParameter("Layer Version Cannot be less than 1")
	}
	v, err := s.layerVersionOf(scope, text, version)
	if err == nil && v == nil {
		err = awserr.NotThere()
	}
	if err != nil {
		return LayerDocument{}, err
	}
	return s.wholeLayer(v), nil
}

// LayerByARN is Layer by the ARN of a version.
func (s *Service) LayerByARN(scope schema.Scope, arn string) (LayerDocument, error) {
	m := layerVersionPattern.FindStringSubmatch(arn)
	if m == nil {
		return LayerDocument{}, constraint(arn, "arn", layerVersionRule)
	}
	n, err := strconv.Atoi(m[5])
	if err != nil {
		return LayerDocument{}, awserr.NotThere()
	}
	return s.Layer(scope, m[1], n)
}

const layerVersionRule = `Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)`

// DeleteLayer removes a version of a layer; functions that use it keep it. One that is not
// there is fine.
func (s *Service) DeleteLayer(scope schema.Scope, text string, version int) error {
	if version < 1 {
		return awserr.LambdaInvalidParameter("Layer Version Cannot be less than 1")
	}
	v, err := s.layerVersionOf(scope, text, version)
	if err != nil || v == nil {
		return err
	}
	s.layers.mu.Lock()
	defer s.layers.mu.Unlock()
	l := s.layers.found[id{scope, v.Name}]
	if l.versions[version] == nil {
		return nil
	}
	if err := s.loseLayer(l, v); err != nil {
		return err
	}
	delete(l.versions, version)
	s.code.release(v.CodeHash)
	return nil
}

// LayerVersions returns a page of a layer's versions, the newest first.
func (s *Service) LayerVersions(scope schema.Scope, text, runtime, architecture, marker string, maxItems int) (LayerVersionsPage, error) {
	name, mine, err := layerName(scope, text)
	if err != nil {
		return LayerVersionsPage{}, err
	}
	docs := map[string]LayerDocument{}
	s.layers.mu.RLock()
	if l := s.layers.found[id{scope, name}]; l != nil && mine {
		for n, v := range l.versions {
			if v.fits(runtime, architecture) {
				docs[fmt.Sprintf("%010d", 1<<31-n)] = v.document()
			}
		}
	}
	s.layers.mu.RUnlock()
	keys, next, err := pageOf(slices.Sorted(maps.Keys(docs)), marker, maxItems, defaultPage)
	if err != nil {
		return LayerVersionsPage{}, err
	}
	page := LayerVersionsPage{LayerVersions: []LayerDocument{}, NextMarker: next}
	for _, k := range keys {
		page.LayerVersions = append(page.LayerVersions, docs[k])
	}
	return page, nil
}

// fits reports whether a version is for a runtime and an architecture; empty: any.
func (v *layerVersion) fits(runtime, architecture string) bool {
	return (runtime == "" || slices.Contains(v.Runtimes, runtime)) && (architecture == "" || slices.Contains(v.Architectures, architecture))
}

// Layers returns a page of the scope's layers, each with its newest version that fits.
func (s *Service) Layers(scope schema.Scope, runtime, architecture, marker string, maxItems int) (LayersPage, error) {
	newest := map[string]*layerVersion{}
	s.layers.mu.RLock()
	for id, l := range s.layers.found {
		for _, v := range l.versions {
			if id.scope == scope && v.fits(runtime, architecture) && (newest[id.name] == nil || newest[id.name].Version < v.Version) {
				newest[id.name] = v
			}
		}
	}
	s.layers.mu.RUnlock()
	names, next, err := pageOf(slices.Sorted(maps.Keys(newest)), marker, maxItems, defaultPage)
	if err != nil {
		return LayersPage{}, err
	}
	page := LayersPage{Layers: []LayerItem{}, NextMarker: next}
	for _, name := range names {
		v := newest[name]
		page.Layers = append(page.Layers, LayerItem{name, v.layerARN(), v.document()})
	}
	return page, nil
}
