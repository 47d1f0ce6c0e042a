#include "parcel.h"
#include "diag.h"
#include "platform.h"

#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

/* Where a function lies. All zero: there is no function. */
struct origin {
	uint64_t mark;    /* of the object */
	uint32_t path_at; /* likewise */
};

struct packed_operation {
	struct cadre_operation operation;
	struct origin origin;
	uint32_t name_at;
};

/* What the bytes begin with; behind it come texts and start arguments. Pointers to data are
 * places in the bytes here, 0 for NULL; those to functions are what they are. */
struct packed {
	uint64_t length; /* of all */
	struct cadre_pool_options options;
	struct cadre_service service;
	struct origin init, fini;
	uint32_t pool_at, start_at, service_at;
	uint32_t has_service;
	struct packed_operation operations[CADRE_OPERATIONS_MAX];
};

/* ---- objects ---- */

struct object {
	uint64_t address; /* that is looked for */
	uint64_t mark;    /* 0: lies in none */
	const char *path;
};

static uint64_t mix(uint64_t mark, const void *bytes, size_t length)
{
	const unsigned char *const byte = bytes;

	/* FNV-1a */
	for (size_t i = 0; i < length; i++)
		mark = (mark ^ byte[i]) * UINT64_C(0x100000001b3);
	return mark;
}

/* Whether such a part of the object is mapped there, with these permissions at least. */
static bool is_mapped(const struct dl_phdr_info *info, uint64_t address, uint64_t length,
		      uint32_t permissions)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *const part = &info->dlpi_phdr[i];
		const uint64_t from = info->dlpi_addr + part->p_vaddr;

		if (part->p_type == PT_LOAD &&
		    (part->p_flags & permissions) == permissions && address >= from &&
		    address - from < part->p_memsz &&
		    length <= part->p_memsz - (address - from))
			return true;
	}
	return false;
}

/* Another file at the same address, or the same one built anew, has another mark: where it
 * lies, what it is called, what its headers say, and its notes, of which one is the build id. */
static uint64_t mark_of(const struct dl_phdr_info *info)
{
	uint64_t mark = UINT64_C(0xcbf29ce484222325);

	mark = mix(mark, &info->dlpi_addr, sizeof(info->dlpi_addr));
	mark = mix(mark, info->dlpi_name, strlen(info->dlpi_name));
	mark = mix(mark, info->dlpi_phdr, info->dlpi_phnum * sizeof(*info->dlpi_phdr));
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *const part = &info->dlpi_phdr[i];
		const uint64_t at = info->dlpi_addr + part->p_vaddr;

		if (part->p_type == PT_NOTE && is_mapped(info, at, part->p_memsz, PF_R))
			mark = mix(mark, (const void *)at, part->p_memsz);
	}
	return mark ? mark : 1;
}

static int look_at(struct dl_phdr_info *info, size_t size, void *context)
{
	struct object *const object = context;

	(void)size;
	if (!is_mapped(info, object->address, 1, PF_X))
		return 0;
	object->mark = mark_of(info);
	object->path = info->dlpi_name[0] ? info->dlpi_name : "the program itself";
	return 1;
}

static struct object object_of(uint64_t function)
{
	struct object object = { .address = function };

	dl_iterate_phdr(look_at, &object);
	return object;
}

/* ---- packing ---- */

struct packer {
	struct packed head;
	char *bytes; /* behind the head's room */
	size_t length;
	size_t room;
	const char *stray; /* what the first function is called that lies nowhere */
	bool is_short_of_memory;
};

/* Appends; returns where that stands. */
static uint32_t append(struct packer *packer, const void *data, size_t length)
{
	const size_t at = packer->length;

	if (length > packer->room - at) {
		const size_t room = 2 * packer->room + length;
		char *const bytes = realloc(packer->bytes, room);

		if (!bytes || room > UINT32_MAX) {
			packer->is_short_of_memory = true;
			packer->bytes = bytes ? bytes : packer->bytes;
			return 0;
		}
		packer->bytes = bytes;
		packer->room = room;
	}
	memcpy(packer->bytes + at, data, length);
	packer->length = at + length;
	return (uint32_t)at;
}

static uint32_t append_text(struct packer *packer, const char *text)
{
	return text ? append(packer, text, strlen(text) + 1) : 0;
}

static struct origin origin_of(struct packer *packer, uint64_t function,
			       const char *called)
{
	struct object object;

	if (!function)
		return (struct origin){ 0 };
	object = object_of(function);
	if (!object.mark && !packer->stray)
		packer->stray = called;
	return (struct origin){ .mark = object.mark,
				.path_at = append_text(packer, object.path) };
}

static void pack_service(struct packer *packer, const struct cadre_service *service)
{
	struct packed *const head = &packer->head;

	head->has_service = 1;
	head->service = *service;
	head->service.name = NULL;
	head->service.operations = NULL;
	head->service_at = append_text(packer, service->name);
	head->init = origin_of(packer, (uintptr_t)service->init, "init");
	head->fini = origin_of(packer, (uintptr_t)service->fini, "fini");
	for (size_t i = 0; i < service->operation_count; i++) {
		const struct cadre_operation *const operation = &service->operations[i];

		head->operations[i] = (struct packed_operation){
			.operation = { .id = operation->id, .handler = operation->handler },
			.origin = origin_of(packer, (uintptr_t)operation->handler,
					    operation->name),
			.name_at = append_text(packer, operation->name),
		};
	}
}

