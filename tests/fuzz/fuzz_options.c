/*
 * fuzz_options.c - what people and other programs tell us before there is a segment: numbers
 * on command lines, the options of a pool, and CADRE_WORKER in the environment of a worker
 * program. Whatever is taken must be what it says, and usable.
 */
#include "fuzz.h"

#include "options.h"
#include "supervisor.h"
#include "worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 200

static char text[TEXT_MAX + 1];

static void read_text(struct fuzz_script *script)
{
	size_t length = fuzz_byte(script);

	if (length > TEXT_MAX)
		length = TEXT_MAX;
	for (size_t i = 0; i < length; i++)
		text[i] = (char)fuzz_byte(script);
	text[length] = '\0';
}

/* ---- command lines ---- */

/* A number that was taken is the same when it is written out, leading zeros aside. */
static void check_number(void)
{
	uint64_t number = 7;
	char again[32];

	if (!cadre_parse_number(text, 3, UINT64_MAX / 3, &number)) {
		FUZZ_CHECK(number == 7);
		return;
	}
	FUZZ_CHECK(number >= 3 && number <= UINT64_MAX / 3);
	snprintf(again, sizeof(again), "%" PRIu64, number);
	FUZZ_CHECK(strcmp(text + strspn(text, "0"), again) == 0);
}

static void check_size(void)
{
	size_t size = 7;
	const bool taken = cadre_parse_size(text, &size);

	FUZZ_CHECK(taken || size == 7);
	FUZZ_CHECK(!taken || strspn(text, "0123456789") >= strlen(text) - 1);
}

static void check_duration(void)
{
	int64_t ns = 7;
	const bool taken = cadre_parse_duration(text, &ns);

	FUZZ_CHECK(taken || ns == 7);
	FUZZ_CHECK(ns >= 0 && ns <= INT64_C(3155760000) * 1000000000);
	FUZZ_CHECK(!taken || (text[0] >= '0' && text[0] <= '9'));
}

/* ---- CADRE_WORKER ---- */

/* What was taken can be written down again, and then says the same. */
static void check_seat(void)
{
	char pool[CADRE_NAME_MAX + 1], pool_again[CADRE_NAME_MAX + 1];
	char again[CADRE_NAME_MAX + 100], worker[12];
	struct cadre_seat seat, other;
	bool probe, other_probe;

	if (!cadre_seat_parse(text, pool, &seat, &probe))
		return;
	FUZZ_CHECK(cadre_name_check(pool, NULL) == 0);
	FUZZ_CHECK(seat.worker < CADRE_WORKERS_MAX);
	FUZZ_CHECK(seat.start_fd >= 0 && seat.created_ns >= 0);
	snprintf(worker, sizeof(worker), "%u", seat.worker);
	snprintf(again, sizeof(again), "%s:%s:%u:%d:%" PRId64, pool, probe ? "-" : worker,
		 seat.incarnation, seat.start_fd, seat.created_ns);
	FUZZ_CHECK(cadre_seat_parse(again, pool_again, &other, &other_probe));
	FUZZ_CHECK(strcmp(pool, pool_again) == 0 && probe == other_probe);
	FUZZ_CHECK(seat.worker == other.worker && seat.incarnation == other.incarnation &&
		   seat.start_fd == other.start_fd && seat.created_ns == other.created_ns);
}

/* ---- options of a pool ---- */

/* Options that were taken have a segment whose size can be told. */
static void check_pool_options(struct fuzz_script *script)
{
	struct cadre_pool_options options = { .size = sizeof(options) };
	struct cadre_diag diag = { "" };
	struct cadre_limits limits;
	int r;

	options.workers_min = (uint32_t)fuzz_value(script, fuzz_byte(script));
	options.workers_max = (uint32_t)fuzz_value(script, fuzz_byte(script));
	options.workers_limit = (uint32_t)fuzz_value(script, fuzz_byte(script));
	options.parallel = (uint32_t)fuzz_value(script, fuzz_byte(script));
	options.clients_max = (uint32_t)fuzz_value(script, fuzz_byte(script));
	options.window_slots = (uint32_t)fuzz_value(script, fuzz_byte(script));
	options.payload_max = fuzz_value(script, fuzz_byte(script));
	options.block_bytes = fuzz_value(script, fuzz_byte(script));
	options.start_length = fuzz_value(script, fuzz_byte(script));
	options.start_data = fuzz_byte(script) & 1 ? text : NULL;
	options.grace_ns = (int64_t)fuzz_value(script, fuzz_byte(script));
	options.hang_ns = (int64_t)fuzz_value(script, fuzz_byte(script));
	options.orphan_ns = (int64_t)fuzz_value(script, fuzz_byte(script));
	options.spin_ns = (int64_t)fuzz_value(script, fuzz_byte(script));
	r = cadre_pool_options_complete(&options, &diag);
	if (r == 0) {
		limits = cadre_pool_limits(&options);
		r = cadre_limits_check(&limits, &diag);
	}
	FUZZ_CHECK(r == 0 || r == -EINVAL);
	FUZZ_CHECK((r == 0) == (diag.text[0] == '\0'));
	if (r < 0)
		return;
	/* A pool may hold local workers only. */
	FUZZ_CHECK(limits.workers <= CADRE_WORKERS_MAX);
	FUZZ_CHECK(limits.workers + limits.locals >= 1);
	FUZZ_CHECK(limits.workers + limits.locals <= CADRE_WORKERS_MAX);
	FUZZ_CHECK(limits.workers_min <= limits.workers);
	FUZZ_CHECK(cadre_layout_size(&limits) > limits.payload_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = { .next = data, .end = data + size };

	read_text(&script);
	check_number();
	check_size();
	check_duration();
	check_seat();
	check_pool_options(&script);
	return 0;
}
