-- wrk.lua - what wrk is to say at its end: requests per second, p50 and p99 in microseconds,
-- and how many requests went wrong.

function done(summary, latency)
	local e = summary.errors

	io.write(string.format("RESULT %f %f %f %d\n",
		summary.requests * 1e6 / summary.duration,
		latency:percentile(50), latency:percentile(99),
		e.connect + e.read + e.write + e.timeout + e.status))
end
