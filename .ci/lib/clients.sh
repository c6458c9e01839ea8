# Steps that look at the program through clients that others wrote.

# conformance runs the acceptance suite strictly: what the target lacks fails.
# Arguments go to go test.
conformance() {
	local report="$work/conformance-report"
	: >"$report"
	(cd test/conformance && CONFORMANCE_REPORT="$report" CONFORMANCE_STRICT=1 go test -count=1 "$@")
	local status=$?
	cat "$report"
	return $status
}

# race_server runs it against a server under the race detector.
race_server() {
	go build -race -o "$work/millstream-race" ./cmd/millstream &&
		MILLSTREAM_BIN="$work/millstream-race" conformance ./tables ./streams ./triggers
}

# closed_conformance runs it with signatures, TLS and the sandbox, against a server that it does not start itself.
closed_conformance() {
	local folder="$work/closed-conformance" report="$work/closed-report" server status endpoint=""
	mkdir -p "$folder" && (umask 077 && echo "a secret of the suite" >"$folder/secret") || return 1
	"$work/millstream" serve --data "$folder/data" --durability none --auth on --root-access-key-id conformance --root-secret-access-key-file "$folder/secret" \
		--tls-self-signed --isolation sandbox --listen 127.0.0.1:0 --http-listen 127.0.0.1:0 >"$folder/log" 2>&1 &
	server=$!
	for _ in $(seq 300); do
		endpoint="$(grep -oE -m 1 'https://127\.0\.0\.1:[0-9]+' "$folder/log")" && break
		sleep 0.1
	done
	[ -n "$endpoint" ] || { cat "$folder/log"; return 1; }
	: >"$report"
	(cd test/conformance && AWS_ACCESS_KEY_ID=conformance AWS_SECRET_ACCESS_KEY="a secret of the suite" SSL_CERT_FILE="$folder/data/tls/ca.pem" \
		CONFORMANCE_ENDPOINT="$endpoint" CONFORMANCE_TARGET=millstream CONFORMANCE_REPORT="$report" go test -count=1 -timeout 20m ./tables ./streams ./triggers)
	status=$?
	kill "$server"
	wait "$server" || status=1
	cat "$report"
	[ $status -eq 0 ] || { tail -n 20 "$folder/log"; return 1; }
	# Only a server that the suite has started can be started again by it.
	! grep UNSUPPORTED "$report" | grep -v TestIteratorsSurviveARestart
}

# sdks runs the tests of the JavaScript and Python SDKs, a stream reader of Node.js and
# moto's server of SQS, SNS and S3. They must be seen to have run.
sdks() {
	node_packages javascript && python_packages python || return 1
	local out="$work/sdk.out"
	SDKTEST_REQUIRE=1 SDKTEST_NODE_PATH="$work/javascript/node_modules" SDKTEST_PYTHON="$work/python/bin/python3" \
		go test -count=1 -v -skip '^TestKinesisClientLibrary$|^TestTools$' ./test/sdk/ >"$out" 2>&1
	local status=$?
	cat "$out"
	[ $status -eq 0 ] || return 1
	local test
	for test in TestJavaScript TestPython TestSigners TestDestinations TestNodeReader; do
		grep -q -- "^--- PASS: $test" "$out" || { echo "$test did not run"; return 1; }
	done
}

# all_sdks is sdks with what takes larger installations.
all_sdks() { sdks && kcl && function_tools_run; }

# test_helpers installs the helpers for tests in Node.js and Python as their users do, and
# runs their tests. They must be seen to have run.
test_helpers() {
	cp -R helpers "$work/helpers" && mkdir -p "$work/helpers-js" &&
		npm install --no-audit --no-fund --silent --install-links --prefix "$work/helpers-js" "$work/helpers/npm" &&
		(cd "$work/helpers-js" && node --input-type=module -e "import { start } from '@millstreamdb/testing'; await (await start()).stop()") &&
		(cd "$work/helpers/npm" && node --test --test-reporter=tap) >"$work/helpers.out" 2>&1
	local status=$?
	cat "$work/helpers.out"
	[ $status -eq 0 ] && grep -q '^# pass [1-9]' "$work/helpers.out" && grep -q '^# skipped 0' "$work/helpers.out" || return 1
	python_packages pytest &&
		"$work/pytest/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation "$work/helpers/pytest" &&
		mkdir -p "$work/helpers-test" && cp -R helpers/pytest/test_*.py helpers/pytest/testdata "$work/helpers-test" &&
		(cd "$work/helpers-test" && "$work/pytest/bin/python" -m pytest -q) >"$work/helpers.out" 2>&1
	status=$?
	cat "$work/helpers.out"
	[ $status -eq 0 ] && ! grep -q skipped "$work/helpers.out"
}

