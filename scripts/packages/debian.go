package main

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"strings"
)

// debian makes a package for each architecture of Linux: the program, and a service of its own user that is not started before
// somebody asks for it, since who reaches its port can run programs.
func (r release) debian(all []built) error {
	version := r.numbered("~")
	unit := strings.ReplaceAll(string(r.read("docs/operators/millstream.service")), "/usr/local/bin/millstream", "/usr/bin/millstream")
	for _, b := range all {
		if b.debian == "" {
			continue
		}
		files := []file{
			{name: "./usr/bin/millstream", mode: 0o755, body: b.program},
			{name: "./usr/lib/systemd/system/millstream.service", mode: 0o644, body: []byte(unit)},
			{name: "./usr/share/doc/millstream/README.md", mode: 0o644, body: r.read("README.md")},
			{name: "./usr/share/doc/millstream/changelog.gz", mode: 0o644, body: zipped(r.read("CHANGELOG.md"))},
			{name: "./usr/share/doc/millstream/copyright", mode: 0o644, body: append([]byte("Source: "+homepage+"\nLicense: "+license+"\n\n"), r.read("LICENSE")...)},
		}
		sums, size := "", 0
		for _, f := range files {
			sums += fmt.Sprintf("%x  %s\n", md5.Sum(f.body), strings.TrimPrefix(f.name, "./"))
			size += len(f.body)
		}
		control := fmt.Sprintf("Package: millstream\nVersion: %s\nArchitecture: %s\nMaintainer: Millstream <millstream@users.noreply.github.com>\nInstalled-Size: %d\nDepends: adduser\nSection: database\nPriority: optional\nHomepage: %s\nDescription: %s\n One port for tables, their streams, and functions that are called by them.\n Its data lies in /var/lib/millstream. Settings go into /etc/millstream.env.\n Begin with: systemctl enable --now millstream\n",
			version, b.debian, (size+1023)/1024, homepage, description)
		var out bytes.Buffer
		out.WriteString("!<arch>\n")
		member(&out, "debian-binary", []byte("2.0\n"))
		member(&out, "control.tar.gz", tarball(true, file{name: "./control", mode: 0o644, body: []byte(control)}, file{name: "./md5sums", mode: 0o644, body: []byte(sums)},
			file{name: "./postinst", mode: 0o755, body: []byte(postinst)}, file{name: "./prerm", mode: 0o755, body: []byte(prerm)}, file{name: "./postrm", mode: 0o755, body: []byte(postrm)}))
		member(&out, "data.tar.gz", tarball(true, files...))
		if err := r.write(fmt.Sprintf("millstream_%s_%s.deb", version, b.debian), out.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// member adds a file to an ar archive.
func member(out *bytes.Buffer, name string, body []byte) {
	fmt.Fprintf(out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, made.Unix(), 0, 0, "100644", len(body))
	out.Write(body)
	if len(body)%2 == 1 {
		out.WriteByte('\n')
	}
}

// What is done with a service that runs is systemd's; where there is none, nothing is.
const (
	postinst = `#!/bin/sh
set -e
if [ "$1" = configure ]; then
	adduser --quiet --system --group --no-create-home --home /var/lib/millstream millstream
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload
		systemctl try-restart millstream.service
	fi
fi
`
	prerm = `#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
	systemctl disable --now millstream.service
fi
`
	// The data stays, also when the package is purged: only a person removes a database.
	postrm = `#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
if [ "$1" = purge ] && [ -d /var/lib/millstream ]; then
	echo "The data in /var/lib/millstream is left: remove it by hand when it is not wanted." >&2
fi
`
)
