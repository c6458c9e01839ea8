package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
)

// wheels makes one for each platform, whose script is the program, and one of the pytest plugin, which depends on it.
func (r release) wheels(all []built) error {
	version := r.numbered(".dev0+")
	for _, b := range all {
		meta := fmt.Sprintf("Metadata-Version: 2.1\nName: millstream\nVersion: %s\nSummary: %s\nHome-page: %s\nLicense: %s\nRequires-Python: >=3.8\nDescription-Content-Type: text/markdown\n\n%s",
			version, description, homepage, license, r.read("README.md"))
		var tags []string
		for _, one := range strings.Split(b.wheel, ".") {
			tags = append(tags, "py3-none-"+one)
		}
		w := wheel{name: "millstream", version: version, tags: tags, metadata: meta}
		w.files = []file{{name: "millstream-" + version + ".data/scripts/millstream", mode: 0o755, body: b.program}, {name: w.info("licenses/LICENSE"), mode: 0o644, body: r.read("LICENSE")}}
		if err := r.write(fmt.Sprintf("millstream-%s-py3-none-%s.whl", version, b.wheel), w.bytes(false)); err != nil {
			return err
		}
	}
	project := string(r.read("helpers/pytest/pyproject.toml"))
	summary := regexp.MustCompile(`(?m)^description = "(.*)"$`).FindStringSubmatch(project)[1]
	meta := fmt.Sprintf("Metadata-Version: 2.1\nName: pytest-millstream\nVersion: %s\nSummary: %s\nHome-page: %s\nLicense: %s\nClassifier: Framework :: Pytest\nRequires-Python: >=3.9\nRequires-Dist: millstream (==%s)\nRequires-Dist: pytest\nDescription-Content-Type: text/markdown\n\n%s",
		version, summary, homepage, license, version, r.read("helpers/pytest/README.md"))
	w := wheel{name: "pytest_millstream", version: version, tags: []string{"py3-none-any"}, metadata: meta}
	w.files = []file{{name: "pytest_millstream.py", mode: 0o644, body: r.read("helpers/pytest/pytest_millstream.py")},
		{name: w.info("entry_points.txt"), mode: 0o644, body: []byte("[pytest11]\nmillstream = pytest_millstream\n")}, {name: w.info("licenses/LICENSE"), mode: 0o644, body: r.read("LICENSE")}}
	return r.write(fmt.Sprintf("pytest_millstream-%s-py3-none-any.whl", version), w.bytes(true))
}

// wheel is one in the making (PEP 427).
type wheel struct {
	name, version string
	tags          []string
	metadata      string
	files         []file
}

func (w *wheel) info(name string) string { return w.name + "-" + w.version + ".dist-info/" + name }

// bytes are the wheel's; pure: it has no program.
func (w *wheel) bytes(pure bool) []byte {
	about := fmt.Sprintf("Wheel-Version: 1.0\nGenerator: millstream\nRoot-Is-Purelib: %t\n", pure)
	for _, tag := range w.tags {
		about += "Tag: " + tag + "\n"
	}
	files := append(w.files, file{name: w.info("METADATA"), mode: 0o644, body: []byte(w.metadata)}, file{name: w.info("WHEEL"), mode: 0o644, body: []byte(about)})
	record := ""
	for _, f := range files {
		sum := sha256.Sum256(f.body)
		record += fmt.Sprintf("%s,sha256=%s,%d\n", f.name, base64.RawURLEncoding.EncodeToString(sum[:]), len(f.body))
	}
	record += w.info("RECORD") + ",,\n"
	files = append(files, file{name: w.info("RECORD"), mode: 0o644, body: []byte(record)})
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: made, ExternalAttrs: uint32(0o100000|f.mode) << 16, CreatorVersion: 3 << 8}
		to, err := z.CreateHeader(h)
		must(err)
		_, err = to.Write(f.body)
		must(err)
	}
	must(z.Close())
	return out.Bytes()
}
