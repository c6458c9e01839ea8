package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ReadAll reads the templates at a path in the order in which they are to be deployed:
// a template's file holds one; the folder that the CDK writes (cdk.out) holds one for
// each stack, told by its manifest; and the folder that the Serverless Framework writes
// (.serverless) holds one.
func ReadAll(at string) ([]*Template, error) {
	info, err := os.Stat(at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file or folder %s: name the template, or the folder that cdk synth, sam build or serverless package has written", at)
	}
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	if !info.IsDir() {
		if filepath.Base(at) == "serverless.yml" {
			return nil, fmt.Errorf("%s is no template: make one of it with `serverless package` (or `osls package`), and deploy the folder .serverless", at)
		}
		t, err := Read(at)
		return []*Template{t}, err
	}
	for _, name := range []string{"cloudformation-template-update-stack.json", "template.yaml", "template.yml", "template.json"} {
		if _, err := os.Stat(filepath.Join(at, name)); err == nil {
			t, err := Read(filepath.Join(at, name))
			if err == nil && name == "cloudformation-template-update-stack.json" {
				t.withoutBucket()
			}
			return []*Template{t}, err
		}
	}
	if _, err := os.Stat(filepath.Join(at, "manifest.json")); err != nil {
		for _, project := range [][2]string{{"cdk.json", "`cdk synth`, and deploy the folder cdk.out"}, {"serverless.yml", "`serverless package` (or `osls package`), and deploy the folder .serverless"}} {
			if _, err := os.Stat(filepath.Join(at, project[0])); err == nil {
				return nil, fmt.Errorf("%s holds no template: make one with %s", at, project[1])
			}
		}
		return nil, fmt.Errorf("%s holds no template.yaml, no manifest.json of the CDK and no result of `serverless package`", at)
	}
	a := assembly{}
	if err := a.read(at, ""); err != nil {
		return nil, err
	}
	return a.ordered()
}

// withoutBucket takes the Serverless Framework's bucket out of what it has packaged: the
// zip lies beside the template.
func (t *Template) withoutBucket() {
	resources := t.root.get("Resources")
	if resources == nil {
		return
	}
	for _, id := range []string{"ServerlessDeploymentBucket", "ServerlessDeploymentBucketPolicy"} {
		resources = resources.without(id)
	}
	t.root = t.root.with("Resources", resources)
	if outputs := t.root.get("Outputs"); outputs != nil {
		t.root = t.root.with("Outputs", outputs.without("ServerlessDeploymentBucketName"))
	}
	// What names the bucket in Code needs a value and no more.
	p := t.root.get("Parameters")
	if p == nil {
		p = &node{kind: object}
	}
	t.root = t.root.with("Parameters", p.with("ServerlessDeploymentBucket", &node{kind: object, keys: []string{"Default"}, vals: []*node{text(0, "packaged")}}))
}

// assembly is what the CDK has written.
type assembly struct {
	stacks []*stack
	assets map[string]string
}

type stack struct {
	id    string
	needs []string
	t     *Template
}

// read reads a manifest, and those of the stages within it.
func (a *assembly) read(dir, prefix string) error {
	var manifest struct {
		Artifacts map[string]struct {
			Type         string
			Dependencies []string
			Properties   struct {
				TemplateFile, StackName, DirectoryName, File string
				Parameters                                   map[string]string
			}
		}
	}
	if err := readJSON(filepath.Join(dir, "manifest.json"), &manifest); err != nil {
		return err
	}
	if a.assets == nil {
		a.assets = map[string]string{}
	}
	for _, id := range sortedKeys(manifest.Artifacts) {
		art := manifest.Artifacts[id]
		switch art.Type {
		case "cdk:asset-manifest":
			if err := a.readAssets(dir, art.Properties.File); err != nil {
				return err
			}
		case "cdk:cloud-assembly":
			if err := a.read(filepath.Join(dir, art.Properties.DirectoryName), prefix+id+"/"); err != nil {
				return err
			}
		case "aws:cloudformation:stack":
			t, err := Read(filepath.Join(dir, art.Properties.TemplateFile))
			if err != nil {
				return err
			}
			if t.Stack = art.Properties.StackName; t.Stack == "" {
				t.Stack = id
			}
			t.Assets = a.assets
			s := &stack{id: prefix + id, t: t}
			for _, need := range art.Dependencies {
				s.needs = append(s.needs, prefix+need)
			}
			a.stacks = append(a.stacks, s)
		}
	}
	return nil
}

// readAssets finds the folders and files that templates know by a key in S3.
func (a *assembly) readAssets(dir, file string) error {
	var assets struct {
		Files map[string]struct {
			Source struct {
				Path       string
				Executable []string
			}
			Destinations map[string]struct{ ObjectKey string }
		}
	}
	if err := readJSON(filepath.Join(dir, file), &assets); err != nil {
		return err
	}
	for _, f := range assets.Files {
		for _, d := range f.Destinations {
			if f.Source.Path != "" {
				a.assets[d.ObjectKey] = filepath.Join(dir, filepath.FromSlash(f.Source.Path))
			}
		}
	}
	return nil
}

// ordered puts each stack behind those that it depends on.
func (a *assembly) ordered() ([]*Template, error) {
	var out []*Template
	done, open := map[string]bool{}, map[string]bool{}
	var visit func(s *stack) error
	visit = func(s *stack) error {
		if done[s.id] {
			return nil
		}
		if open[s.id] {
			return fmt.Errorf("the stack %s depends on itself", s.id)
		}
		open[s.id] = true
		for _, need := range s.needs {
			if i := slices.IndexFunc(a.stacks, func(o *stack) bool { return o.id == need }); i >= 0 {
				if err := visit(a.stacks[i]); err != nil {
					return err
				}
			}
		}
		done[s.id] = true
		out = append(out, s.t)
		return nil
	}
	for _, s := range a.stacks {
		if err := visit(s); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the assembly has no stack")
	}
	return out, nil
}

func readJSON(path string, into any) error {
	body, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("template: %w", err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		if fault := jsonFault(body); fault != nil {
			err = fault
		}
		return fmt.Errorf("%s: %s: it is made anew by `cdk synth`", path, strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}
