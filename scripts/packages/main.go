// Command packages makes, of the programs that scripts/release.sh has built, what people install: packages for npm, wheels for
// PyPI, Debian packages and an OCI image. It needs no tool but itself, and the same programs give the same bytes.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// platform is one that there are programs for, in everybody's words. Empty: there is no such package.
type platform struct{ os, arch, npm, wheel, debian string }

var platforms = []platform{
	// The program is static: it asks nothing of a C library.
	{"linux", "amd64", "linux-x64", "manylinux2014_x86_64.musllinux_1_1_x86_64", "amd64"},
	{"linux", "arm64", "linux-arm64", "manylinux2014_aarch64.musllinux_1_1_aarch64", "arm64"},
	{"darwin", "amd64", "darwin-x64", "macosx_12_0_x86_64", ""},
	{"darwin", "arm64", "darwin-arm64", "macosx_12_0_arm64", ""},
}

// release is what is packed.
type release struct {
	version  string // 1.2.3, or what stands before it in the way of each kind of package
	source   string // the repository's folder
	programs string // programs/OS_ARCH/millstream
	out      string
}

func main() {
	var r release
	flag.StringVar(&r.version, "version", "", "version, such as v0.1.0 or a commit")
	flag.StringVar(&r.source, "source", ".", "the repository")
	flag.StringVar(&r.programs, "programs", "", "folder with OS_ARCH/millstream")
	flag.StringVar(&r.out, "out", "dist", "where the packages are put")
	flag.Parse()
	if err := r.make(); err != nil {
		fmt.Fprintln(os.Stderr, "packages:", err)
		os.Exit(1)
	}
}

func (r release) make() error {
	for _, of := range []func(release, []built) error{release.npm, release.wheels, release.debian, release.oci} {
		all, err := r.built()
		if err != nil {
			return err
		}
		if err := of(r, all); err != nil {
			return err
		}
	}
	return nil
}

// built is a platform with its program.
type built struct {
	platform
	program []byte
}

func (r release) built() (all []built, err error) {
	for _, p := range platforms {
		program, err := os.ReadFile(filepath.Join(r.programs, p.os+"_"+p.arch, "millstream"))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, built{p, program})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no program in %s", r.programs)
	}
	return all, nil
}

var (
	released = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)$`)
	odd      = regexp.MustCompile(`[^0-9A-Za-z]+`)
)

// numbered is the version, with what joins a text to 0.0.0 where it is none of a release: by itself such a package is older than
// any release.
func (r release) numbered(join string) string {
	if m := released.FindStringSubmatch(r.version); m != nil {
		return m[1]
	}
	text := strings.Trim(odd.ReplaceAllString(r.version, "."), ".")
	if text == "" || text[0] <= '9' { // a commit, as git describe would write it
		text = "g" + text
	}
	return "0.0.0" + join + text
}

func (r release) read(name string) []byte {
	b, err := os.ReadFile(filepath.Join(r.source, filepath.FromSlash(name)))
	if err != nil {
		panic(err) // the repository is not whole
	}
	return b
}

func (r release) write(name string, b []byte) error {
	fmt.Println(name)
	return os.WriteFile(filepath.Join(r.out, name), b, 0o644)
}

const (
	homepage    = "https://github.com/millstreamdb/millstream"
	description = "DynamoDB-compatible tables, ordered change streams and Lambda-compatible functions in one program"
	license     = "Apache-2.0"
)
