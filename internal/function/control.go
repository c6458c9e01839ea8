package function

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function/archive"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
)

const (
	// AccountConcurrency is what AWS gives an account, and minUnreserved what must
	// be left of it to functions without a reservation.
	AccountConcurrency = 1000
	minUnreserved      = 100

	defaultPage = 50
	maxPage     = 10_000
)

// Create makes a function. Its code is on disk and its row written when it returns.
func (s *Service) Create(scope schema.Scope, r CreateRequest) (Configuration, error) {
	d, err := s.newDefinition(scope, &r)
	if err != nil {
		return Configuration{}, err
	}
	if s.lookup(scope, d.Name) != nil {
		return Configuration{}, awserr.FunctionExists(d.Name)
	}
	if err := s.checkInterpreter(d); err != nil {
		return Configuration{}, err
	}
	if err := s.rows.admit(false); err != nil {
		return Configuration{}, err
	}
	if err := s.takeCode(d, &r.Code); err != nil {
		return Configuration{}, err
	}
	if d.Layers, err = s.useLayers(d); err != nil {
		s.code.release(d.CodeHash)
		return Configuration{}, err
	}
	if err := s.checkClient(d); err != nil {
		s.code.releaseAll(d.hashes())
		return Configuration{}, err
	}
	if err := s.create(d); err != nil {
		s.code.releaseAll(d.hashes())
		return Configuration{}, err
	}
	s.changed(scope, d.Name)
	s.tellDoubts(d)
	if !r.Publish {
		return d.configuration(false), nil
	}
	c, err := s.publish(scope, d.Name, PublishRequest{})
	c.FunctionArn = d.arn() // so AWS answers
	return c, err
}

func (s *Service) create(d *definition) error {
	s.control.Lock()
	defer s.control.Unlock()
	if s.ctx.Err() != nil {
		return errClosed
	}
	if s.lookup(d.Scope, d.Name) != nil { // made by another while the code was unpacked
		return awserr.FunctionExists(d.Name)
	}
	if err := s.rows.put(d); err != nil {
		return err
	}
	s.install(d)
	return nil
}

