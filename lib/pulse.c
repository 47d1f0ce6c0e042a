#include "pulse.h"
#include "clock.h"

#include <stdlib.h>
#include <time.h>

#define PPM 1e6

/* How fast the means forget. */
static const double horizons_s[2] = { 10, 60 };

/* The fields of one scope that a beat writes; both scopes have them by the same names. */
struct gauges {
	_Atomic uint64_t *load_1s, *load[2], *load_max, *load_max_unix_s;
	_Atomic uint64_t *rate_1s, *rate[2];
};

#define GAUGES(counters)                                                  \
	{                                                                 \
		.load_1s = &(counters)->load_1s,                          \
		.load = { &(counters)->load_10s, &(counters)->load_60s }, \
		.load_max = &(counters)->load_max,                        \
		.load_max_unix_s = &(counters)->load_max_unix_s,          \
		.rate_1s = &(counters)->rate_1s,                          \
		.rate = { &(counters)->rate_10s, &(counters)->rate_60s }, \
	}

static struct gauges gauges_of_place(const struct cadre_view *view, uint32_t worker)
{
	struct cadre_place_counters *const counters = &view->worker_stats[worker].place;

	return (struct gauges)GAUGES(counters);
}

static struct gauges gauges_of_pool(const struct cadre_view *view)
{
	struct cadre_pool_counters *const counters = &view->header->counters;

	return (struct gauges)GAUGES(counters);
}

/* What a predecessor left, in so far as it can be. */
static void inherit(struct cadre_pulse_point *point, struct gauges gauges)
{
	for (unsigned i = 0; i < CADRE_COUNT_OF(horizons_s); i++) {
		const uint64_t load = cadre_count_read(gauges.load[i]);
		const uint64_t rate = cadre_count_read(gauges.rate[i]);

		point->load[i] = (double)load <= PPM ? (double)load / PPM : 0;
		point->rate[i] = (double)rate <= PPM * PPM ? (double)rate / 1000 : 0;
	}
}

int cadre_pulse_init(struct cadre_pulse *pulse, const struct cadre_view *view)
{
	*pulse = (struct cadre_pulse){ .view = view };
	pulse->places = calloc(view->limits.workers, sizeof(*pulse->places));
	if (!pulse->places)
		return -ENOMEM;
	for (uint32_t worker = 0; worker < view->limits.workers; worker++)
		inherit(&pulse->places[worker], gauges_of_place(view, worker));
	inherit(&pulse->pool, gauges_of_pool(view));
	return 0;
}

void cadre_pulse_fini(struct cadre_pulse *pulse)
{
	free(pulse->places);
	pulse->places = NULL;
}

/* Sums as of now. False: they were being changed, or nobody ever sat there. */
static bool read_sums(const struct cadre_place_stats *stats, int64_t now_ns,
		      struct cadre_pulse_point *ret_sums)
{
	int64_t since_ns, spent_ns[CADRE_ACTIVITY_COUNT];
	enum cadre_activity activity;

	if (!cadre_stats_times(stats, now_ns, &activity, &since_ns, spent_ns))
		return false;
	*ret_sums = (struct cadre_pulse_point){ .known = true };
	for (unsigned i = CADRE_ACTIVITY_IDLE; i < CADRE_ACTIVITY_COUNT; i++) {
		/* Nothing that stands there makes a sum overflow. */
		if (spent_ns[i] < 0 || spent_ns[i] > INT64_MAX / 8)
			return false;
		ret_sums->all_ns += spent_ns[i];
	}
	ret_sums->busy_ns = spent_ns[CADRE_ACTIVITY_BUSY];
	ret_sums->jobs = cadre_count_read(&stats->worker.jobs_ok) +
			 cadre_count_read(&stats->worker.jobs_failed) +
			 cadre_count_read(&stats->worker.jobs_timed_out) +
			 cadre_count_read(&stats->worker.jobs_late) +
			 cadre_count_read(&stats->place.jobs_lost) +
			 cadre_count_read(&stats->place.jobs_refused) +
			 cadre_count_read(&stats->place.jobs_buried);
	return ret_sums->all_ns > 0;
}

