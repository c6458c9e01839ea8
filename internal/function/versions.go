package function

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Publish makes the present state of $LATEST a version, which never changes. When the
// newest version has the same code and settings, that one is returned.
func (s *Service) Publish(scope schema.Scope, name string, r PublishRequest) (Configuration, error) {
	v := &constraints{}
	v.atMost(r.Description, "description", 256)
	if err := cmp.Or(v.err(), refusePublishTo(r.PublishTo)); err != nil {
		return Configuration{}, err
	}
	if err := unqualified(name); err != nil {
		return Configuration{}, err
	}
	return s.publish(scope, name, r)
}

func (s *Service) publish(scope schema.Scope, name string, r PublishRequest) (Configuration, error) {
	s.control.Lock()
	defer s.control.Unlock()
	if s.ctx.Err() != nil {
		return Configuration{}, errClosed
	}
	f, _, err := s.resolve(scope, name, "")
	if err != nil {
		return Configuration{}, err
	}
	latest := *f.live.def.Load()
	if latest.run != nil {
		return Configuration{}, awserr.LambdaInvalidParameter("The function " + latest.Name + " is part of the server's program: it has no versions.")
	}
	if err := checkRevision(&latest, r.RevisionID); err != nil {
		return Configuration{}, err
	}
	if sum := base64OfHex(latest.CodeHash); r.CodeSha256 != "" && r.CodeSha256 != sum {
		return Configuration{}, awserr.LambdaInvalidParameter("CodeSHA256 (" + r.CodeSha256 + ") is different from current CodeSHA256 in $LATEST (" + sum + "). Please try again with the CodeSHA256 in $LATEST.")
	}
	if newest := f.version(latest.LastVersion); newest != nil {
		if d := newest.def.Load(); d.runsLike(&latest) {
			return d.publishedConfiguration(), nil
		}
	}
	latest.LastVersion++
	latest.Revision = newID()
	version := latest
	version.shared = shared{}
	version.Version, version.Revision, version.Modified = latest.LastVersion, newID(), s.opts.Now()
	set(&version.Description, r.Description)
	if err := s.rows.admit(false); err != nil {
		return Configuration{}, err
	}
	if err := s.rows.put(&latest, &version); err != nil {
		return Configuration{}, err
	}
	s.code.acquireAll(version.hashes())
	s.install(&version)
	s.install(&latest)
	s.changed(scope, latest.Name)
	return version.publishedConfiguration(), nil
}

func (d *definition) publishedConfiguration() Configuration {
	c := d.configuration(false)
	c.FunctionArn = d.qualifiedARN()
	return c
}

// runsLike reports whether two versions have the same code and settings.
func (d *definition) runsLike(o *definition) bool {
	plain := func(d *definition) []byte {
		p := *d
		p.shared = shared{}
		p.Version, p.Revision, p.Runs, p.Description, p.Modified = 0, "", "", "", o.Modified
		text, err := json.Marshal(&p)
		if err != nil {
			return nil
		}
		return text
	}
	a := plain(d)
	return a != nil && bytes.Equal(a, plain(o))
}

// Versions returns a page of a function's versions, $LATEST first.
func (s *Service) Versions(scope schema.Scope, name, marker string, maxItems int) (VersionsPage, error) {
	f, _, err := s.resolve(scope, name, "")
	if err != nil {
		return VersionsPage{}, err
	}
	latest := f.live.def.Load()
	found := map[string]*definition{latest.listKey(): latest}
	for _, e := range f.published() {
		d := e.def.Load()
		found[d.listKey()] = d
	}
	keys, next, err := pageOf(slices.Sorted(maps.Keys(found)), marker, maxItems, defaultPage)
	if err != nil {
		return VersionsPage{}, err
	}
	page := VersionsPage{Versions: []Configuration{}, NextMarker: next}
	for _, k := range keys {
		c := found[k].configuration(true)
		c.FunctionArn = found[k].qualifiedARN()
		page.Versions = append(page.Versions, c)
	}
	return page, nil
}

// deleteVersion removes a published version that no alias names. control is held.
func (s *Service) deleteVersion(t target) error {
	f, version := t.live, t.named.def.Load()
	d := *f.def.Load()
	var users []string
	for name, a := range d.Aliases {
		if _, weighs := a.Weights[t.qualifier]; weighs || a.Version == t.qualifier {
			users = append(users, name)
		}
	}
	if len(users) > 0 {
		slices.Sort(users)
		return awserr.LambdaConflict("Unable to delete version because the following aliases reference it: [" + strings.Join(users, ", ") + "]")
	}
	d.forgetQualifier(t.qualifier)
	if err := s.rows.replace([]*definition{version}, &d); err != nil {
		return err
	}
	f.vmu.Lock()
	delete(f.versions, version.Version)
	f.vmu.Unlock()
	s.install(&d)
	s.end(t.named)
	s.code.releaseAll(version.hashes())
	return nil
}

// forgetQualifier removes what a version or alias had of its own.
func (d *definition) forgetQualifier(qualifier string) {
	d.setEventConfig(qualifier, nil)
	d.setURL(qualifier, nil)
	d.setProvisioned(qualifier, nil)
	d.setPolicy(qualifier, policy{})
	d.setRuntimeUpdate(qualifier, nil)
}
