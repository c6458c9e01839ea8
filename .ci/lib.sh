# Shared by .ci/run and .ci/long: timed steps, tools and packages in a folder of
# their own. Source it from the repository's root.

export GOFLAGS="${GOFLAGS:-} -buildvcs=false"
export GOTOOLCHAIN="${GOTOOLCHAIN:-local}"

work="$(mktemp -d "${TMPDIR:-/tmp}/millstream-ci.XXXXXX")"
trap 'rm -rf "$work"' EXIT

began=$SECONDS
steps=""
only=("$@") # words of the names of the steps to run, besides the build; none: all
left_out=""

# step NAME COMMAND... runs the command and notes how long it took; the first
# failure ends the run.
step() {
	local name="$1" start=$SECONDS word
	shift
	if [ ${#only[@]} -gt 0 ] && [ "$name" != build ]; then
		for word in "${only[@]}"; do
			[[ "$name" == *"$word"* ]] && break
			word=""
		done
		[ -n "$word" ] || { left_out+="  $name"$'\n'; return 0; }
	fi
	printf '\n== %s\n' "$name"
	if ! "$@"; then
		printf '\nFAILED: %s (after %ds)\n%s' "$name" "$((SECONDS - start))" "$steps"
		exit 1
	fi
	printf -- '-- %s: %ds\n' "$name" "$((SECONDS - start))"
	steps+="$(printf '%5ds  %s' "$((SECONDS - start))" "$name")"$'\n'
}

finish() {
	printf '\n%s%5ds  in all\n' "$steps" "$((SECONDS - began))"
	if [ -n "$left_out" ]; then
		printf 'PASSED in part; left out:\n%s' "$left_out"
	else
		echo PASSED
	fi
}

build() {
	go build ./... &&
		go build -trimpath -o "$work/millstream" ./cmd/millstream &&
		(cd test/conformance && go build ./...) &&
		export MILLSTREAM_BIN="$work/millstream"
}

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

# sdks installs the JavaScript and Python SDKs, a stream reader of Node.js and moto's
# server of SQS, SNS and S3, and runs their tests. They must be seen to have run.
sdks() {
	mkdir -p "$work/js" &&
		(cd "$work/js" && npm install --no-audit --no-fund --silent --prefix . @aws-sdk/client-dynamodb @aws-sdk/client-lambda @aws-sdk/client-dynamodb-streams dynamodb-streams-readable@3.0.0) &&
		python3 -m venv "$work/py" &&
		"$work/py/bin/pip" install --quiet --disable-pip-version-check boto3 'moto[server]' || return 1
	local out="$work/sdk.out"
	SDKTEST_REQUIRE=1 SDKTEST_NODE_PATH="$work/js/node_modules" SDKTEST_PYTHON="$work/py/bin/python3" \
		go test -count=1 -v -skip '^TestKinesisClientLibrary$' ./test/sdk/ >"$out" 2>&1
	local status=$?
	cat "$out"
	[ $status -eq 0 ] || return 1
	local test
	for test in TestJavaScript TestPython TestDestinations TestNodeReader; do
		grep -q -- "^--- PASS: $test" "$out" || { echo "$test did not run"; return 1; }
	done
}

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
	python3 -m venv "$work/helpers-py" &&
		"$work/helpers-py/bin/pip" install --quiet --disable-pip-version-check pytest "$work/helpers/pytest" &&
		mkdir -p "$work/helpers-test" && cp -R helpers/pytest/test_*.py helpers/pytest/testdata "$work/helpers-test" &&
		(cd "$work/helpers-test" && "$work/helpers-py/bin/python" -m pytest -q) >"$work/helpers.out" 2>&1
	status=$?
	cat "$work/helpers.out"
	[ $status -eq 0 ] && ! grep -q skipped "$work/helpers.out"
}

# examples runs the applications of examples/ with the servers around them, which it
# installs from npm and PyPI; `examples all`, also those tests that kill the server in the
# middle and those that take packages of Debian (a metrics store, PostgreSQL) and of
# Maven (OpenSearch, which takes java and mvn; without them its test is left out, and that is said).
# None may be skipped. Further arguments go to go test.
examples() {
	local jars="$work/opensearch" out="$work/examples.out" program="" without='Killed$|^TestOrderMetrics|^TestSearchAndWarehouse'
	mkdir -p "$work/js" &&
		(cd "$work/js" && npm install --no-audit --no-fund --silent --prefix . @aws-sdk/client-dynamodb pg@8) &&
		{ [ -e "$work/py" ] || python3 -m venv "$work/py"; } &&
		"$work/py/bin/pip" install --quiet --disable-pip-version-check boto3 'moto[server]' aiosmtpd || return 1
	if [ "${1:-}" = all ]; then
		shift
		without='^$'
		program="$(command -v victoria-metrics)" || {
			(mkdir -p "$work/debian" && cd "$work/debian" && apt-get update -qq && apt-get download -qq victoria-metrics &&
				dpkg -x victoria-metrics_*.deb .) >"$out" 2>&1 || { cat "$out"; return 1; }
			program="$work/debian/usr/bin/victoria-metrics"
		}
		command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 ||
			apt-get install -y -qq --no-install-recommends postgresql >"$out" 2>&1 || { cat "$out"; return 1; }
		if command -v java >/dev/null && command -v mvn >/dev/null; then
			mvn -q -B -f examples/search-and-warehouse/opensearch/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$jars" || return 1
		else
			echo "the search engine: NOT RUN, it takes java and mvn"
			without='^TestSearchAndWarehouse'
		fi
	fi
	EXAMPLES_REQUIRE=1 EXAMPLES_NODE_PATH="$work/js/node_modules" EXAMPLES_PYTHON="$work/py/bin/python3" \
		EXAMPLES_VICTORIAMETRICS="$program" EXAMPLES_OPENSEARCH="$jars" \
		go test -count=1 -v -skip "$without" "$@" ./test/examples/ >"$out" 2>&1
	local status=$?
	grep -vE '^=== (RUN|PAUSE|CONT|NAME)' "$out"
	[ $status -eq 0 ] || return 1
	! grep -E '^\s*--- SKIP' "$out" || { echo "tests were skipped"; return 1; }
}

# kcl runs a consumer of the Kinesis Client Library with its adapter for DynamoDB
# Streams. It needs Java and Maven.
kcl() {
	local pom="$work/kcl.xml" out="$work/kcl.out"
	cat >"$pom" <<-EOF
		<project xmlns="http://maven.apache.org/POM/4.0.0">
		  <modelVersion>4.0.0</modelVersion>
		  <groupId>ci</groupId><artifactId>kcl</artifactId><version>1</version><packaging>pom</packaging>
		  <dependencies><dependency>
		    <groupId>com.amazonaws</groupId><artifactId>dynamodb-streams-kinesis-adapter</artifactId><version>1.6.1</version>
		  </dependency></dependencies>
		</project>
	EOF
	mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$work/kcl" || return 1
	SDKTEST_REQUIRE=1 SDKTEST_KCL="$work/kcl" go test -count=1 -v -run '^TestKinesisClientLibrary$' ./test/sdk/ >"$out" 2>&1
	local status=$?
	cat "$out"
	[ $status -eq 0 ] && grep -q -- '^--- PASS: TestKinesisClientLibrary' "$out"
}

# dynamodb_local installs AWS's DynamoDB Local, once for all runs, in a folder of the
# user's cache, and exports the folder. It needs Java and Maven.
dynamodb_local() {
	local version=3.1.0
	export DYNAMODB_LOCAL="${DYNAMODB_LOCAL:-${XDG_CACHE_HOME:-$HOME/.cache}/millstream-ci/dynamodb-local-$version}"
	[ -e "$DYNAMODB_LOCAL/complete" ] && return
	local pom="$work/dynamodb-local.xml" fresh="$work/dynamodb-local"
	cat >"$pom" <<-EOF
		<project xmlns="http://maven.apache.org/POM/4.0.0">
		  <modelVersion>4.0.0</modelVersion>
		  <groupId>ci</groupId><artifactId>dynamodb-local</artifactId><version>1</version><packaging>pom</packaging>
		  <dependencies><dependency>
		    <groupId>software.amazon.dynamodb</groupId><artifactId>DynamoDBLocal</artifactId><version>$version</version>
		  </dependency></dependencies>
		</project>
	EOF
	mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$fresh" || return 1
	# The name under which the library is looked for has no version.
	for lib in "$fresh"/libsqlite4java-*.so "$fresh"/libsqlite4java-*.dylib; do
		[ -e "$lib" ] && cp "$lib" "$(sed -E 's/-[0-9.]+(\.(so|dylib))$/\1/' <<<"$lib")"
	done
	touch "$fresh/complete"
	mkdir -p "$(dirname "$DYNAMODB_LOCAL")" && rm -rf "$DYNAMODB_LOCAL" && cp -R "$fresh" "$DYNAMODB_LOCAL"
}

# differences compares Millstream's answers with those of DynamoDB Local; arguments go
# to the tester.
differences() { dynamodb_local && go run ./test/differences/cmd "$@"; }

# with_peers runs a command with the arguments that name DynamoDB Local and dynalite,
# both in memory, to `millstream bench`; it starts them before and ends them behind.
with_peers() {
	dynamodb_local && mkdir -p "$work/dynalite" &&
		npm install --no-audit --no-fund --silent --prefix "$work/dynalite" dynalite@4.0.0 || return 1
	local ports local_pid dynalite_pid status
	ports="$(python3 -c 'import socket; s = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]; print(*(x.getsockname()[1] for x in s))')" || return 1
	java -Xmx2g "-Djava.library.path=$DYNAMODB_LOCAL" "-Dsqlite4java.library.path=$DYNAMODB_LOCAL" -cp "$DYNAMODB_LOCAL/*" \
		software.amazon.dynamodb.services.local.main.ServerRunner -inMemory -disableTelemetry -port "${ports% *}" >"$work/dynamodb-local.out" 2>&1 &
	local_pid=$!
	"$work/dynalite/node_modules/.bin/dynalite" --host 127.0.0.1 --port "${ports#* }" --createTableMs 0 --deleteTableMs 0 >"$work/dynalite.out" 2>&1 &
	dynalite_pid=$!
	local port
	for port in $ports; do
		curl --silent --output /dev/null --retry 60 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$port/" || true
	done
	"$@" --peer "DynamoDB-Local=http://127.0.0.1:${ports% *}" --peer "dynalite=http://127.0.0.1:${ports#* }"
	status=$?
	kill "$local_pid" "$dynalite_pid"
	return $status
}

# planted switches each bug on that is kept in test/planted; its detector must fire.
planted() {
	local out="$work/planted.out" packages
	packages="$(grep -rl --include='*_test.go' '^//go:build plantedbugs' . | xargs -n1 dirname | sort -u)"
	[ -n "$packages" ] || { echo "no planted bug is in the tree"; return 1; }
	# shellcheck disable=SC2086 # one word a package
	test/planted/overlay "$work/planted" || return 1
	go vet -overlay "$work/planted/overlay.json" -tags plantedbugs ./... || return 1
	go test -count=1 -v -overlay "$work/planted/overlay.json" -tags plantedbugs -run 'Planted' $packages >"$out" 2>&1
	local status=$?
	grep -E '^(=== RUN|--- |ok|FAIL|PASS)' "$out" | grep -v '=== RUN' || true
	[ $status -eq 0 ] || { cat "$out"; return 1; }
	for p in $packages; do
		(cd "$p" && go list -f '{{.ImportPath}}' .)
	done | while read -r p; do
		grep -q "^ok.*$p" "$out" || { echo "no planted bug ran in $p"; return 1; }
	done
	! grep -q 'no tests to run' "$out"
}

# fuzzers runs each fuzz target for the given time.
fuzzers() {
	local file name count=0
	while IFS=: read -r file name; do
		name="${name#func }"
		name="${name%%(*}"
		echo "$name in $(dirname "$file")"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" "$(dirname "$file")" >"$work/fuzz.out" 2>&1 || { cat "$work/fuzz.out"; return 1; }
		count=$((count + 1))
	done < <(grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*(' . | sed 's|^\([^:]*\):|\1:|')
	echo "$count fuzzers, $1 each"
	[ "$count" -gt 0 ]
}