/* What was added since the sums before; nothing when they are not known, or went back. */
static struct cadre_pulse_point difference(const struct cadre_pulse_point *before,
					   const struct cadre_pulse_point *now)
{
	if (!before->known || now->busy_ns < before->busy_ns ||
	    now->all_ns < before->all_ns || now->jobs < before->jobs)
		return (struct cadre_pulse_point){ 0 };
	return (struct cadre_pulse_point){
		.known = true,
		.busy_ns = now->busy_ns - before->busy_ns,
		.all_ns = now->all_ns - before->all_ns,
		.jobs = now->jobs - before->jobs,
	};
}

static double at_most_1(double ratio)
{
	return ratio < 1 ? ratio : 1;
}

/* A mean that forgets: what is older than its horizon counts for about a third. */
static double forget(double mean, double now, double seconds, double horizon_s)
{
	return mean + (now - mean) * seconds / (horizon_s + seconds);
}

static void write_down(struct cadre_pulse_point *point, struct gauges gauges,
		       const struct cadre_pulse_point *added, double seconds)
{
	const double load = added->all_ns > 0 ? at_most_1((double)added->busy_ns /
							  (double)added->all_ns) :
						0;
	const double rate = (double)added->jobs / seconds;

	cadre_count_set(gauges.load_1s, (uint64_t)(load * PPM));
	cadre_count_set(gauges.rate_1s, (uint64_t)(rate * 1000));
	for (unsigned i = 0; i < CADRE_COUNT_OF(horizons_s); i++) {
		point->load[i] = forget(point->load[i], load, seconds, horizons_s[i]);
		point->rate[i] = forget(point->rate[i], rate, seconds, horizons_s[i]);
		cadre_count_set(gauges.load[i], (uint64_t)(point->load[i] * PPM));
		cadre_count_set(gauges.rate[i], (uint64_t)(point->rate[i] * 1000));
	}
	/* Of one who was not there for nearly all of it, it was no second. */
	if ((double)added->all_ns < 0.9 * seconds * (double)CADRE_NS_PER_S ||
	    (uint64_t)(load * PPM) <= cadre_count_read(gauges.load_max))
		return;
	cadre_count_set(gauges.load_max, (uint64_t)(load * PPM));
	cadre_count_set(gauges.load_max_unix_s, (uint64_t)time(NULL));
}

/* Takes the sums of one place; adds what came since the last beat to the pool's. */
static void beat_place(struct cadre_pulse *pulse, uint32_t worker, int64_t now_ns,
		       double seconds, struct cadre_pulse_point *pool)
{
	struct cadre_pulse_point *const point = &pulse->places[worker];
	struct cadre_pulse_point sums, added;

	if (!read_sums(&pulse->view->worker_stats[worker], now_ns, &sums)) {
		point->known = false;
		return;
	}
	added = difference(point, &sums);
	point->known = true;
	point->busy_ns = sums.busy_ns;
	point->all_ns = sums.all_ns;
	point->jobs = sums.jobs;
	if (seconds <= 0 || !added.known)
		return;
	pool->busy_ns += added.busy_ns;
	pool->all_ns += added.all_ns;
	pool->jobs += added.jobs;
	write_down(point, gauges_of_place(pulse->view, worker), &added, seconds);
}

void cadre_pulse_beat(struct cadre_pulse *pulse, int64_t now_ns)
{
	const double seconds = pulse->last_ns > 0 ? (double)(now_ns - pulse->last_ns) /
							    (double)CADRE_NS_PER_S :
						    0;
	struct cadre_pulse_point pool = { 0 };

	if (pulse->last_ns > 0 && now_ns < cadre_pulse_next_ns(pulse))
		return;
	for (uint32_t worker = 0; worker < pulse->view->limits.workers; worker++)
		beat_place(pulse, worker, now_ns, seconds, &pool);
	pulse->last_ns = now_ns;
	if (seconds > 0)
		write_down(&pulse->pool, gauges_of_pool(pulse->view), &pool, seconds);
}
