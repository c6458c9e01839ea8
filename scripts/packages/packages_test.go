package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// packed makes all packages of a program that says what it was called with.
func packed(t *testing.T, version string) string {
	t.Helper()
	programs, out := t.TempDir(), t.TempDir()
	for _, p := range platforms {
		dir := filepath.Join(programs, p.os+"_"+p.arch)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "millstream"), []byte("#!/bin/sh\necho called "+p.npm+": \"$@\"\nexit 3\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := (release{version: version, source: "../..", programs: programs, out: out}).make(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestNames(t *testing.T) {
	for version, want := range map[string]string{
		"v0.1.0": "millstream-0.1.0.tgz millstream-0.1.0-py3-none-macosx_12_0_arm64.whl pytest_millstream-0.1.0-py3-none-any.whl millstream_0.1.0_amd64.deb millstream_0.1.0_oci.tar millstreamdb-linux-x64-0.1.0.tgz",
		"v0.1.0-3-gabc-dirty": "millstream-0.0.0-v0.1.0.3.gabc.dirty.tgz millstream-0.0.0.dev0+v0.1.0.3.gabc.dirty-py3-none-macosx_12_0_arm64.whl " +
			"millstream_0.0.0~v0.1.0.3.gabc.dirty_arm64.deb millstreamdb-testing-0.0.0-v0.1.0.3.gabc.dirty.tgz",
		"0123456": "millstream-0.0.0-g0123456.tgz", // npm takes no number that begins with 0
	} {
		dir := packed(t, version)
		for _, name := range strings.Fields(want) {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
		}
	}
}

// The same programs give the same bytes.
func TestSameBytes(t *testing.T) {
	a, b := packed(t, "v1.2.3"), packed(t, "v1.2.3")
	names, err := os.ReadDir(a)
	if err != nil || len(names) != 6+5+2+1 {
		t.Fatalf("%d packages: %v", len(names), err)
	}
	for _, name := range names {
		if !bytes.Equal(read(t, a, name.Name()), read(t, b, name.Name())) {
			t.Errorf("%s differs", name.Name())
		}
	}
}

func read(t *testing.T, at ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(at...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// untar reads an archive, compressed or not: its files by name, with their modes.
func untar(t *testing.T, b []byte) (bodies map[string]string, modes map[string]int64) {
	t.Helper()
	if z, err := gzip.NewReader(bytes.NewReader(b)); err == nil {
		if b, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	bodies, modes = map[string]string{}, map[string]int64{}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return bodies, modes
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		bodies[h.Name], modes[h.Name] = string(body), h.Mode
	}
}

func TestWheels(t *testing.T) {
	dir := packed(t, "v1.2.3")
	names, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(names) != 5 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		z, err := zip.OpenReader(name)
		if err != nil {
			t.Fatal(err)
		}
		bodies := map[string]string{}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if bodies[f.Name] = string(body); strings.HasSuffix(f.Name, "/scripts/millstream") && f.Mode() != 0o755 {
				t.Errorf("%s: the program's mode is %v", name, f.Mode())
			}
		}
		_ = z.Close()
		record := ""
		for name, body := range bodies {
			if strings.HasSuffix(name, "/RECORD") {
				record = body
			}
		}
		lines := strings.Split(strings.TrimSpace(record), "\n")
		if len(lines) != len(bodies) {
			t.Errorf("%s: %d files, and %d are recorded", name, len(bodies), len(lines))
		}
		for _, line := range lines {
			part := strings.Split(line, ",")
			sum := sha256.Sum256([]byte(bodies[part[0]]))
			if part[1] != "" && (part[1] != "sha256="+base64.RawURLEncoding.EncodeToString(sum[:]) || part[2] != strconv.Itoa(len(bodies[part[0]]))) {
				t.Errorf("%s: %s is recorded wrongly", name, part[0])
			}
		}
	}
}

func TestDebianPackage(t *testing.T) {
	dir := packed(t, "v1.2.3")
	b := read(t, dir, "millstream_1.2.3_amd64.deb")
	members := map[string][]byte{}
	for at := len("!<arch>\n"); at < len(b); {
		head := string(b[at : at+60])
		size, err := strconv.Atoi(strings.TrimSpace(head[48:58]))
		if err != nil || head[58:] != "`\n" {
			t.Fatalf("%q: %v", head, err)
		}
		members[strings.TrimSpace(head[:16])] = b[at+60 : at+60+size]
		at += 60 + size + size%2
	}
	control, scripts := untar(t, members["control.tar.gz"])
	for _, want := range []string{"Package: millstream\n", "Version: 1.2.3\n", "Architecture: amd64\n", "Depends: adduser\n"} {
		if !strings.Contains(control["./control"], want) {
			t.Errorf("control lacks %q", want)
		}
	}
	for _, script := range []string{"./postinst", "./prerm", "./postrm"} {
		if scripts[script] != 0o755 || !strings.HasPrefix(control[script], "#!/bin/sh\nset -e\n") {
			t.Errorf("%s: %o %q", script, scripts[script], control[script])
		}
	}
	data, modes := untar(t, members["data.tar.gz"])
	if unit := data["./usr/lib/systemd/system/millstream.service"]; !strings.Contains(unit, "ExecStart=/usr/bin/millstream serve") || strings.Contains(unit, "/usr/local") {
		t.Errorf("the unit is %s", unit)
	}
	if modes["./usr/bin/millstream"] != 0o755 || modes["./usr/"] != 0o755 {
		t.Errorf("modes: %v", modes)
	}
	dpkg, err := exec.LookPath("dpkg-deb")
	if err != nil {
		return // looked at without it
	}
	if out, err := exec.Command(dpkg, "--extract", filepath.Join(dir, "millstream_1.2.3_amd64.deb"), filepath.Join(dir, "root")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := read(t, dir, "root/usr/bin/millstream"); !bytes.Contains(got, []byte("linux-x64")) {
		t.Errorf("dpkg-deb takes %q out", got)
	}
}

func TestNpmPackages(t *testing.T) {
	dir := packed(t, "v1.2.3")
	lay := func(name, at string) map[string]string {
		bodies, modes := untar(t, read(t, dir, name))
		for name, body := range bodies {
			path := filepath.Join(dir, "node_modules", at, strings.TrimPrefix(name, "package/"))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(body), os.FileMode(modes[name])); err != nil {
				t.Fatal(err)
			}
		}
		return bodies
	}
	main := lay("millstream-1.2.3.tgz", "millstream")
	var about struct {
		Version              string
		OptionalDependencies map[string]string
	}
	if err := json.Unmarshal([]byte(main["package/package.json"]), &about); err != nil || about.Version != "1.2.3" || len(about.OptionalDependencies) != 4 || about.OptionalDependencies["@millstreamdb/darwin-arm64"] != "1.2.3" {
		t.Errorf("%+v, %v", about, err)
	}
	testing := lay("millstreamdb-testing-1.2.3.tgz", "@millstreamdb/testing")
	if !strings.Contains(testing["package/package.json"], `"millstream": "1.2.3"`) || testing["package/index.cjs"] == "" {
		t.Errorf("the helper's package is %v", testing["package/package.json"])
	}
	node, err := exec.LookPath("node")
	cpu := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if err != nil || cpu == "" || runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("node is not installed, or this is another machine")
	}
	run := func() string {
		out, err := exec.Command(node, filepath.Join(dir, "node_modules/millstream/bin/millstream.cjs"), "demo", "a b").CombinedOutput()
		return fmt.Sprint(string(out), err)
	}
	if got := run(); !strings.Contains(got, "is not installed. It comes with millstream") || !strings.HasSuffix(got, "exit status 1") {
		t.Errorf("without the program's package: %s", got)
	}
	here := runtime.GOOS + "-" + cpu
	lay("millstreamdb-"+here+"-1.2.3.tgz", "@millstreamdb/"+here)
	if got := run(); got != "called "+here+": demo a b\nexit status 3" {
		t.Errorf("%q", got)
	}
}

