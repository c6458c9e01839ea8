# Timed steps, and a folder that goes with the run. Source it from the repository's root,
# with the script's arguments.

# Programs are linked without what a debugger needs, which halves the time it takes.
export GOFLAGS="${GOFLAGS:-} -buildvcs=false -ldflags=-w"
export GOTOOLCHAIN="${GOTOOLCHAIN:-local}"

work="$(mktemp -d "${TMPDIR:-/tmp}/millstream-ci.XXXXXX")"
chmod 711 "$work" # PostgreSQL runs from it as another user
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

# What takes long to make is kept between runs, each thing by its version.
cache="${XDG_CACHE_HOME:-$HOME/.cache}/millstream-ci"

began=$SECONDS
steps=""
left_out=""
only=("$@") # words of the names of the steps to run; none: all
limit=0     # seconds that a step may take; 0: any number
passed=""   # a file with the names of steps that need not run again; empty: none

# wanted NAME: is the step one of those that the arguments name?
wanted() {
	local word
	[ ${#only[@]} -gt 0 ] || return 0
	for word in "${only[@]}"; do
		[[ "$1" == *"$word"* ]] && return 0
	done
	return 1
}

# step NAME COMMAND... runs the command and notes how long it took, by the clock and
# in processor time, which other work on the machine does not change. The first failure
# ends the run. The step "build" always runs.
step() {
	local name="$1" start=$SECONDS processor took
	shift
	if [ "$name" != build ]; then
		wanted "$name" || { left_out+="  $name"$'\n'; return 0; }
		if [ -n "$passed" ] && grep -qxF "$name" "$passed" 2>/dev/null; then
			printf '\n== %s: passed before on this commit\n' "$name"
			steps+="    -          -  $name"$'\n'
			return 0
		fi
	fi
	printf '\n== %s\n' "$name"
	processor_seconds
	processor=$processor_used
	if ! "$@"; then
		printf '\nFAILED: %s (after %ds)\n%s' "$name" "$((SECONDS - start))" "$steps"
		exit 1
	fi
	processor_seconds
	took=$((SECONDS - start)) processor=$((processor_used - processor))
	printf -- '-- %s: %ds, %ds of a processor\n' "$name" "$took" "$processor"
	if [ "$limit" -gt 0 ] && [ "$took" -gt "$limit" ]; then
		printf '\nFAILED: %s took longer than %ds\n' "$name" "$limit"
		exit 1
	fi
	steps+="$(printf '%5ds  %5ds cpu  %s' "$took" "$processor" "$name")"$'\n'
	[ -z "$passed" ] || [ "$name" = build ] || echo "$name" >>"$passed"
}

# processor_seconds sets processor_used to what this script and its children that have
# ended have used. (In a subshell `times` would begin at zero.)
processor_seconds() {
	times >"$work/times"
	processor_used="$(awk '{ for (i = 1; i <= NF; i++) { split($i, t, /[ms]/); sum += t[1] * 60 + t[2] } } END { printf "%d", sum }' "$work/times")"
}

# resume keeps the names of the steps that passed on this commit, so that the next
# run begins where this one ends. Changes that are not committed leave nothing to keep.
resume() {
	[ -z "$(git status --porcelain)" ] || { echo "the tree has changes: nothing is kept for the next run"; return 0; }
	mkdir -p "$cache/passed"
	passed="$cache/passed/$(git rev-parse HEAD)"
	[ "${AGAIN:-}" = "" ] || rm -f "$passed"
}

# need TOOL...: what must be installed before.
need() {
	local tool missing=""
	for tool; do
		command -v "$tool" >/dev/null || missing+=" $tool"
	done
	[ -z "$missing" ] || { echo "not installed:$missing"; exit 1; }
}

finish() {
	printf '\n%s%5ds  in all\n' "$steps" "$((SECONDS - began))"
	if [ -n "$left_out" ]; then
		printf 'PASSED in part; left out:\n%s' "$left_out"
	else
		echo PASSED
	fi
}
