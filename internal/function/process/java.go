package process

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/function/sandbox"
)

// Functions in Java run on AWS's own runtime interface client, which is taken from the package, from a layer, or
// from Maven's cache on this machine.
const (
	javaClient  = "aws-lambda-java-runtime-interface-client"
	javaMain    = "com.amazonaws.services.lambda.runtime.api.client.AWSLambda"
	javaInstall = "mvn dependency:get -Dartifact=com.amazonaws:" + javaClient + ":2.10.1"
)

var javaVersion = regexp.MustCompile(`version "(?:1\.)?(\d+)`)

// java finds the machine's Java, which must be as new as the runtime: java21 and the like.
func (s *interpreters) java(name string) (interpreter, error) {
	digits := strings.TrimPrefix(name, "java")
	wanted := digits[:len(digits)-len(strings.TrimLeft(digits, "0123456789"))]
	need, _ := strconv.Atoi(wanted) // the runtime's name was looked up
	ask := func(why string) error {
		return fmt.Errorf("%s needs Java %d or newer on this machine, and %s: install it from https://adoptium.net", name, need, why)
	}
	program := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		program = filepath.Join(home, "bin", "java")
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return interpreter{}, ask("no java was found in JAVA_HOME or PATH")
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "-version").CombinedOutput()
	m := javaVersion.FindSubmatch(out)
	if err != nil || m == nil {
		return interpreter{}, ask(path + " does not tell its version")
	}
	if have, _ := strconv.Atoi(string(m[1])); have < need {
		return interpreter{}, ask(fmt.Sprintf("%s is Java %d", path, have))
	}
	return interpreter{path: path, version: string(m[1])}, nil
}

// javaCommand returns how to start a function in Java. The client comes first, as on AWS, where it is the parent
// of what the package has.
func javaCommand(i interpreter, s *runner.Spec) (command, error) {
	client, err := javaClientPath(s)
	if err != nil {
		return command{}, err
	}
	classes := append(slices.Clone(client), s.CodeDir, filepath.Join(s.CodeDir, "lib", "*"))
	for _, dir := range inLayers(s, "java", "lib") {
		classes = append(classes, filepath.Join(dir, "*"))
	}
	heap := max(32, s.MemoryMB*85/100)
	return command{path: i.path, args: []string{
		i.path, "-Xmx" + strconv.Itoa(heap) + "m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-cp", strings.Join(classes, string(os.PathListSeparator)), javaMain, s.Handler,
	}, needs: append(sandbox.Around(i.path), client...)}, nil
}

// javaClientPath is where the client lies: nothing when the package or a layer brings it, else jars of Maven's cache.
func javaClientPath(s *runner.Spec) ([]string, error) {
	main := filepath.Join(append([]string{s.CodeDir}, strings.Split(javaMain, ".")...)...) + ".class"
	if _, err := os.Stat(main); err == nil {
		return nil, nil
	}
	for _, dir := range append(inLayers(s, "java", "lib"), filepath.Join(s.CodeDir, "lib")) {
		if jars, _ := filepath.Glob(filepath.Join(dir, javaClient+"-*.jar")); len(jars) > 0 {
			return nil, nil
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	repository := filepath.Join(home, ".m2", "repository")
	versions, _ := filepath.Glob(filepath.Join(repository, "com", "amazonaws", javaClient, "*", javaClient+"-*.jar"))
	slices.SortFunc(versions, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	for _, jar := range slices.Backward(versions) {
		if jars, err := withDependencies(repository, jar); err == nil {
			return jars, nil
		}
	}
	return nil, errors.New("functions in Java run on AWS's runtime interface client, and neither the package nor Maven's cache has it: add com.amazonaws:" +
		javaClient + " to the package, or run " + javaInstall)
}

// withDependencies is a jar of Maven's cache and those that its pom names for running it.
func withDependencies(repository, jar string) ([]string, error) {
	jars := []string{jar}
	for i := 0; i < len(jars); i++ {
		text, err := os.ReadFile(strings.TrimSuffix(jars[i], ".jar") + ".pom")
		if err != nil {
			return nil, err
		}
		var pom struct {
			Dependencies []struct {
				Group    string `xml:"groupId"`
				Artifact string `xml:"artifactId"`
				Version  string `xml:"version"`
				Scope    string `xml:"scope"`
				Optional string `xml:"optional"`
			} `xml:"dependencies>dependency"`
		}
		if err := xml.Unmarshal(text, &pom); err != nil {
			return nil, err
		}
		for _, d := range pom.Dependencies {
			if d.Scope != "" && d.Scope != "compile" && d.Scope != "runtime" || d.Optional == "true" || d.Version == "" || strings.Contains(d.Version, "${") {
				continue // not for running, or with a version that a parent sets: annotations only, as of this writing
			}
			dir := filepath.Join(append(append([]string{repository}, strings.Split(d.Group, ".")...), d.Artifact, d.Version)...)
			path := filepath.Join(dir, d.Artifact+"-"+d.Version+".jar")
			if _, err := os.Stat(path); err != nil {
				return nil, err
			}
			if !slices.Contains(jars, path) {
				jars = append(jars, path)
			}
		}
	}
	return jars, nil
}