# client_rows runs the tables of handlers over AWS's own runtime clients for Node.js and Python.
client_rows() {
	local out="$work/rows.out"
	aws_clients && go test -count=1 -v -run 'ClientRows$' ./internal/function/process/ >"$out" 2>&1
	local status=$?
	grep -E '^ *--- (FAIL|SKIP)|^(ok|FAIL)' "$out"
	[ $status -eq 0 ] && grep -q -- '--- PASS: TestNodeClientRows' "$out" && grep -q -- '--- PASS: TestPythonClientRows' "$out" || { failures "$out"; return 1; }
}

# function_tools_run runs functions with Powertools, Middy, X-Ray's SDKs and OpenTelemetry around them.
function_tools_run() {
	local out="$work/tools.out"
	function_tools || return 1
	SDKTEST_REQUIRE=1 SDKTEST_TOOLS="$work/tools" go test -count=1 -v -run '^TestTools$' ./test/sdk/ >"$out" 2>&1
	local status=$?
	grep -E '^ *--- ' "$out"
	[ $status -eq 0 ] && grep -q -- '^--- PASS: TestTools' "$out" || { failures "$out"; return 1; }
}

# java_functions runs functions in Java on AWS's own client. It needs Java and Maven.
java_functions() {
	local out="$work/java.out"
	jars .ci/packages/java-client.xml "$work/java-client" || return 1
	MILLSTREAM_JAVA_CLIENT="$work/java-client" go test -count=1 -v -tags javaclient -run '^TestJavaClientRows$' ./internal/function/ >"$out" 2>&1
	local status=$?
	grep -E '^ *--- ' "$out"
	[ $status -eq 0 ] && grep -q -- '^--- PASS: TestJavaClientRows' "$out" || { failures "$out"; return 1; }
}

# ruby_functions runs functions in Ruby, on a stand-in for AWS's own client, which comes from no registry of ours.
ruby_functions() {
	local out="$work/ruby.out"
	ruby_program || return 1
	go test -count=1 -v -tags rubyclient -run '^TestRuby$' ./internal/function/ >"$out" 2>&1
	local status=$?
	grep -E '^ *--- ' "$out"
	[ $status -eq 0 ] && grep -q -- '^--- PASS: TestRuby' "$out" || { failures "$out"; return 1; }
}

# kcl runs a consumer of the Kinesis Client Library with its adapter for DynamoDB
# Streams. It needs Java and Maven.
kcl() {
	local out="$work/kcl.out"
	jars .ci/packages/kcl.xml "$work/kcl" || return 1
	SDKTEST_REQUIRE=1 SDKTEST_KCL="$work/kcl" go test -count=1 -v -run '^TestKinesisClientLibrary$' ./test/sdk/ >"$out" 2>&1
	local status=$?
	cat "$out"
	[ $status -eq 0 ] && grep -q -- '^--- PASS: TestKinesisClientLibrary' "$out"
}

# examples TESTS... runs tests of the applications of examples/, by go test's flags, with
# what they need. None may be skipped.
examples() {
	local out="$work/examples.out"
	node_packages javascript && python_packages python || return 1
	EXAMPLES_REQUIRE=1 EXAMPLES_NODE_PATH="$work/javascript/node_modules" EXAMPLES_PYTHON="$work/python/bin/python3" \
		EXAMPLES_OPENSEARCH="$work/opensearch" go test -count=1 -v "$@" ./test/examples/ >"$out" 2>&1
	local status=$?
	grep -vE '^=== (RUN|PAUSE|CONT|NAME)' "$out"
	[ $status -eq 0 ] && grep -q '^--- PASS' "$out" || return 1
	! grep -E '^\s*--- SKIP' "$out" || { echo "tests were skipped"; return 1; }
}

# installed_examples is examples for those that take a metrics store, PostgreSQL and
# OpenSearch. It needs Java and Maven.
installed_examples() {
	victoria_metrics && postgres && jars examples/search-and-warehouse/opensearch/pom.xml "$work/opensearch" && examples "$@"
}

# dev_cdk holds `millstream dev` to its time with what the CDK writes.
dev_cdk() { TIMES_STRICT=1 go test -count=1 -v -run '^TestDevCDK$' ./cmd/millstream | grep -vE '^=== '; }

