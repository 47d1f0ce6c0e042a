/*
 * fuzz_report.c - reading the counters of a pool whose segment holds anything, through a
 * mapping that cannot be written.
 */
#include "fuzz.h"

#include <cadre/log.h>
#include <cadre/report.h>

#include <string.h>

static void look_at_worker(const struct cadre_worker_snapshot *worker)
{
	FUZZ_CHECK(strchr("_SWBGHXD.?", worker->letter));
	FUZZ_CHECK(worker->uptime_ns >= 0 && worker->idle_ns >= 0 &&
		   worker->running_ns >= 0 && worker->retry_in_ns >= 0 &&
		   worker->spent_idle_ns >= 0 && worker->spent_busy_ns >= 0 &&
		   worker->spent_blocked_ns >= 0);
	FUZZ_CHECK(worker->waiting.p50_ns <= worker->waiting.max_ns);
}

static void compare(struct cadre_sampler *sampler, const struct cadre_report *report)
{
	FUZZ_CHECK(cadre_sampler_take(sampler, report) == 0);
	FUZZ_CHECK(cadre_sampler_pool(sampler)->jobs_per_s >= 0);
	FUZZ_CHECK(cadre_sampler_pool(sampler)->load >= 0);
	FUZZ_CHECK(cadre_sampler_pool(sampler)->interval_s >= 0);
}

static void look_at_events(const struct cadre_report *report)
{
	const struct cadre_event_info *event;
	const struct cadre_refused_info *refused;
	static unsigned char request[8192];

	for (uint32_t i = 0; (event = cadre_report_event(report, i)); i++) {
		const struct cadre_backtrace *const trace = cadre_report_crash(report,
									       event);

		FUZZ_CHECK(memchr(event->sentence, 0, sizeof(event->sentence)));
		FUZZ_CHECK(memchr(event->words, 0, sizeof(event->words)));
		FUZZ_CHECK(event->data_length <= sizeof(event->data));
		FUZZ_CHECK(event->other_count <= CADRE_EVENT_OTHERS_MAX);
		FUZZ_CHECK(!trace || trace->frame_count <= CADRE_BACKTRACE_FRAMES);
	}
	for (uint32_t i = 0; (refused = cadre_report_refused(report, i)); i++)
		FUZZ_CHECK(cadre_report_refused_request(report, refused->id, request,
							sizeof(request)) <=
			   (int64_t)sizeof(request));
}

/* What dying workers and clients wrote. Raw: no file is opened that it names. */
static void look_at_words(const struct cadre_report *report)
{
	static char text[1 << 16];
	struct cadre_backtrace trace;
	struct cadre_perf perf;

	for (uint32_t i = 0; i < 4; i++) {
		if (cadre_report_backtrace(report, i, 0, &trace) == 0)
			FUZZ_CHECK(cadre_backtrace_format(&trace, CADRE_BACKTRACE_RAW, text,
							  sizeof(text)) < sizeof(text));
		for (uint32_t at = 0; at <= CADRE_PERF_COUNTERS_MAX; at++) {
			if (cadre_report_perf(report, i, at, &perf) == 0)
				FUZZ_CHECK(memchr(perf.name, 0, sizeof(perf.name)));
		}
	}
}

static void hear(const struct cadre_log_line *line, void *context)
{
	static char text[2048];

	(void)context;
	FUZZ_CHECK(strlen(line->text) <= CADRE_LOG_TEXT_MAX);
	FUZZ_CHECK(cadre_log_format(line, text, sizeof(text)) < sizeof(text));
}

static void read_log(const char *pool)
{
	struct cadre_log *log;

	if (cadre_log_open(pool, true, &log, NULL) < 0)
		return;
	cadre_log_read(log, hear, NULL);
	cadre_log_read(log, hear, NULL);
	cadre_log_close(log);
}

static void look_at(struct cadre_report *report)
{
	const struct cadre_pool_snapshot *const pool = cadre_report_read(report);

	FUZZ_CHECK(memchr(pool->state, 0, sizeof(pool->state)));
	FUZZ_CHECK(pool->worker_count >= pool->workers_max);
	FUZZ_CHECK(pool->client_count <= pool->clients_max);
	for (uint32_t i = 0; i <= pool->worker_count; i++) {
		const struct cadre_worker_snapshot *const worker =
			cadre_report_worker(report, i);

		FUZZ_CHECK(!worker == (i == pool->worker_count));
		if (!worker)
			break;
		look_at_worker(worker);
		cadre_report_operation(report, worker->operation);
	}
	for (uint32_t i = 0; i < pool->client_count; i++) {
		const struct cadre_client_snapshot *const client =
			cadre_report_client(report, i);

		FUZZ_CHECK(memchr(client->state, 0, sizeof(client->state)));
		FUZZ_CHECK(client->slots_used <= pool->window_slots);
	}
	for (uint32_t i = 0; i < pool->locals_max; i++) {
		const struct cadre_guest_snapshot *const guest = cadre_report_guest(report,
										    i);

		FUZZ_CHECK(strchr("_SWBGHXD.?", guest->letter));
		FUZZ_CHECK(memchr(guest->program, 0, sizeof(guest->program)));
		FUZZ_CHECK(guest->total.p50_ns <= guest->total.max_ns);
	}
	FUZZ_CHECK(!cadre_report_guest(report, pool->locals_max));
	for (uint32_t i = 0; i < pool->operation_count; i++) {
		const struct cadre_operation_snapshot *const operation =
			cadre_report_operation_at(report, i);

		FUZZ_CHECK(memchr(operation->name, 0, sizeof(operation->name)));
		FUZZ_CHECK(operation->total.p50_ns <= operation->total.max_ns);
	}
	for (int32_t id = 1; id < 4; id++) {
		const char *const name = cadre_report_operation(report, id);

		FUZZ_CHECK(!name || strlen(name) < CADRE_CACHE_LINE);
	}
	look_at_events(report);
	look_at_words(report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = { .next = data, .end = data + size };
	struct cadre_sampler *sampler;
	struct cadre_report *report;
	unsigned looks = 0;
	uint8_t operation;

	fuzz_segment(&script);
	fuzz_segment_protect();
	if (cadre_report_open(FUZZ_POOL, &report, NULL) < 0)
		return 0;
	FUZZ_CHECK(cadre_sampler_open(&sampler) == 0);
	do {
		const bool more = fuzz_next(&script, &operation);

		fuzz_machine.alone = more && operation & 1;
		look_at(report);
		compare(sampler, report);
	} while (script.next < script.end && ++looks < 4);
	read_log(FUZZ_POOL);
	cadre_sampler_close(sampler);
	cadre_report_close(report);
	return 0;
}
