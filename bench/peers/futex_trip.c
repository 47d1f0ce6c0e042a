#include "futex_trip.h"
#include "peer.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TRIPS 20u
#define END UINT32_MAX

/* As long as a client of Cadre sleeps at most. Nobody here does: it costs its timer. */
static const struct timespec bound = { .tv_nsec = 200000000 };

struct words {
	alignas(128) _Atomic uint32_t there; /* the client */
	alignas(128) _Atomic uint32_t back;  /* the peer */
	alignas(128) uint32_t trips;         /* the client, private */
	const struct timespec *within;       /* of each sleep; before the peer starts */
};

static void say(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store(word, value);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Sleeps until the word is no longer `old`; the new value. */
static uint32_t hear(_Atomic uint32_t *word, uint32_t old, const struct timespec *within)
{
	uint32_t value;

	while ((value = atomic_load(word)) == old)
		syscall(SYS_futex, word, FUTEX_WAIT, old, within, NULL, 0);
	return value;
}

static void answer(void *shared)
{
	struct words *const words = shared;
	uint32_t seen = 0;

	while ((seen = hear(&words->there, seen, words->within)) != END)
		say(&words->back, seen);
}

static double trip(struct words *words)
{
	const int64_t start_ns = bench_now_ns();

	say(&words->there, ++words->trips);
	hear(&words->back, words->trips - 1, words->within);
	return (double)(bench_now_ns() - start_ns);
}

static double batch(void *shared)
{
	struct words *const words = shared;
	const int64_t start_ns = bench_now_ns();

	for (uint32_t i = 0; i < TRIPS; i++)
		trip(words);
	return (double)(bench_now_ns() - start_ns) / TRIPS;
}

typedef double client_fn(const struct bench *bench, struct words *words, double idle_s);

static double trip_after_rest(const struct bench *bench, struct words *words,
			      double idle_s)
{
	(void)bench;
	trip(words);
	bench_rest(idle_s);
	return trip(words);
}

static double median_trip(const struct bench *bench, struct words *words, double idle_s)
{
	(void)idle_s;
	return bench_median_batch(bench, batch, words);
}

static int measure(const struct bench *bench, client_fn *client, double idle_s,
		   const struct timespec *within, double *ret_ns)
{
	struct words *const words = peer_share(sizeof(*words));
	pid_t peer;
	int r;

	if (!words)
		return -ENOMEM;
	words->within = within;
	peer = peer_start(bench, answer, words);
	if (peer < 0)
		return peer;
	*ret_ns = client(bench, words, idle_s);
	say(&words->there, END);
	r = peer_await(peer);
	peer_unshare(words, sizeof(*words));
	return r;
}

int futex_first_trip(const struct bench *bench, double idle_s, double *ret_ns)
{
	return measure(bench, trip_after_rest, idle_s, NULL, ret_ns);
}

int futex_trip(const struct bench *bench, double *ret_ns)
{
	return measure(bench, median_trip, 0, NULL, ret_ns);
}

int futex_bounded_trip(const struct bench *bench, double *ret_ns)
{
	return measure(bench, median_trip, 0, &bound, ret_ns);
}
