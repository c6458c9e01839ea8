package template

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/nearest"
)

// Template is a template that was read; nothing of it has been evaluated.
type Template struct {
	Path string // as the caller named it
	Dir  string // the folder that code is relative to
	// Stack is the name of its stack, where what it was read from tells one.
	Stack string
	// Assets are folders and zip files by the keys that the template has for them in
	// S3; nil: there are none.
	Assets map[string]string
	// Warnings are slips that do no harm here and may elsewhere.
	Warnings []Problem
	root     *node
}

// Read reads a file of YAML or JSON.
func Read(path string) (*Template, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	return New(path, body)
}

// Has reports whether the template has a parameter.
func (t *Template) Has(parameter string) bool { return t.root.get("Parameters").get(parameter) != nil }

// New reads a template from memory; path is where it would lie.
func New(path string, body []byte) (*Template, error) {
	root, warnings, err := parse(body)
	// YAML is read whatever the file's name is, as AWS does; what is meant to be JSON must be it.
	if strings.EqualFold(filepath.Ext(path), ".json") && !errors.Is(err, errNotText) && bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		if fault := jsonFault(body); fault != nil {
			err = fault
		}
	}
	var fault *atLine
	switch {
	case errors.As(err, &fault):
		return nil, fmt.Errorf("%s:%d: %s", path, fault.line, fault.text)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Template{Path: path, Dir: filepath.Dir(path), root: root, Warnings: warnings}, nil
}

// include reads a file beside the template.
func (t *Template) include(path string) (*node, error) {
	if strings.Contains(path, "://") {
		return nil, fmt.Errorf("%s is not a file beside the template", path)
	}
	path = filepath.Join(t.Dir, filepath.FromSlash(path))
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxBytes:
		return nil, fmt.Errorf("%s: want a file of at most %d MB", path, maxBytes>>20)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	n, _, err := parse(body)
	return n, err
}

// sections are the members of a template; those of false make no difference here.
var sections = map[string]bool{
	"AWSTemplateFormatVersion": false, "Description": false, "Metadata": false, "Rules": false, "Transform": true,
	"Globals": true, "Parameters": true, "Mappings": true, "Conditions": true, "Resources": true, "Outputs": true,
}

const samTransform = "AWS::Serverless-2016-10-31"

// checkSections finds what a template must not have, or must have.
func (t *Template) checkSections(problems *Problems) {
	for i, name := range t.root.keys {
		if _, ok := sections[name]; !ok {
			problems.add(t.root.vals[i].line, "the section %s is not supported%s", name, nearest.Hint(name, sortedKeys(sections)))
		}
	}
	switch r := t.root.get("Resources"); { // one that is no object is told of below
	case r == nil:
		problems.add(1, "there is no section Resources, which lists what the template makes")
	case r.kind == object && len(r.keys) == 0:
		problems.add(r.line, "Resources is empty, so there is nothing to make")
	}
	transforms := []*node{t.root.get("Transform")}
	if transforms[0] != nil && transforms[0].kind == list {
		transforms = transforms[0].list
	}
	for _, tr := range transforms {
		if tr != nil && tr.text != samTransform && tr.text != "AWS::LanguageExtensions" {
			problems.add(tr.line, "the transform %s is not supported", tr.text)
		}
	}
	for _, section := range []string{"Globals", "Parameters", "Mappings", "Conditions", "Resources", "Outputs"} {
		if n := t.root.get(section); n != nil && n.kind != object {
			problems.add(n.line, "%s must be an object", section)
			t.root = t.root.without(section)
		}
	}
	if g := t.root.get("Globals"); g != nil {
		for i, name := range g.keys {
			if !slices.Contains([]string{"Function", "Api", "HttpApi", "SimpleTable", "StateMachine", "LayerVersion", "CapacityProvider", "WebSocketApi"}, name) {
				problems.add(g.vals[i].line, "Globals.%s is not supported", name)
			}
		}
	}
}
