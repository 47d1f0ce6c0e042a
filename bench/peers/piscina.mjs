// piscina.mjs - empty jobs per second through piscina, a pool of threads for Node.
//
// usage: node piscina.mjs NPM_DIRECTORY SLICES SLICE_MS
//
// Prints RESULT and the rates with 1, 8 and 64 jobs in flight: medians over the slices, after
// one slice that warms up. One worker; so many callers, each of whom awaits its job and submits
// the next one. Threads of Node cannot be bound to a CPU each.

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";

const IN_FLIGHT = [1, 8, 64];

// What the worker does.
export default function empty() {}

function median(values) {
	const sorted = [...values].sort((a, b) => a - b);

	return sorted[Math.floor(sorted.length / 2)];
}

async function measureSlice(pool, inFlight, ms) {
	const start = performance.now();
	let jobs = 0;

	async function call() {
		while (performance.now() - start < ms) {
			await pool.run();
			jobs++;
		}
	}
	await Promise.all(Array.from({ length: inFlight }, call));
	return (jobs * 1000) / (performance.now() - start);
}

async function measure(pool, inFlight, slices, ms) {
	const rates = [];

	await measureSlice(pool, inFlight, ms);
	for (let i = 0; i < slices; i++)
		rates.push(await measureSlice(pool, inFlight, ms));
	return median(rates);
}

async function main() {
	const [directory, slices, ms] = process.argv.slice(2);
	const { Piscina } = createRequire(`${directory}/`)("piscina");
	const filename = fileURLToPath(import.meta.url);
	const pool = new Piscina({ filename, minThreads: 1, maxThreads: 1 });
	const medians = [];

	for (const inFlight of IN_FLIGHT)
		medians.push(await measure(pool, inFlight, Number(slices), Number(ms)));
	console.log("RESULT", ...medians);
	await pool.destroy();
}

if (isMainThread)
	await main();