// newDefinition checks a CreateRequest, in AWS's order: the model, then the sense.
func (s *Service) newDefinition(scope schema.Scope, r *CreateRequest) (*definition, error) {
	v := &constraints{}
	name, ok := arn.ParseFunction(r.FunctionName)
	switch {
	case isName(r.FunctionName, len(r.FunctionName)):
		v.atMost(&r.FunctionName, "functionName", maxName)
	case !ok || name.Qualifier != "":
		v.fail(r.FunctionName, "functionName", "Member must satisfy regular expression pattern: "+namePattern)
	}
	if r.Role == nil {
		v.texts = append(v.texts, "Value null at 'role' failed to satisfy constraint: Member must not be null")
	}
	if r.PackageType != nil {
		v.oneOf(*r.PackageType, "packageType", packageZip, packageImage)
	}
	r.check(v)
	if err := cmp.Or(v.err(), r.refuse(), r.Code.refuse(), refusePublishTo(r.PublishTo)); err != nil {
		return nil, err
	}
	if name.Region != "" && name.Region != scope.Region {
		return nil, awserr.FunctionOtherRegion(name.Region, scope.Region)
	}
	d := &definition{
		Scope: scope, Name: name.Name, Timeout: 3, MemorySize: 128, PackageType: packageZip, Architecture: "x86_64",
		Ephemeral: 512, Tracing: "PassThrough", Modified: s.opts.Now(),
	}
	d.Tags = r.Tags
	s.touch(d)
	if r.PackageType != nil {
		d.PackageType = *r.PackageType
	}
	if err := checkTags(r.Tags, r.Tags); err != nil {
		return nil, err
	}
	if d.PackageType == packageZip && (r.Runtime == nil || r.Handler == nil || *r.Runtime == "" || *r.Handler == "") {
		return nil, awserr.LambdaInvalidParameter("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	}
	if err := r.apply(d); err != nil {
		return nil, err
	}
	return d, nil
}

// takeCode puts a request's code into a definition. For a zip, d holds a reference
// on the code afterwards.
func (s *Service) takeCode(d *definition, c *CodeRequest) error {
	if c.inS3() && d.PackageType != packageImage {
		if err := s.fetch(d.Scope.Account, c); err != nil {
			return err
		}
	}
	switch {
	case d.PackageType == packageImage && c.ImageURI == "":
		return awserr.LambdaInvalidParameter("Please provide ImageUri when updating a function with packageType Image.")
	case d.PackageType == packageImage:
		if err := checkImage(c.ImageURI); err != nil {
			return err
		}
		d.ImageURI, d.CodeHash, d.CodeSize = c.ImageURI, "", 0
		return nil
	case c.ImageURI != "":
		return awserr.LambdaInvalidParameter("Please don't provide ImageUri when updating a function with packageType Zip.")
	case len(c.ZipFile) == 0:
		return awserr.LambdaInvalidParameter("Please provide a source for function code.")
	case len(c.ZipFile) > archive.MaxZipped && !c.inS3(): // one in S3 is bounded by what it unpacks to
		return awserr.ZippedTooLarge(archive.MaxZipped)
	}
	hash, err := s.code.add(c.ZipFile)
	switch {
	case errors.Is(err, archive.ErrTooLarge):
		return awserr.UnzippedTooLarge(archive.MaxUnzipped)
	case errors.Is(err, archive.ErrNotZip):
		s.opts.Logger.Info("a package was refused", "function", d.arn(), "error", err)
		return awserr.BadZip()
	case err != nil:
		return err
	}
	old := d.CodeHash
	d.CodeHash, d.CodeSize = hash, int64(len(c.ZipFile))
	err = s.checkBootstrap(d)
	if err == nil {
		err = s.share(hash, c.ZipFile)
	}
	if err != nil {
		d.CodeHash = old
		s.code.release(hash)
		return err
	}
	return nil
}

// inS3 reports whether the code is an object.
func (c *CodeRequest) inS3() bool { return c.S3Bucket != "" || c.S3Key != "" }

// fetch reads code that is an object, for an account.
func (s *Service) fetch(account string, c *CodeRequest) error {
	refuse := func(code, message string) error {
		return awserr.LambdaInvalidParameter("Error occurred while GetObject. S3 Error Code: " + code + ". S3 Error Message: " + message)
	}
	const noBucket = "The specified bucket does not exist"
	if s.opts.Object == nil {
		return refuse("NoSuchBucket", noBucket)
	}
	if c.S3ObjectVersion != "" && c.S3ObjectVersion != "null" {
		return refuse("NoSuchVersion", "The specified version does not exist.")
	}
	zip, err := s.opts.Object(account, c.S3Bucket, c.S3Key)
	switch {
	case err != nil && err.Error() == noBucket:
		return refuse("NoSuchBucket", noBucket)
	case errors.Is(err, fs.ErrPermission):
		return refuse("AccessDenied", err.Error())
	case err != nil:
		return refuse("NoSuchKey", err.Error())
	}
	c.ZipFile = zip
	return nil
}

// checkBootstrap refuses an executable that this machine cannot run.
func (s *Service) checkBootstrap(d *definition) error {
	if !strings.HasPrefix(d.Runtime, "provided") || d.PackageType != packageZip {
		return nil
	}
	err := archive.CheckBootstrap(s.code.task(d.CodeHash))
	var foreign *archive.ForeignError
	if errors.As(err, &foreign) {
		return awserr.LambdaInvalidParameter(foreign.Error())
	}
	return err
}

// checkInterpreter refuses a runtime whose program is not on this machine, and says what to install.
func (s *Service) checkInterpreter(d *definition) error {
	if d.PackageType != packageZip || strings.HasPrefix(d.Runtime, "provided") {
		return nil
	}
	if missing := s.host.Missing(d.Runtime); missing != "" {
		return awserr.LambdaInvalidParameter(missing)
	}
	return nil
}

// checkClient refuses a package without the client of AWS's that its runtime needs here, and says how to add it.
func (s *Service) checkClient(d *definition) error {
	if d.PackageType != packageZip {
		return nil
	}
	if missing := s.host.MissingClient(s.processSpec(d)); missing != "" {
		return awserr.LambdaInvalidParameter(missing + ".")
	}
	return nil
}

// Configuration returns GetFunctionConfiguration's answer.
func (s *Service) Configuration(scope schema.Scope, name, qualifier string) (Configuration, error) {
	t, arn, err := s.resolve(scope, name, qualifier)
	if err != nil {
		return Configuration{}, err
	}
	c := t.named.def.Load().configuration(false)
	c.FunctionArn = arn
	return c, nil
}

// Get returns GetFunction's answer.
func (s *Service) Get(scope schema.Scope, name, qualifier string) (FunctionDocument, error) {
	t, arn, err := s.resolve(scope, name, qualifier)
	if err != nil {
		return FunctionDocument{}, err
	}
	d, whole := t.named.def.Load(), t.live.def.Load()
	doc := FunctionDocument{Configuration: d.configuration(false), Tags: whole.Tags}
	doc.Configuration.FunctionArn = arn
	if d.PackageType == packageImage {
		doc.Code = CodeLocation{RepositoryType: "ECR", ImageURI: d.ImageURI, ResolvedImageURI: d.ImageURI}
	} else {
		doc.Code = CodeLocation{RepositoryType: "S3", Location: s.codeLink(d.CodeHash)}
	}
	if whole.Reserved != nil {
		doc.Concurrency = &Concurrency{*whole.Reserved}
	}
	return doc, nil
}

// List returns a page of ListFunctions' answer, by name. maxItems 0 means AWS's
// default. allVersions is FunctionVersion=ALL: published versions too.
func (s *Service) List(scope schema.Scope, marker string, maxItems int, allVersions bool) (Page, error) {
	found := map[string]*definition{}
	s.mu.RLock()
	for id, f := range s.functions {
		if id.scope != scope {
			continue
		}
		d := f.def.Load()
		found[d.listKey()] = d
		if allVersions {
			for _, e := range f.published() {
				d := e.def.Load()
				found[d.listKey()] = d
			}
		}
	}
	s.mu.RUnlock()
	keys, next, err := pageOf(slices.Sorted(maps.Keys(found)), marker, maxItems, defaultPage)
	if err != nil {
		return Page{}, err
	}
	page := Page{Functions: []Configuration{}, NextMarker: next}
	for _, k := range keys {
		c := found[k].configuration(true)
		if allVersions {
			c.FunctionArn = found[k].qualifiedARN()
		}
		page.Functions = append(page.Functions, c)
	}
	return page, nil
}

// listKey orders functions by their names, and their versions by their numbers, $LATEST
// first.
func (d *definition) listKey() string { return fmt.Sprintf("%s\x00%010d", d.Name, d.Version) }

// update replaces a function's definition by what change makes of a copy of it.
// change may return a definition without a new revision; running processes then
// stay.
func (s *Service) update(scope schema.Scope, name string, change func(d *definition) error) (*definition, error) {
	return s.updateOf(scope, name, "", change)
}

// updateOf is update for what belongs to a version or an alias. It is looked up under the lock under which it is
// deleted too: what is set for one that has just gone would be found again by the next of its name.
func (s *Service) updateOf(scope schema.Scope, name, qualifier string, change func(d *definition) error) (*definition, error) {
	s.control.Lock()
	defer s.control.Unlock()
	if s.ctx.Err() != nil {
		return nil, errClosed
	}
	f, _, err := s.resolve(scope, name, qualifier)
	if err != nil {
		return nil, err
	}
	old := f.live.def.Load()
	d := *old
	if err := change(&d); err != nil {
		return nil, err
	}
	if old.run == nil {
		if err := s.rows.admit(true); err != nil {
			return nil, err
		}
		if err := s.rows.put(&d); err != nil {
			return nil, err
		}
	}
	s.install(&d)
	return &d, nil
}

// touch marks a definition as changed in what runs.
func (s *Service) touch(d *definition) {
	d.Revision, d.Modified = newID(), s.opts.Now()
	d.Runs = d.Revision
}

func checkRevision(d *definition, wanted *string) error {
	if wanted != nil && *wanted != "" && *wanted != d.Revision {
		return awserr.RevisionMismatch()
	}
	return nil
}

// UpdateCode replaces a function's code. With DryRun it checks only.
func (s *Service) UpdateCode(scope schema.Scope, name string, r UpdateCodeRequest) (Configuration, error) {
	v := &constraints{}
	checkArchitectures(r.Architectures, v)
	if err := cmp.Or(v.err(), r.refuse(), refusePublishTo(r.PublishTo)); err != nil {
		return Configuration{}, err
	}
	if err := unqualified(name); err != nil {
		return Configuration{}, err
	}
	f, _, err := s.resolve(scope, name, "")
	if err != nil {
		return Configuration{}, err
	}
	now := f.live.def.Load()
	if now.run != nil {
		return Configuration{}, awserr.LambdaInvalidParameter("The function " + now.Name + " is part of the server's program: it has no code to update.")
	}
	if err := checkRevision(now, r.RevisionID); err != nil {
		return Configuration{}, err
	}
	if err := s.rows.admit(false); err != nil {
		return Configuration{}, err
	}
	// Unpacked outside the lock; the definition may have changed when it is put in.
	next := *now
	if err := s.takeCode(&next, &r.CodeRequest); err != nil {
		return Configuration{}, err
	}
	if len(r.Architectures) == 1 {
		next.Architecture = r.Architectures[0]
	}
	if r.DryRun {
		s.code.release(next.CodeHash)
		return next.configuration(false), nil
	}
	replaced := ""
	d, err := s.update(scope, name, func(d *definition) error {
		if err := checkRevision(d, r.RevisionID); err != nil {
			return err
		}
		if d.PackageType != next.PackageType {
			return awserr.LambdaConflict("The operation cannot be performed at this time. An update is in progress for resource: " + d.arn())
		}
		replaced = d.CodeHash
		d.CodeHash, d.CodeSize, d.ImageURI, d.Architecture = next.CodeHash, next.CodeSize, next.ImageURI, next.Architecture
		if err := cmp.Or(s.checkBootstrap(d), s.checkClient(d)); err != nil {
			return err
		}
		s.touch(d)
		return nil
	})
	if err != nil {
		s.code.release(next.CodeHash)
		return Configuration{}, err
	}
	s.code.release(replaced)
	s.changed(scope, d.Name)
	s.tellDoubts(d)
	if r.Publish {
		return s.publish(scope, d.Name, PublishRequest{})
	}
	return d.configuration(false), nil
}

// UpdateConfiguration changes what was given of a function's settings.
func (s *Service) UpdateConfiguration(scope schema.Scope, name string, r UpdateConfigurationRequest) (Configuration, error) {
	v := &constraints{}
	r.Architectures = nil
	r.check(v)
	if err := cmp.Or(v.err(), r.refuse()); err != nil {
		return Configuration{}, err
	}
	if err := unqualified(name); err != nil {
		return Configuration{}, err
	}
	if f, _, err := s.resolve(scope, name, ""); err == nil {
		if err := s.bring(s.ctx, f.live.def.Load().hashes()); err != nil { // it is looked at
			return Configuration{}, err
		}
	}
	var old, taken []usedLayer // what is replaced, and what takes its place
	d, err := s.update(scope, name, func(d *definition) error {
		if err := checkRevision(d, r.RevisionID); err != nil {
			return err
		}
		if err := r.apply(d); err != nil {
			return err
		}
		if err := s.checkBootstrap(d); err != nil {
			return err
		}
		if r.Runtime != nil {
			if err := s.checkInterpreter(d); err != nil {
				return err
			}
		}
		if r.Layers != nil {
			old = d.Layers
			var err error
			if d.Layers, err = s.useLayers(d); err != nil {
				return err
			}
			taken = d.Layers
		}
		if r.Runtime != nil || r.Layers != nil {
			if err := s.checkClient(d); err != nil {
				return err
			}
		}
		s.touch(d)
		return nil
	})
	if err != nil {
		s.releaseLayers(taken)
		return Configuration{}, err
	}
	s.releaseLayers(old)
	s.changed(scope, d.Name)
	if r.Runtime != nil || r.Layers != nil {
		s.tellDoubts(d)
	}
	return d.configuration(false), nil
}

// Delete removes a function, or the version that is named. Invocations that run go on to
// their end; event source mappings stay.
func (s *Service) Delete(scope schema.Scope, name, qualifier string) error {
	s.control.Lock()
	defer s.control.Unlock()
	if s.ctx.Err() != nil {
		return errClosed
	}
	t, _, err := s.resolve(scope, name, qualifier)
	if err != nil {
		return err
	}
	switch {
	case t.qualifier == runner.Latest:
		return awserr.DeleteLatest()
	case isNumber(t.qualifier):
		err = s.deleteVersion(t)
	case t.qualifier != "":
		return awserr.LambdaInvalidParameter("Deletion of aliases is not currently supported.")
	default:
		err = s.deleteFunction(t.live)
	}
	if err == nil {
		s.changed(scope, t.live.def.Load().Name)
	}
	return err
}

func (s *Service) deleteFunction(f *live) error {
	d := f.def.Load()
	all := []*definition{d}
	for _, e := range f.published() {
		all = append(all, e.def.Load())
	}
	if d.run == nil {
		if err := s.rows.remove(all...); err != nil {
			return err
		}
	}
	s.forget(f)
	for _, d := range all {
		s.code.releaseAll(d.hashes())
	}
	return nil
}

// unqualified refuses a qualifier, as the concurrency calls do.
func unqualified(name string) error {
	if f, ok := arn.ParseFunction(name); ok && f.Qualifier != "" && f.Qualifier != runner.Latest {
		return awserr.UnqualifiedOnly()
	}
	return nil
}

// PutConcurrency reserves concurrency for a function; 0 stops it.
func (s *Service) PutConcurrency(scope schema.Scope, name string, reserved int) error {
	if err := unqualified(name); err != nil {
		return err
	}
	if reserved < 0 {
		v := &constraints{}
		v.between(&reserved, "reservedConcurrentExecutions", 0, AccountConcurrency)
		return v.err()
	}
	return s.reserve(scope, name, &reserved)
}

// DeleteConcurrency gives a function's reservation back.
func (s *Service) DeleteConcurrency(scope schema.Scope, name string) error {
	if err := unqualified(name); err != nil {
		return err
	}
	return s.reserve(scope, name, nil)
}

func (s *Service) reserve(scope schema.Scope, name string, reserved *int) error {
	if _, _, err := s.resolveLatest(scope, name, ""); err != nil {
		return err
	}
	d, err := s.update(scope, name, func(d *definition) error {
		if reserved != nil && s.reservedByOthers(d)+*reserved > AccountConcurrency-minUnreserved {
			return awserr.ReservedTooMuch(minUnreserved)
		}
		d.Reserved = reserved
		return nil
	})
	if err != nil {
		return err
	}
	s.changed(scope, d.Name)
	return nil
}

func (s *Service) reservedByOthers(d *definition) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sum := 0
	for id, f := range s.functions {
		if id.scope == d.Scope && id.name != d.Name {
			if r := f.def.Load().Reserved; r != nil {
				sum += *r
			}
		}
	}
	return sum
}

// GetConcurrency returns the reservation, nil when there is none.
func (s *Service) GetConcurrency(scope schema.Scope, name string) (*int, error) {
	if err := unqualified(name); err != nil {
		return nil, err
	}
	f, _, err := s.resolveLatest(scope, name, "")
	if err != nil {
		return nil, err
	}
	return f.def.Load().Reserved, nil
}

// Tags returns a function's tags. They must not be changed.
func (s *Service) Tags(scope schema.Scope, name string) (map[string]string, error) {
	f, _, err := s.resolve(scope, name, "")
	if err != nil {
		return nil, err
	}
	return f.def.Load().Tags, nil
}

// Tag adds and replaces tags, Untag removes them.
func (s *Service) Tag(scope schema.Scope, name string, tags map[string]string) error {
	return s.retag(scope, name, tags, func(now map[string]string) { maps.Copy(now, tags) })
}

func (s *Service) Untag(scope schema.Scope, name string, keys []string) error {
	return s.retag(scope, name, nil, func(now map[string]string) {
		for _, k := range keys {
			delete(now, k)
		}
	})
}

// retag changes a function's tags; added are those that are new.
func (s *Service) retag(scope schema.Scope, name string, added map[string]string, change func(map[string]string)) error {
	d, err := s.update(scope, name, func(d *definition) error {
		tags := maps.Clone(d.Tags)
		if tags == nil {
			tags = map[string]string{}
		}
		change(tags)
		d.Tags = tags
		if err := checkTags(tags, added); err != nil {
			return err
		}
		return nil
	})
	if err == nil {
		s.changed(scope, d.Name)
	}
	return err
}

// Account counts what GetAccountSettings tells.
func (s *Service) Account(scope schema.Scope) (functions int, codeBytes int64, reserved int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, f := range s.functions {
		if id.scope != scope {
			continue
		}
		d := f.def.Load()
		functions++
		codeBytes += d.CodeSize
		for _, e := range f.published() {
			codeBytes += e.def.Load().CodeSize
		}
		if d.Reserved != nil {
			reserved += *d.Reserved
		}
	}
	return functions, codeBytes, reserved
}
