# Steps that need Go alone.

# build makes the program as it is released, but for -trimpath, with which all of it and of the
# standard library would be compiled once more.
build() {
	go build ./... &&
		go build -ldflags "-s -w" -o "$work/millstream" ./cmd/millstream &&
		(cd test/conformance && go build ./...) &&
		export MILLSTREAM_BIN="$work/millstream"
}

format() {
	local files
	# shellcheck disable=SC2046 # one word a file
	files="$(gofmt -l $(git ls-files '*.go'))" && [ -z "$files" ] || { echo "gofmt: $files"; return 1; }
}

# tidy refuses a go.mod or go.sum that names too much or too little.
tidy() {
	local module
	for module in . test/conformance test/console test/suites/gosdk test/paired/fasthttp; do
		(cd "$module" && go mod tidy -diff) || { echo "go mod tidy in $module changes this"; return 1; }
	done
}

vet() {
	go vet ./... && (cd test/conformance && go vet ./...)
}

# vet_darwin builds all that is imported for macOS, which takes longer than to look at it.
vet_darwin() { GOOS=darwin GOARCH=arm64 go vet ./...; }

lint() {
	GOBIN="$work/bin" go install honnef.co/go/tools/cmd/staticcheck@v0.8.2 &&
		"$work/bin/staticcheck" ./... && (cd test/conformance && "$work/bin/staticcheck" ./...)
}

# security looks for what gosec knows. What it finds and was looked at is in .ci/gosec/reviewed, with the reasons.
security() {
	(cd .ci/gosec && go mod tidy -diff && go build -o "$work/bin/gosec" .) && "$work/bin/gosec" .ci/gosec/reviewed . ./cmd/... ./internal/...
}

# older builds the program that has left the first of test/folders' fixtures, which is to refuse a folder of today's. It takes the history.
older() {
	mkdir "$work/older" && git archive db9eff9 | tar -x -C "$work/older" && (cd "$work/older" && go build -o "$work/older-millstream" ./cmd/millstream) &&
		go run ./test/folders/refused -program "$work/millstream" -older "$work/older-millstream"
}

# in_process are the packages whose tests need Go, node and python3; those of test/sdk,
# test/examples, test/faults and test/tools have steps of their own.
in_process() { go list ./... | grep -vE '/test/(sdk|examples|faults|tools)$'; }

# faults does to a server what bad clients do; MILLSTREAM_FAULTS=1 has all of them come.
faults() { MILLSTREAM_FAULTS_ALONE=1 go test -count=1 -v -timeout 20m ./test/faults | grep -vE '^=== '; }

# tests runs all of them, each at full length. A skipped test is a failed one here.
tests() {
	local out="$work/tests.out"
	# shellcheck disable=SC2046 # one word a package
	go test -vet=off -v $(in_process) >"$out" 2>&1 # vet is a step of its own
	local status=$?
	summary "$out"
	[ $status -eq 0 ] || { failures "$out"; return 1; }
	! grep -E '^\s*--- SKIP' "$out" || { echo "tests were skipped"; return 1; }
}

summary() { grep -E '^(ok|FAIL|panic|---? FAIL)' "$1"; }
# failures shows what stands right before each failed test, and then the whole without what passed, as far as it is short.
failures() {
	grep -B 12 -E '^\s*--- FAIL|^panic: ' "$1" | grep -vE '^(=== (RUN|PAUSE|CONT)|\s*--- PASS)' | head -n 100
	grep -vE '^(=== (RUN|PAUSE|CONT|NAME)|\s*--- PASS)' "$1" | head -n 200
}

# races ARGUMENTS... PACKAGE... runs tests under the race detector, which makes them ten times
# slower. Arguments and packages go to go test.
#
# The detector of Go 1.26 itself crashes now and then in a synctest bubble (Go's
# issue 78156). When that is all that went wrong - no race was reported and no test
# failed - the packages that it took down are run once more.
races() {
	local out="$work/race.out" packages arguments=()
	go test -race -vet=off -v "$@" >"$out" 2>&1
	local status=$?
	summary "$out"
	if [ $status -ne 0 ] && grep -qE '^SIGSEGV: segmentation violation|ThreadSanitizer: CHECK failed' "$out" &&
		! grep -qE 'DATA RACE|^ *--- FAIL|^panic: ' "$out"; then
		echo "the race detector crashed; running what it took down once more"
		packages="$(awk -F '\t' '$1 == "FAIL" && $2 != "" { print $2 }' "$out" | sort -u)"
		for word; do [[ "$word" == */millstream/* || "$word" == */millstream ]] || arguments+=("$word"); done
		# shellcheck disable=SC2086 # one word a package
		go test -race -vet=off -v "${arguments[@]}" $packages >"$out" 2>&1
		status=$?
		summary "$out"
	fi
	[ $status -eq 0 ] || { failures "$out"; return 1; }
}

