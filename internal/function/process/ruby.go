package process

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/function/sandbox"
)

// Functions in Ruby run on AWS's own runtime interface client, which is taken from the package, from a layer, or
// from the gems of this machine.
const (
	rubyClient = "aws_lambda_ric"
	// rubyStart starts it: its versions do so in two ways.
	rubyStart = "defined?(AwsLambdaRIC::Bootstrap) ? AwsLambdaRIC::Bootstrap.new.start : (require '" + rubyClient + "/bootstrap'; Bootstrap.start)"
)

func (s *interpreters) ruby(name string) (interpreter, error) {
	out, err := probe("ruby", "-e", "puts RbConfig.ruby, RUBY_VERSION, RbConfig::CONFIG['ruby_version'], Gem.path")
	if err == nil && len(out) < 3 {
		err = fmt.Errorf("unexpected output %q", out)
	}
	if err != nil {
		return interpreter{}, fmt.Errorf("%s needs Ruby on this machine, and no working ruby was found in PATH: install it from https://www.ruby-lang.org (%w)", name, err)
	}
	i := interpreter{path: out[0], version: out[1], abi: out[2], modules: out[3:]}
	if _, err := os.Stat(i.path); err != nil { // it was built for another place
		if i.path, err = exec.LookPath("ruby"); err != nil {
			return interpreter{}, err
		}
	}
	return i, nil
}

// rubyCommand returns how to start a function in Ruby. Gems and files are found where AWS has them too: below vendor/bundle, in
// layers, and beside the handler.
func rubyCommand(i interpreter, s *runner.Spec) (command, error) {
	gems := rubyGems(i, s)
	client, err := rubyClientPath(gems)
	if err != nil {
		return command{}, err
	}
	join := func(name string, folders []string) string {
		var all []string
		for _, f := range slices.Concat(filepath.SplitList(s.Env[name]), folders) {
			if f != "" {
				all = append(all, f)
			}
		}
		return name + "=" + strings.Join(all, string(os.PathListSeparator))
	}
	return command{
		path: i.path,
		args: []string{i.path, "-I", client, "-r", rubyClient, "-e", rubyStart, "--", s.Handler},
		env: []string{
			join("GEM_PATH", gems),
			join("RUBYLIB", slices.Concat([]string{s.CodeDir}, inLayers(s, "ruby", "lib"), filepath.SplitList(os.Getenv("RUBYLIB")))),
		},
		needs: slices.Concat(sandbox.Around(i.path), gems, []string{client}, filepath.SplitList(os.Getenv("RUBYLIB"))),
	}, nil
}

// rubyGems are the folders of gems that a function has.
func rubyGems(i interpreter, s *runner.Spec) []string {
	gems := append([]string{filepath.Join(s.CodeDir, "vendor", "bundle", "ruby", i.abi)}, inLayers(s, "ruby", "gems", i.abi)...)
	return append(gems, i.modules...)
}

// rubyClientPath is the folder of the client's files.
func rubyClientPath(gems []string) (string, error) {
	for _, folder := range gems {
		found, _ := filepath.Glob(filepath.Join(folder, "gems", rubyClient+"-*", "lib"))
		if len(found) > 0 {
			return slices.MaxFunc(found, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }), nil
		}
	}
	return "", errors.New("functions in Ruby run on AWS's runtime interface client, and neither the package nor the gems of this machine have it: add gem '" +
		rubyClient + "' to the Gemfile, and install that into vendor/bundle, or run gem install " + rubyClient)
}
