package template

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// source is where a function's or a layer's code lies: exactly one member is set.
type source struct {
	path   string // a folder, a zip file or a single file
	object *stored
}

// stored is an object in S3.
type stored struct{ bucket, key, version string }

// codeIn reads where code lies: a path, the address of an object in S3, or an object
// of the template whose members are named in two ways.
func (c *preparation) codeIn(n *node, what string) source {
	if n.kind == object {
		o := &stored{}
		for i, name := range n.keys {
			switch name {
			case "Bucket", "S3Bucket":
				o.bucket = n.vals[i].text
			case "Key", "S3Key":
				o.key = n.vals[i].text
			case "Version", "S3ObjectVersion":
				o.version = n.vals[i].text
			default:
				c.problems.add(n.vals[i].line, "%s.%s is not supported", what, name)
			}
		}
		return c.found(n.line, what, o)
	}
	if rest, ok := strings.CutPrefix(n.text, "s3://"); ok {
		bucket, key, _ := strings.Cut(rest, "/")
		return c.found(n.line, what, &stored{bucket: bucket, key: key})
	}
	if strings.Contains(n.text, "://") {
		c.problems.add(n.line, "%s must be a folder, a zip file or an object in S3: %s is not supported", what, n.text)
		return source{}
	}
	return c.local(n.line, what, n.text)
}

// local is code that lies beside the template.
func (c *preparation) local(line int, what, path string) source {
	if c.plan.sent() {
		c.problems.add(line, "%s: %s", what, notHere(path))
		return source{}
	}
	return source{path: filepath.Join(c.plan.template.Dir, filepath.FromSlash(path))}
}

// sent reports whether the template came by itself, from a client of CloudFormation's: then
// nothing lies beside it. What lies beside the server is not the client's to read.
func (p *Plan) sent() bool { return p.opts.Object != nil }

func notHere(path string) string {
	return path + " lies beside the template, which was sent without it: run `sam deploy`, or `sam package` or `aws cloudformation package` and deploy what it writes, so that it is put into S3"
}

// include reads a file beside the template, or of a template that was sent, in S3.
func (p *Plan) include(path string) (*node, error) {
	if !p.sent() {
		return p.template.include(path)
	}
	rest, ok := strings.CutPrefix(path, "s3://")
	if !ok {
		return nil, errors.New(notHere(path))
	}
	bucket, key, _ := strings.Cut(rest, "/")
	body, err := p.opts.Object(context.Background(), bucket, key, "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	n, _, err := parse(body)
	return n, err
}

// found looks for an object of S3: among the assets of the template, at the server, and
// beside the template, where packagers leave it.
func (c *preparation) found(line int, what string, o *stored) source {
	if asset, ok := c.plan.template.Assets[o.key]; ok {
		return source{path: asset}
	}
	if c.plan.opts.Object != nil {
		return source{object: o}
	}
	beside := filepath.Join(c.plan.template.Dir, path.Base(o.key))
	if _, err := os.Stat(beside); err == nil && o.key != "" {
		return source{path: beside}
	}
	err := errNoObject
	if read := c.plan.opts.uploaded; read != nil && o.bucket != "" && o.key != "" {
		if _, err = read(*o); err == nil {
			return source{object: o}
		}
	}
	why := err.Error()
	if !errors.Is(err, errNoObject) {
		why = "it cannot be read (" + why + ")"
	}
	c.r.missing = true
	c.problems.lack(line, "it is not there", fmt.Sprintf("%s: the code is in S3 (%s/%s), and %s: put it there, give a folder or a zip file, or lay %s beside the template",
		what, o.bucket, o.key, why, path.Base(o.key)))
	return source{}
}

// fetch reads an object.
func (p *Plan) fetch(ctx context.Context, o *stored) (*archive, error) {
	var body []byte
	var err error
	if p.opts.Object != nil {
		body, err = p.opts.Object(ctx, o.bucket, o.key, o.version)
	} else {
		body, err = p.opts.uploaded(*o)
	}
	if err != nil {
		return nil, fmt.Errorf("Error occurred while GetObject. S3 Error Message: %w", err)
	}
	return newArchive(body), nil
}

// project is the folder that holds everything of the template's project: the nearest
// one above it with a repository, or else the template's own.
func (t *Template) project() string {
	dir, err := filepath.Abs(t.Dir)
	if err != nil {
		return t.Dir
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, ".git")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return built(dir)
		}
	}
}

// built is the folder of the project of which dir holds what was built; dir itself
// when it is no such folder.
func built(dir string) string {
	for {
		switch filepath.Base(dir) {
		case "build", ".aws-sam", "cdk.out", ".serverless", "dist", "out":
			dir = filepath.Dir(dir)
			continue
		}
		return dir
	}
}
