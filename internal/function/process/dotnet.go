package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/function/sandbox"
)

// Functions in .NET are programs, whose assembly the handler names, and bring AWS's runtime client. The program that AWS starts for
// handlers that name a method, Assembly::Type::Method, is in no package.
const (
	dotnetClient = "Amazon.Lambda.RuntimeSupport"
	dotnetURL    = "https://dotnet.microsoft.com"
)

var dotnetRuntime = regexp.MustCompile(`(?m)^Microsoft\.NETCore\.App (\d+)\.(\S+)`)

// dotnet finds the machine's .NET, of the very version that the runtime names: a program of one does not run on the next by itself.
func (s *interpreters) dotnet(name string) (interpreter, error) {
	need := strings.TrimPrefix(name, "dotnet")
	ask := func(why string) error {
		return fmt.Errorf("%s needs .NET %s on this machine, and %s: install it from %s", name, need, why, dotnetURL)
	}
	path, err := exec.LookPath("dotnet")
	if err != nil {
		return interpreter{}, ask("no dotnet was found in PATH")
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--list-runtimes").Output()
	found := dotnetRuntime.FindAllSubmatch(out, -1)
	if err != nil || found == nil {
		return interpreter{}, ask(path + " does not tell which it has")
	}
	var have []string
	for _, m := range found {
		if version := string(m[1]) + "." + string(m[2]); string(m[1]) == need {
			return interpreter{path: path, version: version}, nil
		} else {
			have = append(have, version)
		}
	}
	return interpreter{}, ask(path + " has " + strings.Join(have, ", "))
}

// dotnetCommand returns how to start a function in .NET.
func dotnetCommand(i interpreter, s *runner.Spec) (command, error) {
	const program = "make the project a program (OutputType Exe) whose Main runs LambdaBootstrapBuilder, with the package " + dotnetClient
	if strings.Contains(s.Handler, ":") {
		return command{}, errors.New("the handler " + s.Handler + " names a method, which AWS's runtime for .NET calls, and that is in no package: " + program + ", and give its assembly's name as the handler")
	}
	if !filepath.IsLocal(s.Handler) {
		return command{}, errors.New("the handler " + s.Handler + " is no file of the package: give the name of the program's assembly")
	}
	path := filepath.Join(s.CodeDir, s.Handler)
	if !strings.HasSuffix(path, ".dll") {
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 { // published as one file, or compiled ahead of time
			return command{path: path, args: []string{path}}, nil
		}
		path += ".dll"
	}
	if _, err := os.Stat(path); err != nil {
		return command{}, errors.New("the package has no " + filepath.Base(path) + ", which the handler names: publish the project into the package, and give its assembly's name as the handler")
	}
	if _, err := os.Stat(filepath.Join(s.CodeDir, dotnetClient+".dll")); err != nil {
		return command{}, errors.New("functions in .NET run on AWS's runtime client, and the package has no " + dotnetClient + ".dll: " + program)
	}
	return command{path: i.path, args: []string{i.path, "exec", path}, needs: sandbox.Around(i.path)}, nil
}
