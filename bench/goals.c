/*
 * goals.c - what the measurements shall show. Ratios within one round, on this kind of machine:
 * two CPUs of a virtual machine that are near each other in one second and far in the next.
 */
#include "bench.h"

#define AT_MOST(value) .at_least = false, .limit = (value)
#define AT_LEAST(value) .at_least = true, .limit = (value)

const struct goal bench_goals[] = {
	{ "round_trip",
	  "a 64-byte job there and back, beside a cache line there and back",
	  { "round_trip", "cadre", "p50" },
	  { "round_trip", "line", "p50" },
	  AT_MOST(1.75) },
	{ "asleep",
	  "a job there and back when both sides sleep, beside two bare futexes",
	  { "waiting", "cadre asleep", "as is" },
	  { "waiting", "futex", "as is" },
	  AT_MOST(1.25) },
	{ "asleep_kept_awake",
	  "the same while the CPUs are kept from halting",
	  { "waiting", "cadre asleep", "kept awake" },
	  { "waiting", "futex", "kept awake" },
	  AT_MOST(1.25) },
	{ "asleep_one_core",
	  "the same on one CPU for both",
	  { "waiting", "cadre asleep", "one core" },
	  { "waiting", "futex", "one core" },
	  AT_MOST(1.25) },
	{ "adaptive_hot",
	  "call upon call with the default, beside two that always spin",
	  { "waiting", "cadre adaptive", "hot" },
	  { "waiting", "cadre spinning", "hot" },
	  AT_MOST(1.15) },
	{ "adaptive_one_core",
	  "the same on one CPU for both, beside two bare futexes",
	  { "waiting", "cadre adaptive", "one core" },
	  { "waiting", "futex", "one core" },
	  AT_MOST(1.5) },
	{ "in_flight",
	  "jobs per second with 64 in flight, beside a bare SPSC pair",
	  { "in_flight", "cadre", "64" },
	  { "in_flight", "spsc", "64" },
	  AT_LEAST(0.65) },
	{ "in_batches",
	  "jobs per second in batches, beside a bare SPSC pair",
	  { "in_flight", "cadre batch", "64" },
	  { "in_flight", "spsc", "64" },
	  AT_LEAST(0.9) },
	{ "counting",
	  "jobs per second with counters and histograms, beside without",
	  { "in_flight", "cadre", "64" },
	  { "in_flight", "cadre uncounted", "64" },
	  AT_LEAST(0.95) },
	{ "idle",
	  "CPU seconds in 5 s of a pool and its client that have nothing to do",
	  { "idle", "cadre", "CPU" },
	  { .question = NULL },
	  AT_MOST(0.010) },
};

const size_t bench_goal_count = COUNT_OF(bench_goals);