// Everything that the image's documents name is there, and is what they say.
func TestImage(t *testing.T) {
	files, _ := untar(t, read(t, packed(t, "v1.2.3"), "millstream_1.2.3_oci.tar"))
	type named struct {
		MediaType, Digest string
		Size              int
		Platform          struct{ OS, Architecture string }
	}
	blob := func(n named, into any) []byte {
		t.Helper()
		body := files["blobs/"+strings.Replace(n.Digest, ":", "/", 1)]
		if got := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(body))); got != n.Digest || len(body) != n.Size {
			t.Fatalf("%s has %d bytes of %s", n.Digest, len(body), got)
		}
		if into != nil {
			if err := json.Unmarshal([]byte(body), into); err != nil {
				t.Fatal(err)
			}
		}
		return []byte(body)
	}
	var index struct{ Manifests []named }
	if err := json.Unmarshal([]byte(files["index.json"]), &index); err != nil || len(index.Manifests) != 1 || files["oci-layout"] == "" {
		t.Fatal(files["index.json"], err)
	}
	all := index
	blob(index.Manifests[0], &all)
	if len(all.Manifests) != 2 {
		t.Fatalf("%+v", all)
	}
	for _, one := range all.Manifests {
		var manifest struct {
			Config named
			Layers []named
		}
		blob(one, &manifest)
		var config struct {
			Architecture string
			Config       struct{ User string }
			Rootfs       struct {
				DiffIDs []string `json:"diff_ids"`
			}
		}
		blob(manifest.Config, &config)
		layer := blob(manifest.Layers[0], nil)
		z, err := gzip.NewReader(bytes.NewReader(layer))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("sha256:%x", sha256.Sum256(plain)); config.Rootfs.DiffIDs[0] != got || config.Architecture != one.Platform.Architecture || config.Config.User != "65532:65532" {
			t.Errorf("%+v of %s, %s", config, one.Platform.Architecture, got)
		}
		if root, modes := untar(t, layer); modes["millstream"] != 0o755 || !strings.Contains(root["millstream"], "called linux") || modes["tmp/"] != 0o1777 {
			t.Errorf("the image holds %v", modes)
		}
	}
}