# deploying deploys with the tools that people have. Arguments go to go test. None may be skipped.
deploying() {
	local out="$work/deploying.out"
	deploying_tools || return 1
	TOOLS_REQUIRE=1 go test -count=1 -v -timeout 30m -skip '^TestTerraform$' "$@" ./test/tools/ >"$out" 2>&1
	local status=$?
	grep -E '^ *--- |lines are printed after' "$out"
	[ $status -eq 0 ] && grep -q '^--- PASS' "$out" || { failures "$out"; return 1; }
	! grep -E '^\s*--- SKIP' "$out" || { echo "tests were skipped"; return 1; }
}

# in_root FOLDER PROGRAM... runs a program with a folder as its root, and /proc and /dev as a container has them, which are gone with it.
in_root() {
	mkdir -p "$1/proc" "$1/dev" &&
		unshare --mount --pid --fork sh -c 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && exec chroot "$@"' - "$@"
}

# installed_packages makes the packages of a release for this machine and installs each from its file, and runs it as its users do. Of the
# Debian package the service is looked at and not started; the image's program runs in the image's root folder.
installed_packages() {
	local dist="$work/dist" at="$work/installed" arch cpu unpacked
	case "$(uname -m)" in
	x86_64) arch=amd64 cpu=x64 ;;
	aarch64) arch=arm64 cpu=arm64 ;;
	*) echo "no packages are made for $(uname -m)"; return 1 ;;
	esac
	DIST="$dist" VERSION=v0.1.0 PLATFORMS="linux/$arch" scripts/release.sh && mkdir -p "$at/npm" "$at/debian" "$at/image" "$at/tests" || return 1
	echo "-- npm"
	(cd "$at/npm" && echo '{"private":true}' >package.json &&
		npm install --offline --no-audit --no-fund --silent "$dist/millstream-0.1.0.tgz" "$dist/millstreamdb-linux-$cpu-0.1.0.tgz" "$dist/millstreamdb-testing-0.1.0.tgz" &&
		npx --offline millstream demo &&
		MILLSTREAM_BIN= PATH="$(dirname "$(command -v node)")" node --input-type=module -e "import { start } from '@millstreamdb/testing'; await (await start()).stop()") || return 1
	echo "-- PyPI"
	python_packages pytest && "$work/pytest/bin/pip" install --quiet --disable-pip-version-check --no-index --no-deps "$dist"/*.whl &&
		"$work/pytest/bin/millstream" demo && cp -R helpers/pytest/testdata "$at/tests" &&
		printf 'def test_starts(millstream):\n    assert millstream.endpoint\n' >"$at/tests/test_installed.py" &&
		(cd "$at/tests" && MILLSTREAM_BIN="" PATH=/usr/bin:/bin "$work/pytest/bin/python" -m pytest -q) || return 1
	echo "-- Debian"
	dpkg-deb --info "$dist/millstream_0.1.0_$arch.deb" && dpkg-deb --extract "$dist/millstream_0.1.0_$arch.deb" "$at/debian" && "$at/debian/usr/bin/millstream" demo || return 1
	echo "-- image"
	tar -C "$at" -xf "$dist/millstream_0.1.0_oci.tar" && unpacked="$(find "$at/blobs" -type f -size +1M)" && tar -C "$at/image" -xzf "$unpacked" || return 1
	if [ "$(id -u)" = 0 ]; then in_root "$at/image" /millstream demo; else "$at/image/millstream" demo; fi
}

# chromium installs Debian's browser among the machine's own programs, when there is none.
chromium() {
	local out="$work/chromium.out"
	command -v "${CHROMIUM:-chromium}" >/dev/null ||
		(apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium) >"$out" 2>&1 || { cat "$out"; return 1; }
}

# in_browser ARGUMENTS... runs tests of the console in Chromium; they are go test's. None may be skipped.
in_browser() {
	local out="$work/console.out"
	(cd test/console && go test -count=1 -v "$@" ./...) >"$out" 2>&1
	local status=$?
	grep -vE '^=== ' "$out"
	[ $status -eq 0 ] && grep -q '^--- PASS' "$out" && ! grep -qE '^ *--- SKIP' "$out"
}

# console_tasks does the main task of each page of the console, in a browser.
console_tasks() { in_browser -run '^TestTasks$'; }

# console drives the console in Chromium, with axe-core on every page, and keeps pictures of them in CONSOLE_SHOTS when that is set.
console() {
	local axe=4.14.1
	(cd "$work" && npm pack --silent "axe-core@$axe" "htm@3.1.1" >/dev/null && mkdir -p axe htm && tar -xzf "axe-core-$axe.tgz" -C axe && tar -xzf htm-3.1.1.tgz -C htm) || return 1
	cmp "$work/htm/package/preact/standalone.module.js" internal/console/assets/vendor/htm-preact.js || return 1
	(cd test/console && go vet ./...) && chromium && AXE="$work/axe/package/axe.min.js" in_browser
}
