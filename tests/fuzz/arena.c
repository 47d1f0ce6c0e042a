/*
 * arena.c - the segment of the targets, and the scripts that damage it.
 *
 * It lies in a memory file that is mapped twice: once between two walls, where the target
 * finds it, and once aside, where pokes, the rogue and fickle reads write. So the target's
 * own mapping may be read-only while its bytes change.
 */
#include "fuzz.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u
#define HOT_MAX 4096

static struct {
	struct cadre_view view;
	size_t size;
	unsigned char *front; /* between the walls */
	unsigned char *back;  /* the same bytes, aside */
	unsigned char *whole; /* as a fresh pool is */
	/* Where the words lie that somebody decides by. */
	uint32_t hot[HOT_MAX];
	_Atomic uint32_t hot_count;
	uint32_t attach_from, attach_to; /* of these, those that only an attach reads */
} arena;

/* Small, so that a short script reaches everything. */
static const struct cadre_limits limits = {
	.workers = 2,
	.workers_min = 1,
	.parallel = 2,
	.clients = 2,
	.slots = 4,
	.start_length = 16,
	.locals = 1,
	.payload_max = 3000,
	.block_bytes = 16384,
	.grace_ns = 1000000,
	.orphan_ns = 1000000000,
	.spin_ns = -1,
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

_Noreturn void fuzz_broken(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: broken: %s\n", file, line, condition);
	abort();
}

/* ---- the script ---- */

uint8_t fuzz_byte(struct fuzz_script *script)
{
	return script->next < script->end ? *script->next++ : 0;
}

uint64_t fuzz_number(struct fuzz_script *script, unsigned bytes)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < bytes; i++)
		number |= (uint64_t)fuzz_byte(script) << 8 * i;
	return number;
}

/* A slot's word with parts that can stand together. */
static uint64_t word_value(struct fuzz_script *script)
{
	const uint32_t bits = (uint32_t)fuzz_number(script, 3);

	return cadre_word_pack((struct cadre_word){
		.phase = (enum cadre_phase)(bits & 7),
		.flags = bits >> 3 & 15,
		.outcome = (enum cadre_outcome)(bits >> 7 & 7),
		.attempt = bits >> 10 & 15,
		.owner = bits >> 14 & 3,
		.generation = bits >> 16 & 7,
	});
}

uint64_t fuzz_value(struct fuzz_script *script, unsigned kind)
{
	switch (kind & 7) {
	case 0:
		return fuzz_number(script, 8);
	case 1:
		return fuzz_byte(script);
	case 2:
		return UINT64_MAX - fuzz_byte(script);
	case 3:
		return (UINT64_C(1) << 63) + fuzz_byte(script);
	case 4:
		return (UINT64_C(1) << 63) - 1 - fuzz_byte(script);
	case 5:
		return word_value(script);
	case 6: /* A time not far from now. */
		return (uint64_t)fuzz_machine.now_ns + (fuzz_number(script, 2) << 10) -
		       (UINT64_C(1) << 25);
	default: /* Lower half only: two small numbers side by side. */
		return fuzz_byte(script) | (uint64_t)fuzz_byte(script) << 32;
	}
}

static void poke(struct fuzz_script *script, unsigned how)
{
	const uint32_t at = arena.hot[fuzz_number(script, 2) % arena.hot_count];
	const uint64_t value = fuzz_value(script, how);

	/* One byte, or all eight. */
	if (how & 0x40)
		arena.back[at + (how >> 3 & 7)] = (unsigned char)value;
	else
		memcpy(arena.back + at, &value, sizeof(value));
}

bool fuzz_next(struct fuzz_script *script, uint8_t *ret_operation)
{
	while (script->next < script->end) {
		const uint8_t instruction = fuzz_byte(script);

		if (instruction & 0x80) {
			*ret_operation = instruction & 0x7f;
			return true;
		}
		poke(script, instruction);
	}
	return false;
}

/* ---- words that change just before they are read ---- */

static uint64_t fickle; /* 0: they do not */

#if defined(CADRE_FUZZ_FICKLE)
#define BLIND __attribute__((no_sanitize("coverage", "address", "undefined")))

