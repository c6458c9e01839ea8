package dev

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// checkLimit bounds how long one file may take to be looked at.
const checkLimit = 10 * time.Second

// pythonSyntax tells whether a file is Python, without running it.
const pythonSyntax = `
import ast, sys
try:
    ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])
except SyntaxError as err:
    sys.exit("%s:%s: %s\n%s" % (err.filename, err.lineno, err.msg, err.text or ""))
`

// SyntaxErrors looks at files in JavaScript and Python, and returns what is wrong with those whose syntax is, in words of
// the language's own program. A file whose program is not on this machine, or that is gone, passes.
func SyntaxErrors(ctx context.Context, files []string) (problems []string) {
	for _, file := range files {
		var name string
		var args []string
		switch filepath.Ext(file) {
		case ".js", ".cjs", ".mjs":
			name, args = "node", []string{"--check", file}
		case ".py":
			name, args = "python3", []string{"-c", pythonSyntax, file}
		default:
			continue
		}
		if text, bad := syntaxError(ctx, name, args); bad {
			problems = append(problems, text)
		}
	}
	return problems
}

func syntaxError(ctx context.Context, name string, args []string) (text string, bad bool) {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	text = strings.TrimSpace(string(out))
	// Only what the program itself says about the syntax counts: not its absence, and not a file that has gone.
	return text, err != nil && ctx.Err() == nil && (strings.Contains(text, "SyntaxError") || name == "python3" && strings.HasPrefix(text, args[len(args)-1]+":"))
}

// Debugs reports whether a function is the one that is to be debugged: it is named, or is what a template has made of
// that name (STACK-NAME or STACK-NAME-...). The server takes it the same way.
func Debugs(debug, function string) bool {
	return function == debug || strings.HasSuffix(function, "-"+debug) || strings.Contains(function, "-"+debug+"-")
}
