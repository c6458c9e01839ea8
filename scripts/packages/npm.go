package main

import (
	"encoding/json"
	"strings"
)

// npm makes the package millstream, one for each platform that it takes the program of as an optional dependency, and
// @millstreamdb/testing, which depends on it.
func (r release) npm(all []built) error {
	version := r.numbered("-")
	base := func(name string) map[string]any {
		return map[string]any{"name": name, "version": version, "description": description, "license": license,
			"repository": map[string]string{"type": "git", "url": "git+" + homepage + ".git"}}
	}
	pack := func(description map[string]any, files ...file) error {
		body, err := json.MarshalIndent(description, "", "  ")
		must(err)
		files = append([]file{{name: "package.json", mode: 0o644, body: append(body, '\n')}}, files...)
		for i := range files {
			files[i].name = "package/" + files[i].name
		}
		name := strings.NewReplacer("@", "", "/", "-").Replace(description["name"].(string))
		return r.write(name+"-"+version+".tgz", tarball(false, files...))
	}
	text := func(name, from string) file { return file{name: name, mode: 0o644, body: r.read(from)} }
	programs := map[string]string{}
	for _, b := range all {
		name := "@millstreamdb/" + b.npm
		programs[name] = version
		d := base(name)
		os, cpu, _ := strings.Cut(b.npm, "-")
		d["os"], d["cpu"], d["preferUnplugged"] = []string{os}, []string{cpu}, true
		if err := pack(d, file{name: "bin/millstream", mode: 0o755, body: b.program}, text("LICENSE", "LICENSE")); err != nil {
			return err
		}
	}
	d := base("millstream")
	d["bin"], d["main"], d["engines"] = map[string]string{"millstream": "bin/millstream.cjs"}, "index.cjs", map[string]string{"node": ">=18"}
	d["optionalDependencies"] = programs
	err := pack(d, text("README.md", "README.md"), text("LICENSE", "LICENSE"),
		file{name: "index.cjs", mode: 0o644, body: []byte(npmIndex)}, file{name: "bin/millstream.cjs", mode: 0o755, body: []byte(npmProgram)})
	if err != nil {
		return err
	}
	var testing map[string]any
	if err := json.Unmarshal(r.read("helpers/npm/package.json"), &testing); err != nil {
		return err
	}
	testing["version"], testing["dependencies"] = version, map[string]string{"millstream": version}
	return pack(testing, text("index.cjs", "helpers/npm/index.cjs"), text("index.d.ts", "helpers/npm/index.d.ts"), text("README.md", "helpers/npm/README.md"), text("LICENSE", "LICENSE"))
}

// npmIndex tells where the program is.
const npmIndex = `'use strict';

// program is the path of the program for this machine.
exports.program = () => {
  const name = ` + "`@millstreamdb/${process.platform}-${process.arch}`" + `;
  try {
    return require.resolve(name + '/bin/millstream');
  } catch {
    throw new Error(
      'millstream: the package ' + name + ' is not installed. It comes with millstream as an optional dependency, for Linux and macOS on x64 and arm64: ' +
        'install millstream again without --no-optional, and not on another machine than this one.',
    );
  }
};
`

// npmProgram runs it: with this process's input and output, by its signals, to its end.
const npmProgram = `#!/usr/bin/env node
'use strict';

const { spawn } = require('node:child_process');
const { program } = require('../index.cjs');

let child;
try {
  child = spawn(program(), process.argv.slice(2), { stdio: 'inherit' });
} catch (err) {
  console.error(err.message);
  process.exit(1);
}
child.on('error', (err) => {
  console.error('millstream: ' + err.message);
  process.exit(1);
});
// A terminal sends Ctrl-C to both; other signals come here only.
process.on('SIGINT', () => {});
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  if (!signal) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
`
