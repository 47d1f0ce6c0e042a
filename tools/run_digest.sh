#!/bin/bash
#
# run_digest.sh - the main job of Cadre, shown to a newcomer: digest every file under a
# directory with a pool of workers, kill a worker half way, and compare with sha256sum.
#
#   usage: run_digest.sh [DIR]      (default /usr/share; called by `./dev run [DIR]`)
#
# CADRE_BIN_DIR and CADRE_SERVICE_DIR say where the programs are. It is a demonstration
# with a built-in check, not a benchmark: for that there is bench/.
#
# Exit status: 0 all digests are equal and nothing is left behind, 1 otherwise, 64 wrong
# arguments.

set -euo pipefail

readonly directory=${1:-/usr/share}
readonly cadre=${CADRE_BIN_DIR:-build/bin}/cadre
readonly service=${CADRE_SERVICE_DIR:-build/services}/digest.so
readonly pool=digest-$$
processors=$(nproc)
readonly processors
readonly workers=$((processors > 2 ? processors : 2))

scratch= # directory for lists and digests
server=  # pid of `cadre serve`
killer=  # pid of the one who kills a worker

main() {
	check_usage "$@"
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/cadre-run.XXXXXX")
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM

	list_files
	say "1. Reading the files once, so that both programs find them in memory."
	xargs -0 -a "$scratch/files" -P "$processors" -n 64 cat >/dev/null || true

	say "2. \`cadre serve\`: starting a pool of $workers workers that offer the service \"digest\"."
	start_server

	say "3. \`cadre map\`: one job per file; half way, a worker gets SIGKILL."
	digest_with_cadre
	report_kill

	say "4. \`cadre stat\`: what the pool did. The counters are read from shared memory; no worker is asked."
	"$cadre" stat "$pool"
	lost=$(ask .pool.jobs.lost)
	retried=$(ask '[.workers[].counters.jobs_requeued] | add')

	say "5. \`sha256sum\`: the same files, $processors processes of it.$(caveat)"
	digest_with_sha256sum

	say "6. SIGTERM to the server: it ends its workers and removes the shared memory."
	stop_server

	conclude
}

# --- steps ----------------------------------------------------------------------

