#!/bin/bash
#
# browser.sh - a browser loads a page and its 20 pictures, both ways. Chromium is too large to
# be installed for a test, so this runs where it is: exit status 77 says that it was skipped.
#
# CADRE_BIN_DIR and CADRE_SERVICE_DIR say where the programs are.

set -euo pipefail

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
	echo "there is no chromium here"
	exit 77
}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/cadre-browser.XXXXXX")
server=

clean_up() {
	[ -z "$server" ] || kill -TERM "$server" 2>/dev/null || true
	[ -z "$server" ] || wait "$server" || true
	rm -rf "$scratch"
}
trap clean_up EXIT

look() {
	local url='' pictures sound

	"$CADRE_BIN_DIR/cadre" http --service "$CADRE_SERVICE_DIR/web.so" --workers 2 \
		--listen 127.0.0.1:0 --access-log "$scratch/log" "$@" 2>"$scratch/said" &
	server=$!
	for _ in $(seq 300); do
		url=$(grep -o 'http://[^,]*/' "$scratch/said" || true)
		[ -z "$url" ] || ! grep -q ready "$scratch/said" || break
		sleep 0.1
	done
	timeout 60 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
		--user-data-dir="$scratch/profile" --virtual-time-budget=5000 \
		--screenshot="$scratch/page.png" "$url" >/dev/null 2>&1
	kill -TERM "$server"
	wait "$server"
	server=

	pictures=$(grep -c '"GET /tile?n=[0-9]* HTTP/1.1" 200 ' "$scratch/log")
	sound=$(grep -c '" 200 \|"GET /favicon.ico HTTP/1.1" 404 ' "$scratch/log")
	if [ "$pictures" -ne 20 ] || [ "$sound" -ne "$(wc -l <"$scratch/log")" ]; then
		echo "of 20 pictures $pictures came:"
		cat "$scratch/said" "$scratch/log"
		exit 1
	fi
	rm "$scratch/log"
}

look
look --handoff
