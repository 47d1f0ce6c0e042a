/*
 * fuzz_check.c - the walk of `cadre check` through a segment that holds anything, and that
 * changes between its looks.
 */
#include "fuzz.h"

#include <cadre/check.h>

#include <string.h>

static void hear(const char *sentence, void *context)
{
	(void)context;
	FUZZ_CHECK(sentence[0] && strlen(sentence) < 1000);
}

static void slept(void *context)
{
	uint8_t operation;

	fuzz_next(context, &operation);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = { .next = data, .end = data + size };
	struct cadre_balance balance = { 0 };
	uint8_t operation = 0;
	int findings;

	fuzz_segment(&script);
	fuzz_segment_protect();
	fuzz_next(&script, &operation);
	fuzz_machine.alone = operation & 1;
	fuzz_machine.slept = slept;
	fuzz_machine.context = &script;
	findings = cadre_check_balance(FUZZ_POOL, &balance, hear, NULL, NULL);
	FUZZ_CHECK(findings <= 257);
	return 0;
}