check_usage() {
	if [ $# -gt 1 ]; then
		echo "usage: run_digest.sh [DIR]" >&2
		exit 64
	fi
	if [ ! -d "$directory" ]; then
		echo "run_digest.sh: \"$directory\" is not a directory" >&2
		exit 64
	fi
	if [ ! -x "$cadre" ] || [ ! -e "$service" ]; then
		echo "run_digest.sh: $cadre or $service is missing (./dev build makes them)" >&2
		exit 1
	fi
}

# Files we may not read would only show that neither program may.
list_files() {
	find "$(realpath "$directory")" -type f -readable -print0 >"$scratch/files" 2>/dev/null || true
	files=$(tr -cd '\0' <"$scratch/files" | wc -c)
	if [ "$files" -eq 0 ]; then
		echo "run_digest.sh: there is no readable file under \"$directory\"" >&2
		exit 1
	fi
	echo "SHA-256 of $files files under $directory, by Cadre and by sha256sum."
}

start_server() {
	"$cadre" serve --name "$pool" --workers "$workers" "$service" 2>"$scratch/notices" &
	server=$!
	for _ in $(seq 300); do
		if [ "$(ask .pool.state)" = open ]; then
			return
		fi
		kill -0 "$server" 2>/dev/null || break
		sleep 0.1
	done
	indent <"$scratch/notices" >&2
	echo "run_digest.sh: the pool did not start" >&2
	exit 1
}

digest_with_cadre() {
	local start

	kill_half_way &
	killer=$!
	start=$EPOCHREALTIME
	# A file that went away meanwhile fails its job, and sha256sum as well.
	"$cadre" map "$pool" file --null --print0 --with-input --progress=always \
		<"$scratch/files" >"$scratch/by-cadre" || true
	cadre_seconds=$(since "$start")

	touch "$scratch/done"
	wait "$killer" || true
	killer=
}

# Waits until half of the jobs are done, then kills a worker in the middle of a job: it is
# stopped, and killed if the slots say that it has one.
kill_half_way() {
	local pid

	while [ ! -e "$scratch/done" ] && [ "$(ask .pool.jobs.ok)" -lt $((files / 2)) ]; do
		sleep 0.02
	done
	pid=$(ask '[.workers[] | select(.pid > 0)][0].pid')
	[ "$pid" -gt 0 ] || return
	# A stopped worker would hold up the end of its server.
	trap 'kill -CONT "$pid" 2>/dev/null' EXIT
	while [ ! -e "$scratch/done" ]; do
		kill -STOP "$pid"
		if [ "$(ask ".workers[] | select(.pid == $pid).running_ns")" -gt 0 ]; then
			break
		fi
		kill -CONT "$pid"
		sleep 0.005
	done
	echo "$pid $(ask .pool.jobs.ok)" >"$scratch/killed"
	kill -KILL "$pid"
}

report_kill() {
	local pid jobs

	if [ ! -s "$scratch/killed" ]; then
		echo "   There was no worker that could be killed."
		return
	fi
	read -r pid jobs <"$scratch/killed"
	if [ "$jobs" -ge "$files" ]; then
		echo "   All was done before the signal could be sent: process $pid was killed after the end."
	else
		echo "   Process $pid was killed in the middle of a job when $jobs of $files were done."
	fi
	for _ in $(seq 20); do
		! grep -F "(pid $pid)" "$scratch/notices" | indent || return 0
		sleep 0.05
	done
}

# Each process of xargs has a file of its own: their lines would mix in one.
digest_with_sha256sum() {
	local start=$EPOCHREALTIME

	# shellcheck disable=SC2016 # the inner shell expands these
	xargs -0 -a "$scratch/files" -P "$processors" -n 64 --process-slot-var=SLOT \
		sh -c 'exec sha256sum -z -- "$@" >>"$0.$SLOT"' "$scratch/by-sha256sum" || true
	sha256sum_seconds=$(since "$start")
}

stop_server() {
	kill -TERM "$server"
	if wait "$server"; then
		echo "   It ended in order."
	else
		echo "   It ended with status $?."
	fi
	server=
}

# The one line that matters.
conclude() {
	local differing left equal status=0

	sort -z "$scratch/by-cadre" >"$scratch/a"
	sort -z "$scratch"/by-sha256sum.* >"$scratch/b"
	differing=$(comm -z -3 "$scratch/a" "$scratch/b" | sed -z 's/^\t*[0-9a-f]*  //' | sort -zu | tr -cd '\0' | wc -c)
	left=$(find /dev/shm -maxdepth 1 -name "cadre.$pool*" -printf '%p ')

	equal="all digests equal sha256sum's"
	if [ "$differing" -ne 0 ]; then
		equal="$differing DIGESTS DIFFER from sha256sum's"
		status=1
	fi
	if [ -n "$left" ]; then
		echo "LEFT BEHIND: $left"
		status=1
	fi
	say "$(tr -cd '\0' <"$scratch/a" | wc -c) files digested, $equal; $lost jobs lost, $retried tried again; $(rate "$cadre_seconds") files/s (sha256sum in the same run: $(rate "$sha256sum_seconds") files/s)"
	exit $status
}

# --- helpers --------------------------------------------------------------------

say() {
	printf '\n%s\n' "$*"
}

indent() {
	sed 's/^/   /'
}

# A number or word out of the pool's statistics; 0 where there is none.
ask() {
	local answer

	answer=$("$cadre" stat "$pool" --json 2>/dev/null | jq -r "$1" 2>/dev/null) || true
	echo "${answer:-0}"
}

# Debian's sha256sum is not built with libcrypto, as the service is.
caveat() {
	ldd "$(command -v sha256sum)" 2>/dev/null | grep -q libcrypto ||
		printf '\n   %s' "Its SHA-256 is portable C, the service's is libcrypto's: compare the speeds with care."
}

since() {
	awk -v start="$1" -v end="$EPOCHREALTIME" 'BEGIN { print end - start }'
}

rate() {
	awk -v files="$files" -v seconds="$1" 'BEGIN { printf "%.0f", files / seconds }'
}

# shellcheck disable=SC2317 # called by the trap
clean_up() {
	[ -z "$killer" ] || kill "$killer" 2>/dev/null || true
	if [ -n "$server" ]; then
		kill -TERM "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	[ -z "$scratch" ] || rm -rf "$scratch"
}

main "$@"