BLIND static void before_load(const void *address, size_t length)
{
	const size_t at = (size_t)((const unsigned char *)address - arena.front);

	if (!fickle || at >= arena.size)
		return;
	/* xorshift64 by G. Marsaglia. */
	fickle ^= fickle << 13;
	fickle ^= fickle >> 7;
	fickle ^= fickle << 17;
	if (fickle % 16 != 0)
		return;
	for (size_t i = 0; i < length && at + i < arena.size; i++)
		arena.back[at + i] = (unsigned char)(fickle % 3 == 0 ?
							     fickle >> 8 * (i % 8) :
						     fickle % 5 == 0 ?
							     0xff :
							     (i ? 0 : fickle >> 32));
}

void __sanitizer_cov_load1(const uint8_t *address);
void __sanitizer_cov_load2(const uint16_t *address);
void __sanitizer_cov_load4(const uint32_t *address);
void __sanitizer_cov_load8(const uint64_t *address);
void __sanitizer_cov_load16(const __int128 *address);

BLIND void __sanitizer_cov_load1(const uint8_t *address)
{
	before_load(address, 1);
}

BLIND void __sanitizer_cov_load2(const uint16_t *address)
{
	before_load(address, 2);
}

BLIND void __sanitizer_cov_load4(const uint32_t *address)
{
	before_load(address, 4);
}

BLIND void __sanitizer_cov_load8(const uint64_t *address)
{
	before_load(address, 8);
}

BLIND void __sanitizer_cov_load16(const __int128 *address)
{
	before_load(address, 16);
}
#endif

/* ---- the segment ---- */

void fuzz_add_hot(const void *start, size_t length)
{
	const size_t at = (size_t)((const unsigned char *)start - arena.front);
	uint32_t count = arena.hot_count;

	for (size_t i = 0; i + 8 <= length && count < HOT_MAX; i += 8)
		arena.hot[count++] = (uint32_t)(at + i);
	/* The rogue may be at it. */
	atomic_store(&arena.hot_count, count);
}

static void find_hot_words(void)
{
	const struct cadre_view *const view = &arena.view;
	const struct cadre_header *const header = view->header;

	for (uint32_t i = 0; i < view->slot_count; i++) {
		const struct cadre_slot *const slot = &view->slots[i];

		fuzz_add_hot(&slot->request,
			     offsetof(struct cadre_request_lines, payload));
		fuzz_add_hot(&slot->request.deadline_ns, 16);
		fuzz_add_hot(&slot->reply,
			     offsetof(struct cadre_reply_lines, payload) + 8);
		fuzz_add_hot(&slot->reply.taken_ns, 16);
		fuzz_add_hot(&view->books[i], sizeof(view->books[i]));
	}
	for (uint32_t i = 0; i < view->limits.clients; i++) {
		fuzz_add_hot(&view->client_lines[i].hints.tail, 8);
		fuzz_add_hot(&view->client_lines[i].hints.cursor, 8);
		fuzz_add_hot(&view->client_places[i], sizeof(view->client_places[i]));
		fuzz_add_hot(&view->client_bells[i], 8);
	}
	for (uint32_t i = 0; i < view->seat_count; i++) {
		fuzz_add_hot(&view->worker_aims[i], 8);
		fuzz_add_hot(&view->worker_places[i], sizeof(view->worker_places[i]));
		fuzz_add_hot(&view->worker_stats[i], 2 * CADRE_CACHE_LINE);
		fuzz_add_hot(cadre_view_latencies(view, i), 2 * CADRE_CACHE_LINE);
		fuzz_add_hot(&view->worker_stats[i].place, 64);
		fuzz_add_hot(&view->worker_bells[i], 8);
	}
	fuzz_add_hot(view->block_owners, view->plan.total * sizeof(*view->block_owners));
	fuzz_add_hot(&header->state, 64);
	fuzz_add_hot(&header->wish_to_grow, 8);
	fuzz_add_hot(&header->crew.up, 8);
	fuzz_add_hot(&header->crew.sleepers, 8);
	fuzz_add_hot(&header->crew.engaged, 8);
	fuzz_add_hot(&header->guests.sleepers, 8);
	fuzz_add_hot(&header->leased, 8);
	fuzz_add_hot(&header->active, 8);
	fuzz_add_hot(&header->counters, 64);
	fuzz_add_hot(&header->operations, 3 * sizeof(header->operations[0]));
	arena.attach_from = arena.hot_count;
	fuzz_add_hot(header, offsetof(struct cadre_header, state));
	arena.attach_to = arena.hot_count;
}

