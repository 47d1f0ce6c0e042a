/*
 * messages.h - transports that carry messages, and how each of them is measured: one echo
 * process on the worker's CPU, one client on its own, both forked for each measurement.
 *
 * Bare rings are not measured this way: here each send and receive is a call through a
 * pointer, which would be a good part of theirs (ring_pair.h).
 */
#ifndef MESSAGES_H
#define MESSAGES_H

#include "bench.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One is open at a time; what it has open is its own business. All functions but those that
 * return nothing say 0 or negative errno, after saying why on standard error. */
struct transport {
	/* In the process that forks both sides: for messages of up to `size` bytes, of which
	 * `depth` are under way. How many it can hold each way, or -ENOTSUP as measure_fn. NULL:
	 * there is nothing to open, and it holds as many. */
	int (*open)(size_t size, unsigned depth);
	void (*close)(void); /* may be NULL */

	/* In each side, after the fork. May be NULL. */
	int (*join)(bool is_client);
	void (*leave)(void);

	int (*send)(const void *data, size_t length); /* waits for room */
	/* -EAGAIN when nothing is there and the caller does not wait (which it says of all). */
	int (*receive)(void *data, size_t length, bool waits);

	/* Receives and sends the same back, when it has a shorter way than these two; else
	 * NULL. -EAGAIN as above. */
	int (*answer)(size_t length, bool waits);

	/* The library has threads that work for it: they take turns with ours, and must not be
	 * kept from it by one with real-time priority. */
	bool has_threads;
};

/* A transport, and whether its receivers sleep or look again and again. */
struct messenger {
	const char *name;
	const struct transport *transport;
	bool waits;
};

/* Each gets a struct messenger. */
measure_fn messages_round_trip; /* ns: p50, p99.9 */
measure_fn messages_in_flight;  /* jobs per second, for each of BENCH_IN_FLIGHT */
measure_fn messages_payload;    /* us, for each of BENCH_SIZES */

#ifdef __cplusplus
}
#endif

#endif