# quick_races is for every change: the rooms that start goroutines and hold locks, without the
# wiring above them, which takes longer to build with every SDK than to test. With -short the
# tests that play many rounds play a tenth of them. Left out are three in which the detector has
# nothing to see (zip bombs, programs as processes: they ask for it), and those below, which
# take most of the time and meet one goroutine: damage done to files.
quick_races() {
	local rooms="activity backend/local credential door function outbox queue queue/poll schedule server store stream table topic trigger trigger/lane turns worker"
	local packages
	packages="$(go list ./test/loop $(printf './internal/%s ' $rooms))" || return 1
	# shellcheck disable=SC2086 # one word a package
	races -short -skip '^(TestDamageIsTold|TestQuarantine|TestAcceptLoss)$' $packages
}

# all_races looks at everything, at full length.
# shellcheck disable=SC2046 # one word a package
all_races() { races "$@" $(in_process); }

# planted switches each bug on that is kept in test/planted; its detector must fire.
planted() {
	local out="$work/planted.out" packages
	packages="$(grep -rl --include='*_test.go' '^//go:build plantedbugs' . | xargs -n1 dirname | sort -u)"
	[ -n "$packages" ] || { echo "no planted bug is in the tree"; return 1; }
	# shellcheck disable=SC2086 # one word a package
	test/planted/overlay "$work/planted" || return 1
	go test -count=1 -vet=off -v -overlay "$work/planted/overlay.json" -tags plantedbugs -run 'Planted' $packages >"$out" 2>&1
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

# fuzzers TIME [PART PARTS] runs each fuzz target for the given time, or every PARTS-th
# of them. All that a target imports is built anew for it: FUZZ_LEAVE, a pattern, leaves out
# packages that import the engine or every SDK.
fuzzers() {
	local file name count=0 index=0 part="${2:-0}" parts="${3:-1}"
	while IFS=: read -r file name; do
		[ -z "${FUZZ_LEAVE:-}" ] || ! [[ "$file" =~ $FUZZ_LEAVE ]] || continue
		index=$((index + 1))
		[ $((index % parts)) -eq "$part" ] || continue
		name="${name#func }"
		name="${name%%(*}"
		echo "$name in $(dirname "$file")"
		fuzz "$name" "$1" "$(dirname "$file")" || { cat "$work/fuzz.out"; return 1; }
		count=$((count + 1))
	done < <(grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*(' . | sort)
	echo "$count fuzzers, $1 each"
	[ "$count" -gt 0 ]
}

# fuzz TARGET TIME PACKAGE. Go's own race at the end of the time (Go's issue 75804) fails a
# target that has found nothing, and says so: it is run once more.
fuzz() {
	local again=""
	while ! go test -run '^$' -fuzz "^$1\$" -fuzztime "$2" "$3" >"$work/fuzz.out" 2>&1; do
		[ -z "$again" ] && grep -q 'context deadline exceeded' "$work/fuzz.out" && ! grep -q 'Failing input written' "$work/fuzz.out" || return 1
		again=yes
	done
}

# hot judges the processor time of the hottest paths too, which go test ./... leaves to an idle machine.
# `hot quiet` judges it narrowly, for a machine that does nothing else.
hot() { MILLSTREAM_HOT="${1:-1}" go test -count=1 -v ./test/hot | grep -vE '^=== '; }

# idle_functions holds what functions cost that nobody calls, on a machine that does nothing else. It needs node and python3.
idle_functions() { go test -count=1 -v -tags quiet -run '^TestIdleFunctions$' ./test/hot | grep -vE '^=== '; }

# guides runs the README's commands and the pages of docs/guides. None may be skipped.
guides() {
	local out="$work/guides.out"
	TOOLS_REQUIRE=1 go test -count=1 -v -timeout 20m -run '^Test(Guides|Readme)$' ./test/tools >"$out" 2>&1
	local status=$?
	grep -E '^ *--- ' "$out"
	[ $status -eq 0 ] && grep -q -- '^--- PASS: TestGuides' "$out" && grep -q -- '^--- PASS: TestReadme' "$out" || { failures "$out"; return 1; }
}

demo() {
	local left="$work/demo"
	mkdir -p "$left" && TMPDIR="$left" "$work/millstream" demo || return 1
	[ -z "$(ls -A "$left")" ] || { echo "demo left files behind:"; ls -A "$left"; return 1; }
}

# budgets holds the program to its size and its memory; `budgets strict`, to its start too,
# which a machine that other work shares makes longer. All three are printed.
budgets() {
	local size out="$work/budgets.out"
	size="$(wc -c <"$work/millstream")" &&
		echo "the program has $((size >> 20)) MB, of 46" && [ "$size" -le $((46 << 20)) ] || return 1
	# A copy, as people run it: of a file that the linker has just written the kernel maps half as much again. How much of a copy it
	# maps at once differs by some 0.5 MB from copy to copy, so there are three; the program's own memory is the same in each.
	local try
	for try in 1 2 3; do
		cp "$work/millstream" "$work/installed" && "$work/installed" bench --quick --only start,idle >"$out" 2>&1 || { cat "$out"; return 1; }
		cat "$out"
		grep -A 1 '^resident memory' "$out" | grep -q 'outside the budget' || break
		[ "$try" -lt 3 ] || return 1
		rm "$work/installed"
	done
	[ "${1:-}" != strict ] || ! grep -q 'outside the budget' "$out"
}