int cadre_parcel_pack(const struct cadre_service *service,
		      const struct cadre_pool_options *options, void **ret_bytes,
		      size_t *ret_length, struct cadre_diag *diag)
{
	struct packer packer = { .head.options = *options,
				 .length = sizeof(struct packed) };
	int r = 0;

	packer.room = 2 * sizeof(struct packed);
	packer.bytes = malloc(packer.room);
	if (!packer.bytes)
		return cadre_refuse(diag, -ENOMEM, "out of memory");
	packer.head.options.name = NULL;
	packer.head.options.start_data = NULL;
	packer.head.options.log = NULL;
	packer.head.options.log_context = NULL;
	packer.head.pool_at = append_text(&packer, options->name);
	if (options->start_length)
		packer.head.start_at = append(&packer, options->start_data,
					      options->start_length);
	if (service)
		pack_service(&packer, service);
	/* The last byte is the end of a text, so every text has one. */
	append(&packer, "", 1);

	if (packer.is_short_of_memory)
		r = cadre_refuse(diag, -ENOMEM, "out of memory");
	else if (packer.stray)
		r = cadre_refuse(
			diag, -EINVAL,
			"cannot start pool \"%s\": \"%.47s\" lies in no object that "
			"the program has loaded, so its fork server cannot have it",
			options->name, packer.stray);
	if (r < 0) {
		free(packer.bytes);
		return r;
	}
	packer.head.length = packer.length;
	memcpy(packer.bytes, &packer.head, sizeof(packer.head));
	*ret_bytes = packer.bytes;
	*ret_length = packer.length;
	return 0;
}

/* ---- unpacking ---- */

struct unpacker {
	const struct packed *head;
	const char *bytes;
	size_t length;
	const char *pool;
	struct cadre_diag *diag;
	bool is_damaged;
	bool is_refused;
};

/* What stands there, so long at least. NULL for 0, and for what cannot be. */
static const void *data_at(struct unpacker *unpacker, uint32_t at, size_t length)
{
	if (at == 0)
		return NULL;
	if (at < sizeof(struct packed) || at >= unpacker->length ||
	    length > unpacker->length - at) {
		unpacker->is_damaged = true;
		return NULL;
	}
	return unpacker->bytes + at;
}

static void check_function(struct unpacker *unpacker, uint64_t function,
			   const struct origin *origin, const char *called)
{
	const char *const path = data_at(unpacker, origin->path_at, 1);

	/* Nothing is packed that lies nowhere, so a mark is never 0. */
	if (!function || unpacker->is_refused ||
	    (origin->mark && object_of(function).mark == origin->mark))
		return;
	unpacker->is_refused = true;
	cadre_refuse(unpacker->diag, -EINVAL,
		     "cannot start pool \"%s\": \"%.47s\" lies in %.250s, which was loaded "
		     "after the fork server was started (load it before)",
		     unpacker->pool, called ? called : "", path ? path : "an object");
}

static void unpack_service(struct unpacker *unpacker, struct cadre_parcel *parcel)
{
	const struct packed *const head = unpacker->head;

	parcel->service = head->service;
	parcel->service.name = data_at(unpacker, head->service_at, 1);
	parcel->service.operations = parcel->operations;
	check_function(unpacker, (uintptr_t)head->service.init, &head->init, "init");
	check_function(unpacker, (uintptr_t)head->service.fini, &head->fini, "fini");
	for (size_t i = 0; i < head->service.operation_count; i++) {
		const struct packed_operation *const packed = &head->operations[i];
		struct cadre_operation *const operation = &parcel->operations[i];

		*operation = packed->operation;
		operation->name = data_at(unpacker, packed->name_at, 1);
		check_function(unpacker, (uintptr_t)operation->handler, &packed->origin,
			       operation->name);
	}
}

int cadre_parcel_unpack(const void *bytes, size_t length, struct cadre_parcel *ret_parcel,
			struct cadre_diag *diag)
{
	static const char damaged[] = "these are no options and service of this program";
	struct unpacker unpacker = {
		.head = bytes, .bytes = bytes, .length = length, .diag = diag
	};

	if (length <= sizeof(struct packed) || unpacker.head->length != length ||
	    unpacker.bytes[length - 1] != '\0' ||
	    unpacker.head->service.operation_count > CADRE_OPERATIONS_MAX)
		return cadre_refuse(diag, -EBADMSG, "%s", damaged);
	*ret_parcel = (struct cadre_parcel){ .options = unpacker.head->options,
					     .has_service = unpacker.head->has_service !=
							    0 };
	ret_parcel->options.name = data_at(&unpacker, unpacker.head->pool_at, 1);
	ret_parcel->options.start_data = data_at(&unpacker, unpacker.head->start_at,
						 ret_parcel->options.start_length);
	ret_parcel->options.log = NULL;
	ret_parcel->options.log_context = NULL;
	unpacker.pool = ret_parcel->options.name ? ret_parcel->options.name : "";
	if (ret_parcel->has_service)
		unpack_service(&unpacker, ret_parcel);
	if (unpacker.is_damaged)
		return cadre_refuse(diag, -EBADMSG, "%s", damaged);
	return unpacker.is_refused ? -EINVAL : 0;
}
