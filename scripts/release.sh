#!/usr/bin/env bash
# Cross-compiles the release artefacts into dist/: one archive for each of Linux
# and macOS on amd64 and arm64, and their checksums. The version is the tag, or
# the commit, that is checked out; VERSION overrides it.
set -euo pipefail
cd "$(dirname "$0")/.."

version="${VERSION:-$(git describe --tags --always --dirty)}"
dist=dist
shipped=(LICENSE README.md CHANGELOG.md SECURITY.md CONTRIBUTING.md docs helpers examples test/README.md)
rm -rf "$dist"
mkdir -p "$dist"

for os in linux darwin; do
	for arch in amd64 arm64; do
		name="millstream_${version}_${os}_${arch}"
		mkdir "$dist/$name"
		echo "$name"
		CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=false \
			-ldflags "-s -w -X main.version=$version" -o "$dist/$name/millstream" ./cmd/millstream
		# What README.md links to is there, too (TestReleaseHoldsWhatTheFirstPageLinksTo).
		git archive HEAD "${shipped[@]}" | tar -x -C "$dist/$name"
		tar -C "$dist" -czf "$dist/$name.tar.gz" "$name"
		rm -r "${dist:?}/$name"
	done
done
if command -v sha256sum >/dev/null; then sum="sha256sum"; else sum="shasum -a 256"; fi
(cd "$dist" && $sum ./*.tar.gz >SHA256SUMS && cat SHA256SUMS)
