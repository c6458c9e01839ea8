# Steps that set Millstream beside other implementations.

# differences compares its answers with those of dynoxide; arguments go to the tester.
differences() { dynoxide && go run ./test/differences/cmd "$@"; }

# with_peers runs a command with the arguments that name dynoxide, dynalite and ministack,
# all in memory, to `millstream bench`; it starts them before and ends them behind.
with_peers() {
	dynoxide && node_packages dynalite && python_packages ministack || return 1
	local ports pids=() status port
	read -r -a ports < <(python3 -c 'import socket; s = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]; print(*(x.getsockname()[1] for x in s))') || return 1
	"$DYNOXIDE_BIN" --log quiet --host 127.0.0.1 --port "${ports[0]}" >"$work/dynoxide.out" 2>&1 &
	pids+=($!)
	"$work/dynalite/node_modules/.bin/dynalite" --host 127.0.0.1 --port "${ports[1]}" --createTableMs 0 --deleteTableMs 0 >"$work/dynalite.out" 2>&1 &
	pids+=($!)
	BIND_HOST=127.0.0.1 GATEWAY_PORT="${ports[2]}" "$work/ministack/bin/ministack" >"$work/ministack.out" 2>&1 &
	pids+=($!)
	for port in "${ports[@]}"; do
		curl --silent --output /dev/null --retry 60 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$port/" || true
	done
	"$@" --peer "dynoxide=http://127.0.0.1:${ports[0]}" --peer "dynalite=http://127.0.0.1:${ports[1]}" --peer "ministack=http://127.0.0.1:${ports[2]}"
	status=$?
	kill "${pids[@]}"
	wait "${pids[@]}" 2>/dev/null
	return $status
}

# over_engines runs what nodes ask of an endpoint over dynoxide, ministack and moto, all in memory.
over_engines() {
	dynoxide && python_packages ministack && python_packages python || return 1
	local ports pids=() status port
	read -r -a ports < <(python3 -c 'import socket; s = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]; print(*(x.getsockname()[1] for x in s))') || return 1
	"$DYNOXIDE_BIN" --log quiet --host 127.0.0.1 --port "${ports[0]}" >"$work/dynoxide.out" 2>&1 &
	pids+=($!)
	BIND_HOST=127.0.0.1 GATEWAY_PORT="${ports[1]}" "$work/ministack/bin/ministack" >"$work/ministack.out" 2>&1 &
	pids+=($!)
	"$work/python/bin/moto_server" -H 127.0.0.1 -p "${ports[2]}" >"$work/moto.out" 2>&1 &
	pids+=($!)
	for port in "${ports[@]}"; do
		curl --silent --output /dev/null --retry 60 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$port/" || true
	done
	MILLSTREAM_ENGINES="dynoxide=http://127.0.0.1:${ports[0]},ministack=http://127.0.0.1:${ports[1]},moto=http://127.0.0.1:${ports[2]}" \
		go test -count=1 -v -run 'TestSuiteOverEngines|TestOverOtherEngines' ./internal/backend/remote ./test/nodes
	status=$?
	kill "${pids[@]}"
	wait "${pids[@]}" 2>/dev/null
	return $status
}
