#!/bin/bash
#
# http_experiment.sh - the question that Cadre comes from, asked with wrk: how many requests of
# one second does an HTTP server answer in ten seconds?
#
#   usage: http_experiment.sh [--quick]
#          (./dev bench-http builds for release, installs wrk, and calls it)
#
# `burn?ms=1000` (CPU time) and `sleep?ms=1000` (wall-clock time), both ways, with
# wrk -d 10 -c 8 -t 8 --timeout 30s: 1 worker; as many as cores; 8; one killed half way.
# Short requests, beside other servers: `./dev bench --only http`.
#
# --quick: for a look whether it works; its numbers mean nothing.
#
# Nothing else should run meanwhile. CADRE_BIN_DIR and CADRE_SERVICE_DIR say where the
# programs are. Exit status: 0 every expectation held, 1 one did not, 2 something is missing.

set -euo pipefail

readonly cadre=${CADRE_BIN_DIR:-build/release/bin}/cadre
readonly site=${CADRE_SERVICE_DIR:-build/release/services}/web.so
cores=$(nproc)
readonly cores

seconds=10
ms=1000
broken=0

scratch=
server=
pool=http-experiment-$$

main() {
	local argument

	for argument in "$@"; do
		case $argument in
		--quick) seconds=2 ms=200 ;;
		*)
			echo "usage: http_experiment.sh [--quick]" >&2
			exit 2
			;;
		esac
	done
	for argument in "$cadre" wrk jq; do
		command -v "$argument" >/dev/null || give_up "$argument is missing"
	done
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/cadre-http.XXXXXX")
	trap clean_up EXIT
	trap 'exit 130' INT TERM

	echo "$(date -u +%F), $cores CPUs ($(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)), Linux $(uname -r), load $(cut -d' ' -f1 /proc/loadavg)"
	ask_all
	exit $broken
}

give_up() {
	echo "http_experiment.sh: $1" >&2
	exit 2
}

# --- asking ---------------------------------------------------------------------

ask_all() {
	local way

	printf '\nRequests of %s ms answered in %s s: wrk -d %s -c 8 -t 8 --timeout 30s\n\n' \
		"$ms" "$seconds" "$seconds"
	printf '| way | handler | workers | answered | ideal | 502 | other errors | socket errors |\n'
	printf '|---|---|---|---|---|---|---|---|\n'
	for way in proxy handoff; do
		ask "$way" burn 1 no
		ask "$way" burn "$cores" no
		ask "$way" burn 8 no
		ask "$way" burn "$cores" kill
		ask "$way" sleep 8 no
	done
}

# wrk tells of statuses that are no success, but not of which: its script counts them.
write_script() {
	cat >"$scratch/count.lua" <<'LUA'
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() lost, other = 0, 0 end
function response(status)
	if status == 502 then lost = lost + 1 elseif status ~= 200 then other = other + 1 end
end
function done(summary)
	local lost, other = 0, 0
	for _, thread in ipairs(threads) do
		lost = lost + thread:get("lost")
		other = other + thread:get("other")
	end
	local e = summary.errors
	io.write(string.format("RESULT %d %d %d %d\n", summary.requests, lost, other,
		e.connect + e.read + e.write + e.timeout))
end
LUA
}

# The process of a worker in the middle of a request: one between two would cost nobody anything.
find_busy() {
	local pid='' since=$((ms * 200000))

	while [ -z "$pid" ]; do
		pid=$("$cadre" stat "$pool" --json |
			jq -r "[.workers[] | select(.running_ns > $since)][0].pid // empty")
	done
	echo "$pid"
}

ask() {
	local way=$1 what=$2 workers=$3 kill=$4 answered lost other errors ideal label=$3 killer=

	start "$way" "$workers"
	if [ "$kill" = kill ]; then
		label="$workers, one killed"
		(
			sleep "$(awk -v s="$seconds" 'BEGIN { print s / 2 }')"
			kill -KILL "$(find_busy)"
		) &
		killer=$!
	fi
	write_script
	read -r _ answered lost other errors < <(
		wrk -d "$seconds" -c 8 -t 8 --timeout 30s -s "$scratch/count.lua" "${url}$what?ms=$ms" |
			grep RESULT
	)
	[ -z "$killer" ] || wait "$killer"
	stop

	# CPU time cannot be had for more workers than there are cores.
	ideal=$((seconds * 1000 * $(at_once "$what" "$workers") / ms))
	printf '| %s | %s | %s | %s | %s | %s | %s | %s |\n' "$way" "$what" "$label" \
		$((answered - lost - other)) "$ideal" "$lost" "$other" "$errors"
	expect "$errors" -eq 0 "$way, $what, $label: $errors socket errors"
	expect "$other" -eq 0 "$way, $what, $label: $other errors that nobody caused"
	if [ "$kill" = kill ]; then
		expect "$lost" -eq 1 "$way, $what, $label: $lost requests lost with one worker"
	else
		expect "$lost" -eq 0 "$way, $what, $label: $lost requests lost"
	fi
	expect $(((answered - lost - other) * 10)) -ge $((ideal * 7)) \
		"$way, $what, $label: only $answered of $ideal"
	[ "$workers" -ne 1 ] ||
		expect "$answered" -le $((seconds * 1000 / ms)) "$way: one worker answered $answered"
}

at_once() {
	if [ "$1" = burn ] && [ "$2" -gt "$cores" ]; then
		echo "$cores"
	else
		echo $(($2 < 8 ? $2 : 8))
	fi
}

# --- the server -----------------------------------------------------------------

start() {
	local handoff=()

	[ "$1" != handoff ] || handoff=(--handoff)
	"$cadre" http --service "$site" --name "$pool" --workers "$2" --listen 127.0.0.1:0 \
		"${handoff[@]}" 2>"$scratch/server" &
	server=$!
	for _ in $(seq 300); do
		url=$(grep -o 'http://[^,]*/' "$scratch/server" || true)
		if [ -n "$url" ] && curl -sf -o "$scratch/hello" "${url}hello"; then
			return
		fi
		kill -0 "$server" 2>/dev/null || break
		sleep 0.1
	done
	cat "$scratch/server" >&2
	give_up "cadre http did not start"
}

stop() {
	kill -TERM "$server"
	wait "$server" || give_up "cadre http ended with status $?"
	server=
}

# --- helpers --------------------------------------------------------------------

expect() {
	test "$1" "$2" "$3" && return
	echo "NOT AS EXPECTED: $4" >&2
	broken=1
}

# shellcheck disable=SC2317 # called by the trap
clean_up() {
	if [ -n "$server" ]; then
		kill -TERM "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	[ -z "$scratch" ] || rm -rf "$scratch"
}

main "$@"
