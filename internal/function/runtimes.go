package function

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// RuntimeProblem tells why a function of a runtime cannot be made here: AWS has no such
// runtime, or this machine lacks what it needs. Empty: it can.
func (s *Service) RuntimeProblem(name string) string {
	if err := checkRuntime(name); err != nil {
		return err.Message
	}
	return s.host.Missing(name)
}

// PackageProblem tells why a package with files of these names, and no layers, cannot run as a function of a runtime with this handler:
// the program or AWS's client of that runtime is missing. Empty: it can, or that shows only later.
func (s *Service) PackageProblem(runtime, handler string, files []string) (string, error) {
	if why := s.RuntimeProblem(runtime); why != "" {
		return why, nil
	}
	dir, err := os.MkdirTemp("", "millstream-package-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	for _, name := range files {
		if !filepath.IsLocal(name) || strings.HasSuffix(name, "/") || !matters(name, handler) {
			continue
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, nil, 0o700); err != nil { //nolint:gosec // it may be the name of a program
			return "", err
		}
	}
	return s.host.MissingClient(runner.Spec{Runtime: runtime, Handler: handler, CodeDir: dir}), nil
}

// matters reports whether a file of a package may be of AWS's client, or what the handler names.
func matters(name, handler string) bool {
	for _, part := range []string{"aws-lambda-java-runtime-interface-client", "AWSLambda.class", "aws_lambda_ric", "Amazon.Lambda.RuntimeSupport.dll"} {
		if strings.Contains(name, part) {
			return len(name) < 512
		}
	}
	return name == handler || name == handler+".dll"
}
