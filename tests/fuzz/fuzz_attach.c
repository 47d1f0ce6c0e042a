/*
 * fuzz_attach.c - the view of a segment that may be anything: a file of any size, or a
 * header that names any limits. A view that is handed out lies in its segment whole.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u
#define ROOM (UINT32_C(1) << 20)

/* The end of some memory with a wall behind it. */
static unsigned char *wall(void)
{
	static unsigned char *end;
	unsigned char *room;

	if (end)
		return end;
	room = mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED || mprotect(room + ROOM, PAGE, PROT_NONE) < 0)
		abort();
	end = room + ROOM;
	return end;
}

#define READ_LAST(array, count)                                           \
	do {                                                              \
		if ((count) > 0)                                          \
			fuzz_read(&(array)[(count)-1], sizeof(*(array))); \
	} while (0)

/* The last of each kind; they are in the order in which they lie. */
static void read_ends(const struct cadre_view *view)
{
	const struct cadre_limits *const limits = &view->limits;

	FUZZ_CHECK(view->slot_count == limits->clients * limits->slots);
	FUZZ_CHECK(view->seat_count == limits->workers + limits->locals);
	READ_LAST(view->worker_places, view->seat_count);
	READ_LAST(view->worker_bells, view->seat_count);
	READ_LAST(view->worker_aims, view->seat_count);
	READ_LAST(view->worker_stats, view->seat_count);
	READ_LAST(view->worker_crashes, view->seat_count);
	READ_LAST(view->log_rings, limits->workers + 1);
	READ_LAST(view->latencies, limits->workers * view->latency_lines + limits->locals);
	READ_LAST(view->client_perfs, limits->clients);
	READ_LAST(view->client_places, limits->clients);
	READ_LAST(view->client_bells, limits->clients);
	READ_LAST(view->client_lines, limits->clients);
	READ_LAST(view->slots, view->slot_count);
	READ_LAST(view->books, view->slot_count);
	READ_LAST(view->block_owners, view->plan.total);
	READ_LAST(view->start_data, limits->start_length);
	READ_LAST(view->events.records,
		  CADRE_EVENTS * cadre_annals_record_size(view->events.body_size));
	READ_LAST(view->crashes.records,
		  CADRE_CRASHES * cadre_annals_record_size(view->crashes.body_size));
	READ_LAST(view->kept.records,
		  CADRE_KEPT * cadre_annals_record_size(view->kept.body_size));
	READ_LAST(view->arena, view->plan.bytes);
}

static void try_view(struct cadre_segment segment)
{
	struct cadre_view view = { 0 };
	struct cadre_diag diag = { "" };
	const int r = cadre_layout_view(FUZZ_POOL, segment, &view, &diag);

	if (r == 0) {
		FUZZ_CHECK(view.size == segment.size);
		read_ends(&view);
	} else {
		FUZZ_CHECK(diag.text[0] && memchr(diag.text, 0, sizeof(diag.text)));
		FUZZ_CHECK(view.header == NULL);
	}
}

/* The input is the file. */
static void view_bytes(struct fuzz_script *script)
{
	const size_t size = (size_t)(script->end - script->next);
	unsigned char *const base = wall() - (size + 63) / 64 * 64;

	memcpy(base, script->next, size);
	try_view((struct cadre_segment){ .base = base, .size = size });
}

/* A header that is right but for its limits, in a segment of the size that they ask for. */
static void view_limits(struct fuzz_script *script)
{
	const struct cadre_view *const model = fuzz_segment(script);
	struct cadre_limits limits = model->limits;
	uint32_t *const small[] = { &limits.workers,  &limits.workers_min,
				    &limits.parallel, &limits.clients,
				    &limits.slots,    &limits.start_length,
				    &limits.locals };
	struct cadre_header *header;
	size_t size;

	for (unsigned i = 0; i < CADRE_COUNT_OF(small); i++) {
		const uint8_t kind = fuzz_byte(script);

		if (kind & 0x80)
			*small[i] = (uint32_t)fuzz_value(script, kind);
		else if (kind & 0x40)
			*small[i] = UINT32_C(1) << (kind & 31);
	}
	for (unsigned i = 0; i < 5; i++) {
		const uint8_t kind = fuzz_byte(script);

		if (kind & 0x80)
			*(&limits.payload_max + i) = fuzz_value(script, kind);
	}
	size = cadre_limits_check(&limits, NULL) == 0 ? cadre_layout_size(&limits) :
							model->size;
	size += (size_t)((fuzz_byte(script) & 3) * PAGE);
	if (size < sizeof(*header) || size > ROOM)
		return;
	header = (void *)(wall() - (size + 63) / 64 * 64);
	memcpy((void *)header, (const void *)model->header, sizeof(*header));
	header->limits = limits;
	try_view((struct cadre_segment){ .base = (void *)header, .size = size });
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = { .next = data, .end = data + size };

	if (size > ROOM / 2)
		return 0;
	if (fuzz_byte(&script) & 1)
		view_bytes(&script);
	else
		view_limits(&script);
	return 0;
}
