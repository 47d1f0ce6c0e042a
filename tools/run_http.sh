#!/bin/bash
#
# run_http.sh - the example site, ready to be looked at: starts `cadre http`, says what to
# type, and ends with Ctrl-C.
#
#   usage: run_http.sh [--handoff] [ARGS OF cadre http]     (called by `./dev run http`)
#
# CADRE_BIN_DIR and CADRE_SERVICE_DIR say where the programs are.
#
# Exit status: that of `cadre http`.

set -euo pipefail

readonly cadre=${CADRE_BIN_DIR:-build/bin}/cadre
readonly site=${CADRE_SERVICE_DIR:-build/services}/web.so
readonly pool=web-$$

processors=$(nproc)
address=127.0.0.1:8080
# Somebody else may have that port; then any other will do.
if (exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null; then
	address=127.0.0.1:0
fi

# Its first line says where it listens; the explanation waits for that.
exec 3>&2
"$cadre" http --service "$site" --name "$pool" --workers "$processors" --start "$PWD" \
	--listen "$address" --access-log - "$@" 2> >(
	IFS= read -r first || exit 0
	echo "$first" >&3
	url=$(grep -o 'http://[^,]*/' <<<"$first" || true)
	[ -z "$url" ] || cat >&3 <<END

  ${url}                  a page of 20 pictures, each from whichever worker was free
  ${url}hello?name=you
  ${url}burn?ms=1000      one second of CPU time
  ${url}sleep?ms=1000     one second of waiting
  ${url}files/README.md   a file under $PWD
  ${url}crash             the end of a worker, and of nothing else
  curl --data-binary @photo.jpg '${url}thumbnail?w=200' >small.jpg

  The question that this answers: how many requests of one second in ten seconds?
    wrk -d 10 -c 8 -t 8 --timeout 30s '${url}burn?ms=1000'
  Where to look meanwhile:
    $cadre stat $pool        and, live, $cadre top $pool
  New code without a failed request:
    $cadre ctl $pool reload
  The other way, with the connections themselves passed to the workers:
    ./dev run http --handoff

  Ctrl-C ends it. What follows is the access log.

END
	exec cat >&3
)
