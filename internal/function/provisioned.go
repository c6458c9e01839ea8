package function

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
)

// provisioned is the stored provisioned concurrency of a version or alias. It is kept and
// given back: processes of this machine start when they are needed, and stay warm by use.
type provisioned struct {
	Count    int       `json:"count"`
	Modified time.Time `json:"modified"`
}

// ProvisionedDocument is AWS's answer about provisioned concurrency.
type ProvisionedDocument struct {
	FunctionArn                              string `json:",omitempty"` // in a list only
	RequestedProvisionedConcurrentExecutions int
	AvailableProvisionedConcurrentExecutions int
	AllocatedProvisionedConcurrentExecutions int
	Status                                   string
	LastModified                             string
}

// ProvisionedPage is ListProvisionedConcurrencyConfigs' answer.
type ProvisionedPage struct {
	ProvisionedConcurrencyConfigs []ProvisionedDocument
	NextMarker                    string `json:",omitempty"`
}

func (p provisioned) document() ProvisionedDocument {
	return ProvisionedDocument{
		RequestedProvisionedConcurrentExecutions: p.Count, AvailableProvisionedConcurrentExecutions: p.Count, AllocatedProvisionedConcurrentExecutions: p.Count,
		Status: "READY", LastModified: p.Modified.UTC().Format("2006-01-02T15:04:05-0700"),
	}
}

// PutProvisioned sets the provisioned concurrency of a version or alias.
func (s *Service) PutProvisioned(scope schema.Scope, name, qualifier string, count int) (ProvisionedDocument, error) {
	if count < 1 {
		v := &constraints{}
		v.between(&count, "provisionedConcurrentExecutions", 1, AccountConcurrency)
		return ProvisionedDocument{}, v.err()
	}
	t, _, err := s.resolve(scope, name, qualifier)
	if err != nil {
		return ProvisionedDocument{}, err
	}
	if orLatest(t.qualifier) == runner.Latest {
		return ProvisionedDocument{}, awserr.LambdaInvalidParameter("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
	}
	p := provisioned{count, s.opts.Now()}
	_, err = s.updateOf(scope, name, t.qualifier, func(d *definition) error {
		others := 0
		for q, o := range d.Provisioned {
			if q != t.qualifier {
				others += o.Count
			}
		}
		switch {
		case d.Reserved != nil && others+count > *d.Reserved:
			return awserr.LambdaInvalidParameter("Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function")
		case count > AccountConcurrency:
			return awserr.LambdaInvalidParameter(fmt.Sprintf("Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [%d].", AccountConcurrency))
		case others+count > AccountConcurrency-minUnreserved:
			return awserr.LambdaInvalidParameter(fmt.Sprintf("Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d].", minUnreserved))
		}
		if a, is := d.Aliases[t.qualifier]; is {
			if _, there := d.Provisioned[a.Version]; there {
				return awserr.LambdaConflict("Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version")
			}
		}
		for alias, a := range d.Aliases {
			if _, there := d.Provisioned[alias]; there && a.Version == t.qualifier {
				return awserr.LambdaConflict("Version is pointed by a Provisioned Concurrency alias")
			}
		}
		d.setProvisioned(t.qualifier, &p)
		return nil
	})
	return p.document(), err
}

func (d *definition) setProvisioned(qualifier string, p *provisioned) {
	d.Provisioned = maps.Clone(d.Provisioned)
	switch {
	case p == nil:
		delete(d.Provisioned, qualifier)
	case d.Provisioned == nil:
		d.Provisioned = map[string]provisioned{qualifier: *p}
	default:
		d.Provisioned[qualifier] = *p
	}
}

// Provisioned returns the provisioned concurrency of a version or alias.
func (s *Service) Provisioned(scope schema.Scope, name, qualifier string) (ProvisionedDocument, error) {
	t, _, err := s.resolve(scope, name, qualifier)
	if err != nil {
		return ProvisionedDocument{}, err
	}
	if orLatest(t.qualifier) == runner.Latest {
		return ProvisionedDocument{}, awserr.LambdaInvalidParameter("The function resource provided must be an alias or a published version.")
	}
	p, there := t.live.def.Load().Provisioned[t.qualifier]
	if !there {
		return ProvisionedDocument{}, awserr.NoProvisioned()
	}
	return p.document(), nil
}

// DeleteProvisioned removes it; one that is not there is fine.
func (s *Service) DeleteProvisioned(scope schema.Scope, name, qualifier string) error {
	t, _, err := s.resolve(scope, name, qualifier)
	if err != nil {
		return err
	}
	if orLatest(t.qualifier) == runner.Latest {
		return awserr.LambdaInvalidParameter("The function resource provided must be an alias or a published version.")
	}
	_, err = s.updateOf(scope, name, t.qualifier, func(d *definition) error {
		d.setProvisioned(t.qualifier, nil)
		return nil
	})
	return err
}

// ListProvisioned returns a page of a function's provisioned concurrency.
func (s *Service) ListProvisioned(scope schema.Scope, name, marker string, maxItems int) (ProvisionedPage, error) {
	t, _, err := s.resolve(scope, name, "")
	if err != nil {
		return ProvisionedPage{}, err
	}
	d := t.live.def.Load()
	names, next, err := pageOf(slices.Sorted(maps.Keys(d.Provisioned)), marker, maxItems, defaultPage)
	if err != nil {
		return ProvisionedPage{}, err
	}
	page := ProvisionedPage{ProvisionedConcurrencyConfigs: []ProvisionedDocument{}, NextMarker: next}
	for _, q := range names {
		doc := d.Provisioned[q].document()
		doc.FunctionArn = d.arn() + ":" + q
		page.ProvisionedConcurrencyConfigs = append(page.ProvisionedConcurrencyConfigs, doc)
	}
	return page, nil
}

// Kinds of RecursiveLoop.
const (
	loopTerminate = "Terminate"
	loopAllow     = "Allow"
)

// RecursiveLoop returns what a function was told to do about recursive loops.
func (s *Service) RecursiveLoop(scope schema.Scope, name string) (string, error) {
	t, _, err := s.resolve(scope, name, "")
	if err != nil {
		return "", err
	}
	if loop := t.live.def.Load().RecursiveLoop; loop != "" {
		return loop, nil
	}
	return loopTerminate, nil
}

// SetRecursiveLoop keeps it; loops over queues and topics cannot be seen from here.
func (s *Service) SetRecursiveLoop(scope schema.Scope, name, loop string) error {
	v := &constraints{}
	v.oneOf(loop, "recursiveLoop", loopAllow, loopTerminate)
	if err := v.err(); err != nil {
		return err
	}
	_, err := s.update(scope, name, func(d *definition) error {
		d.RecursiveLoop = loop
		return nil
	})
	return err
}
