/*
 * fuzz_name.c - names: of a pool as anybody may type it, of operations as anybody may have
 * written them into the segment.
 */
#include "fuzz.h"

#include "client.h"

#include <string.h>

static void check_name(const char *name)
{
	struct cadre_diag diag = { "" };
	char path[CADRE_PATH_SIZE];

	if (cadre_name_check(name, &diag) < 0) {
		FUZZ_CHECK(diag.text[0] && memchr(diag.text, 0, sizeof(diag.text)));
		return;
	}
	FUZZ_CHECK(strlen(name) <= CADRE_NAME_MAX && !strchr(name, '/'));
	for (int file = CADRE_FILE_SEGMENT; file <= CADRE_FILE_LOCK; file++) {
		cadre_path(name, (enum cadre_file)file, path);
		FUZZ_CHECK(strncmp(path, "/dev/shm/cadre.", 15) == 0);
		FUZZ_CHECK(strstr(path, name));
	}
}

/* The input stands in the table, as it is, line after line. */
static void find_operation(const struct cadre_view *view, struct fuzz_script *script,
			   const char *name)
{
	struct cadre_client client = { .view = *view };
	struct cadre_operation_line *const lines = view->header->operations;
	const size_t rest = (size_t)(script->end - script->next);
	const size_t room = sizeof(view->header->operations);
	int32_t id;

	memcpy((void *)lines, script->next, rest < room ? rest : room);
	id = cadre_client_operation(&client, name);
	FUZZ_CHECK(id > 0 || id == -ENOENT);
	id = cadre_client_operation(&client, "operation-1");
	FUZZ_CHECK(id > 0 || id == -ENOENT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = { .next = data, .end = data + size };
	const struct cadre_view *const view = fuzz_segment(&script);
	char name[120];
	size_t length = fuzz_byte(&script);

	if (length >= sizeof(name))
		length = sizeof(name) - 1;
	for (size_t i = 0; i < length; i++)
		name[i] = (char)fuzz_byte(&script);
	name[length] = '\0';
	check_name(name);
	find_operation(view, &script, name);
	return 0;
}
