/*
 * fuzz_parcel.c - what a keeper that was forked by the fork server reads from its line: bytes of a
 * program that may have gone mad. What is taken points into the bytes and at functions, and what
 * the keeper and its supervisor look at first finds nothing that it cannot look at.
 */
#include "fuzz.h"

#include "parcel.h"
#include "supervisor.h"

#include <link.h>
#include <stdlib.h>
#include <string.h>

#define ROOM (64u << 10)

/* ---- a parcel that was packed ---- */

static void shout(struct cadre_job *job, void *state)
{
	(void)state;
	(void)job;
}

static int begin(const struct cadre_start *start, void **ret_state,
		 struct cadre_diag *diag)
{
	(void)start;
	(void)ret_state;
	(void)diag;
	return 0;
}

static int end(void *state)
{
	(void)state;
	return 0;
}

static void *pack(uint8_t how, size_t *ret_length)
{
	static const struct cadre_operation operations[] = { { 7, "shout", shout },
							     { 300, "echo", shout } };
	static const struct cadre_service service = { .size = sizeof(service),
						      .name = "voices",
						      .operations = operations,
						      .operation_count = 2,
						      .init = begin,
						      .fini = end };
	const struct cadre_pool_options options = { .size = sizeof(options),
						    .name = FUZZ_POOL,
						    .workers_max = how & 1 ? CADRE_NONE :
									     2,
						    .start_data = how & 2 ? "data" : NULL,
						    .start_length = how & 2 ? 5 : 0 };
	void *bytes;

	if (cadre_parcel_pack(how & 1 ? NULL : &service, &options, &bytes, ret_length,
			      NULL) < 0)
		abort();
	return bytes;
}

/* ---- what may be taken ---- */

struct bytes {
	const char *start;
	size_t length;
};

static void check_data(const struct bytes *bytes, const void *data, size_t length)
{
	const char *const at = data;

	if (!at)
		return;
	FUZZ_CHECK(at >= bytes->start && at < bytes->start + bytes->length);
	FUZZ_CHECK(length <= (size_t)(bytes->start + bytes->length - at));
	fuzz_read(at, length);
}

static void check_text(const struct bytes *bytes, const char *text)
{
	if (!text)
		return;
	check_data(bytes, text, 1);
	check_data(bytes, text, strlen(text) + 1);
}

struct code {
	uint64_t address;
	bool is_code;
};

static int look_at(struct dl_phdr_info *info, size_t size, void *context)
{
	struct code *const code = context;

	(void)size;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *const part = &info->dlpi_phdr[i];

		code->is_code |= part->p_type == PT_LOAD && part->p_flags & PF_X &&
				 code->address - info->dlpi_addr - part->p_vaddr <
					 part->p_memsz;
	}
	return code->is_code;
}

/* It will be called. */
static void check_function(uint64_t address)
{
	struct code code = { .address = address };

	if (address)
		dl_iterate_phdr(look_at, &code);
	FUZZ_CHECK(!address || code.is_code);
}

static void check_parcel(const struct bytes *bytes, struct cadre_parcel *parcel)
{
	const struct cadre_source source = { .service = parcel->has_service ?
								&parcel->service :
								NULL };
	struct cadre_diag diag = { "" };

	check_text(bytes, parcel->options.name);
	check_data(bytes, parcel->options.start_data, parcel->options.start_length);
	check_function((uintptr_t)parcel->options.log);
	if (source.service) {
		FUZZ_CHECK(parcel->service.operation_count <= CADRE_OPERATIONS_MAX);
		FUZZ_CHECK(parcel->service.operations == parcel->operations);
		check_text(bytes, parcel->service.name);
		check_function((uintptr_t)parcel->service.init);
		check_function((uintptr_t)parcel->service.fini);
		for (size_t i = 0; i < parcel->service.operation_count; i++) {
			check_text(bytes, parcel->operations[i].name);
			check_function((uintptr_t)parcel->operations[i].handler);
		}
	}
	/* As the supervisor does. */
	(void)cadre_name_check(parcel->options.name, &diag);
	if (cadre_pool_options_complete(&parcel->options, &diag) == 0 &&
	    parcel->options.start_length)
		fuzz_read(parcel->options.start_data, parcel->options.start_length);
	(void)cadre_source_check(&source, &parcel->options, &diag);
}

/* ---- the script ---- */

/* So that the bytes end at a wall: a byte too far is no part of it. */
static void unpack(const void *data, size_t length)
{
	static struct cadre_parcel parcel;
	struct cadre_diag diag = { "" };
	char *const copy = malloc(length ? length : 1);
	const struct bytes bytes = { .start = copy, .length = length };
	int r;

	if (!copy)
		abort();
	if (length)
		memcpy(copy, data, length);
	r = cadre_parcel_unpack(copy, length, &parcel, &diag);
	FUZZ_CHECK(r == 0 || r == -EINVAL || r == -EBADMSG);
	FUZZ_CHECK((r < 0) == (diag.text[0] != '\0'));
	if (r == 0)
		check_parcel(&bytes, &parcel);
	free(copy);
}

/* Words anywhere in a parcel, its length with it, and what is cut off or comes behind. */
static void damage(struct fuzz_script *script)
{
	static unsigned char room[ROOM];
	const uint8_t how = fuzz_byte(script);
	size_t length;
	void *const packed = pack(how, &length);

	if (length > ROOM - 512)
		abort();
	memset(room, 0, sizeof(room));
	memcpy(room, packed, length);
	free(packed);
	if (how & 4)
		length -= fuzz_byte(script);
	if (how & 8)
		length += fuzz_byte(script);
	if (how & 12)
		memcpy(room, &(uint64_t){ length }, sizeof(uint64_t));
	while (script->next < script->end) {
		const uint8_t kind = fuzz_byte(script);
		const size_t any = fuzz_number(script, 2) % length;
		const size_t at = kind & 0x80 ? any : any & ~(size_t)3;
		const uint64_t value = fuzz_value(script, kind);
		const size_t size = kind & 0x40 ? 1 : kind & 0x20 ? 4 : 8;

		memcpy(room + at, &value, size);
	}
	unpack(room, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = { .next = data, .end = data + size };

	fuzz_machine_begin();
	if (fuzz_byte(&script) & 1)
		unpack(script.next, (size_t)(script.end - script.next));
	else
		damage(&script);
	return 0;
}
