package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"strings"
	"time"
)

// made is the time of every file: packages of the same content have the same bytes.
var made = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// file is one in a package. A name that ends in / is a folder.
type file struct {
	name  string
	mode  int64
	body  []byte
	owner int
}

// tarball packs files, with the folders above them when deep is set.
func tarball(deep bool, files ...file) []byte {
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	seen := map[string]bool{}
	add := func(f file) {
		h := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.body)), Uid: f.owner, Gid: f.owner, ModTime: made, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if strings.HasSuffix(f.name, "/") {
			h.Typeflag = tar.TypeDir
			seen[f.name] = true
		}
		must(w.WriteHeader(h))
		_, err := w.Write(f.body)
		must(err)
	}
	for _, f := range files {
		for i := 0; deep && i < len(f.name)-1; i++ {
			if above := f.name[:i+1]; strings.HasSuffix(above, "/") && above != "./" && !seen[above] {
				add(file{name: above, mode: 0o755})
			}
		}
		add(f)
	}
	must(w.Close())
	return zipped(plain.Bytes())
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	must(err)
	must(w.Close())
	return out.Bytes()
}

// must is for errors of writers into memory, which have none.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
