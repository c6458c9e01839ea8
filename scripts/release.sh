#!/usr/bin/env bash
# Makes the release artefacts in dist/, with their checksums: an archive for each of Linux and macOS on amd64 and arm64, and of
# the same programs packages for npm, PyPI and Debian and an OCI image (scripts/packages). The version is the tag, or
# the commit, that is checked out; VERSION overrides it. PLATFORMS, such as linux/amd64, makes fewer; DIST is another folder.
set -euo pipefail
cd "$(dirname "$0")/.."

version="${VERSION:-$(git describe --tags --always --dirty)}"
dist="${DIST:-dist}"
shipped=(LICENSE README.md CHANGELOG.md SECURITY.md CONTRIBUTING.md docs helpers examples test/README.md)
rm -rf "$dist"
mkdir -p "$dist/programs"

for platform in ${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64}; do
	os="${platform%/*}" arch="${platform#*/}"
	name="millstream_${version}_${os}_${arch}"
	mkdir "$dist/$name"
	echo "$name"
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=false \
		-ldflags "-s -w -X main.version=$version" -o "$dist/programs/${os}_$arch/millstream" ./cmd/millstream
	cp "$dist/programs/${os}_$arch/millstream" "$dist/$name/"
	# What README.md links to is there, too (TestReleaseHoldsWhatTheFirstPageLinksTo).
	git archive HEAD "${shipped[@]}" | tar -x -C "$dist/$name"
	tar -C "$dist" -czf "$dist/$name.tar.gz" "$name"
	rm -r "${dist:?}/$name"
done
go run ./scripts/packages -version "$version" -programs "$dist/programs" -out "$dist"
rm -r "${dist:?}/programs"
if command -v sha256sum >/dev/null; then sum="sha256sum"; else sum="shasum -a 256"; fi
(cd "$dist" && find . -type f ! -name SHA256SUMS | sort | xargs $sum >SHA256SUMS && cat SHA256SUMS)
