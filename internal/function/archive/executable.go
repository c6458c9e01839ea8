package archive

import (
	"debug/elf"
	"debug/macho"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// ForeignError says that an executable cannot run on this machine, and the cure.
type ForeignError struct {
	Name  string // file name
	Built string // such as "linux/arm64", or what the file seems to be
}

func (e *ForeignError) Error() string {
	here := runtime.GOOS + "/" + runtime.GOARCH
	return fmt.Sprintf("%s is built for %s, this machine is %s: build with GOOS=%s GOARCH=%s", e.Name, e.Built, here, runtime.GOOS, runtime.GOARCH)
}

// CheckBootstrap checks that the bootstrap of an unpacked package is a script or
// an executable for this machine. A missing or non-executable one is no error
// here: AWS finds that out at the first invocation.
func CheckBootstrap(dir string) error {
	name := filepath.Join(dir, "bootstrap")
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil
	}
	built, err := builtFor(f)
	if err != nil {
		return fmt.Errorf("archive: bootstrap: %w", err)
	}
	if built == "" || built == runtime.GOOS+"/"+runtime.GOARCH {
		return nil
	}
	return &ForeignError{Name: "bootstrap", Built: built}
}

// builtFor returns GOOS/GOARCH of an executable, "" for a script and whatever
// names any other content best.
func builtFor(f *os.File) (string, error) {
	var head [4]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	switch magic := string(head[:n]); {
	case n >= 2 && magic[:2] == "#!":
		return "", nil
	case magic == elf.ELFMAG:
		return elfTarget(f), nil
	case n >= 2 && magic[:2] == "MZ":
		return "windows", nil
	}
	if t := machoTarget(f); t != "" {
		return t, nil
	}
	return "no machine (neither an executable nor a script that begins with #!)", nil
}

func elfTarget(r io.ReaderAt) string {
	f, err := elf.NewFile(r)
	if err != nil {
		return "no machine (a damaged ELF file)"
	}
	defer f.Close()
	arch := map[elf.Machine]string{
		elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm",
		elf.EM_RISCV: "riscv64", elf.EM_PPC64: "ppc64le", elf.EM_S390: "s390x", elf.EM_LOONGARCH: "loong64",
	}[f.Machine]
	if arch == "" {
		arch = f.Machine.String()
	}
	system := "linux"
	switch f.OSABI {
	case elf.ELFOSABI_FREEBSD:
		system = "freebsd"
	case elf.ELFOSABI_NETBSD:
		system = "netbsd"
	case elf.ELFOSABI_OPENBSD:
		system = "openbsd"
	}
	return system + "/" + arch
}

var machoArch = map[macho.Cpu]string{macho.CpuAmd64: "amd64", macho.CpuArm64: "arm64"}

// machoTarget returns "" for what is no Mach-O file. A universal one counts as
// built for this machine when it has a part for it.
func machoTarget(r io.ReaderAt) string {
	if f, err := macho.NewFile(r); err == nil {
		defer f.Close()
		return "darwin/" + machoArch[f.Cpu]
	}
	fat, err := macho.NewFatFile(r)
	if err != nil {
		return ""
	}
	defer fat.Close()
	target := "darwin"
	for _, a := range fat.Arches {
		target = "darwin/" + machoArch[a.Cpu]
		if runtime.GOOS == "darwin" && machoArch[a.Cpu] == runtime.GOARCH {
			break
		}
	}
	return target
}