/* A pool with one client, two workers, and nothing to do. */
static void open_pool(const struct cadre_view *view)
{
	struct cadre_header *const header = view->header;

	for (unsigned i = 0; i < 3; i++) {
		header->operations[i].id = (int32_t)i + 1;
		snprintf(header->operations[i].name, sizeof(header->operations[i].name),
			 "operation-%u", i + 1);
	}
	atomic_store(&header->state, CADRE_POOL_OPEN);
	atomic_store(&view->client_places[0].state,
		     cadre_place_pack_owned(CADRE_PLACE_UP, 1, 1));
	for (unsigned i = 0; i < view->limits.workers; i++) {
		atomic_store(&view->worker_places[i].state,
			     cadre_place_pack_owned(CADRE_PLACE_UP, 1, 1));
		cadre_mask_set(&header->crew.up, i);
	}
	cadre_mask_set(&header->leased, 0);
	cadre_mask_set(&header->active, 0);
	atomic_store(&header->ready, 1);
}

static void map_between_walls(size_t size)
{
	const int fd = memfd_create("fuzz", MFD_CLOEXEC);
	unsigned char *const room = mmap(NULL, size + 2 * PAGE, PROT_NONE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 || room == MAP_FAILED)
		die("fuzz: no memory");
	arena.size = size;
	arena.front = mmap(room + PAGE, size, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, fd, 0);
	arena.back = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	arena.whole = malloc(size);
	if (arena.front == MAP_FAILED || arena.back == MAP_FAILED || !arena.whole)
		die("fuzz: no memory");
	close(fd);
}

static void build(void)
{
	struct cadre_segment segment;
	struct cadre_view made;
	struct cadre_diag diag = { "" };
	char name[CADRE_NAME_MAX + 1];

	snprintf(name, sizeof(name), "fuzz-%d", (int)getpid());
	if (cadre_layout_create(name, &limits, 0600, &made, &diag) < 0) {
		fprintf(stderr, "fuzz: %s\n", diag.text);
		exit(1);
	}
	cadre_segment_remove(name);
	open_pool(&made);
	map_between_walls(made.size);
	memcpy(arena.whole, made.segment.base, made.size);
	memcpy(arena.back, arena.whole, made.size);
	cadre_layout_close(&made);

	segment = (struct cadre_segment){ .base = arena.front, .size = arena.size };
	if (cadre_layout_view(FUZZ_POOL, segment, &arena.view, &diag) < 0) {
		fprintf(stderr, "fuzz: %s\n", diag.text);
		exit(1);
	}
	find_hot_words();
}

struct cadre_view *fuzz_segment(struct fuzz_script *script)
{
	uint8_t seed;

	if (!arena.front)
		build();
	fickle = 0;
	fuzz_leash_rogue(true);
	memcpy(arena.back, arena.whole, arena.size);
	fuzz_machine_begin();
	seed = fuzz_byte(script);
	if (seed & 0x80)
		fickle = fuzz_number(script, 4) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	fuzz_leash_rogue(false);
	return &arena.view;
}

struct cadre_segment fuzz_mapped(void)
{
	return (struct cadre_segment){ .base = arena.front, .size = arena.size };
}

void fuzz_segment_protect(void)
{
	if (mprotect(arena.front, arena.size, PROT_READ) < 0)
		die("fuzz: mprotect");
}

void fuzz_read(const void *data, size_t length)
{
	const volatile unsigned char *const bytes = data;

	for (size_t i = 0; i < length; i++)
		(void)bytes[i];
}

/* ---- the rogue ---- */

static atomic_bool leashed;

void fuzz_leash_rogue(bool leash)
{
	atomic_store(&leashed, leash);
}

static void *overwrite(void *argument)
{
	uint64_t random = UINT64_C(0x9e3779b97f4a7c15);

	(void)argument;
	for (;;) {
		volatile unsigned char *at;
		uint32_t which;

		if (atomic_load_explicit(&leashed, memory_order_relaxed)) {
			cadre_pause();
			continue;
		}
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		which = (uint32_t)(random % arena.hot_count);
		if (which >= arena.attach_from && which < arena.attach_to)
			continue;
		at = arena.back + arena.hot[which];
		at[random >> 32 & 7] = (unsigned char)(random >> 40);
		/* A worker whose place is overwritten leaves: let it live for a while. */
		for (uint64_t pauses = random >> 48 & 255; pauses > 0; pauses--)
			cadre_pause();
	}
	return NULL;
}

void fuzz_unleash_rogue(void)
{
	pthread_t thread;

	if (!arena.front)
		build();
	if (pthread_create(&thread, NULL, overwrite, NULL) != 0)
		die("fuzz: no thread");
	pthread_detach(thread);
}
