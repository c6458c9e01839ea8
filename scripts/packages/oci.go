package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"compress/gzip"
)

// nobody is the user of the image, as distroless has it.
const nobody = 65532

type object = map[string]any

// oci makes an image in the OCI's layout, as one archive for all architectures of Linux: `skopeo copy oci-archive:FILE`,
// `podman load` and `docker load` (25 and later) read it. It has the program and nothing else.
func (r release) oci(all []built) error {
	var files []file
	blob := func(kind string, body []byte) object {
		digest := fmt.Sprintf("%x", sha256.Sum256(body))
		files = append(files, file{name: "blobs/sha256/" + digest, mode: 0o644, body: body})
		return object{"mediaType": kind, "digest": "sha256:" + digest, "size": len(body)}
	}
	document := func(v any) []byte {
		body, err := json.Marshal(v)
		must(err)
		return body
	}
	var manifests []object
	for _, b := range all {
		if b.os != "linux" {
			continue
		}
		root := []file{
			{name: "data/", mode: 0o700, owner: nobody},
			{name: "etc/passwd", mode: 0o644, body: fmt.Appendf(nil, "root:x:0:0:root:/:/none\nmillstream:x:%d:%d:millstream:/data:/none\n", nobody, nobody)},
			{name: "etc/group", mode: 0o644, body: fmt.Appendf(nil, "root:x:0:\nmillstream:x:%d:\n", nobody)},
			{name: "millstream", mode: 0o755, body: b.program},
			{name: "tmp/", mode: 0o1777},
		}
		// Queues, topics and buckets elsewhere are called over TLS, by the authorities that the building machine knows.
		if authorities, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt"); err == nil {
			root = append(root, file{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, body: authorities})
		}
		layer := tarball(true, root...)
		plain, err := gzip.NewReader(bytes.NewReader(layer))
		must(err)
		sum := sha256.New()
		_, err = io.Copy(sum, plain)
		must(err)
		packed := blob("application/vnd.oci.image.layer.v1.tar+gzip", layer)
		config := blob("application/vnd.oci.image.config.v1+json", document(object{
			"architecture": b.arch, "os": b.os, "created": made,
			"config": object{
				"User": fmt.Sprintf("%d:%d", nobody, nobody), "Entrypoint": []string{"/millstream"}, "WorkingDir": "/data",
				// A container's port is reached from outside its loopback; see the Dockerfile.
				"Cmd": []string{"serve", "--listen", "0.0.0.0:8000", "--insecure-listen"},
				"Env": []string{"MILLSTREAM_DATA=/data"}, "ExposedPorts": object{"8000/tcp": object{}}, "Volumes": object{"/data": object{}},
				"Labels": object{"org.opencontainers.image.version": r.version, "org.opencontainers.image.source": homepage, "org.opencontainers.image.licenses": license},
			},
			"rootfs": object{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sum.Sum(nil))}},
		}))
		manifest := blob("application/vnd.oci.image.manifest.v1+json", document(object{
			"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": []object{packed},
		}))
		manifest["platform"] = object{"os": b.os, "architecture": b.arch}
		manifests = append(manifests, manifest)
	}
	if len(manifests) == 0 {
		return nil
	}
	index := blob("application/vnd.oci.image.index.v1+json", document(object{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests,
	}))
	index["annotations"] = object{"org.opencontainers.image.ref.name": r.numbered("-"), "io.containerd.image.name": "millstream:" + r.numbered("-")}
	files = append(files,
		file{name: "index.json", mode: 0o644, body: document(object{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []object{index}})},
		file{name: "oci-layout", mode: 0o644, body: []byte(`{"imageLayoutVersion":"1.0.0"}`)})
	var out bytes.Buffer
	w := tar.NewWriter(&out) // its layers are compressed already
	for _, f := range files {
		must(w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.body)), ModTime: made, Format: tar.FormatUSTAR}))
		_, err := w.Write(f.body)
		must(err)
	}
	must(w.Close())
	return r.write("millstream_"+r.numbered("-")+"_oci.tar", out.Bytes())
}
