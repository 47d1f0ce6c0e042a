#include "crash.h"

#include <errno.h>
#include <string.h>

#define LOOKS_MAX 4

void cadre_crash_begin(struct cadre_crash *crash, uint32_t incarnation, int32_t pid)
{
	atomic_store_explicit(&crash->word,
			      cadre_crash_pack(CADRE_CRASH_WRITING, incarnation, pid),
			      memory_order_relaxed);
	/* Z1: nothing of the record is written before the word says so. Pairs with Z4. */
	atomic_thread_fence(memory_order_release);
}

void cadre_crash_complete(struct cadre_crash *crash, uint32_t incarnation, int32_t pid)
{
	/* Z2: release, pairs with Z3: who sees the record complete sees all of it. */
	atomic_store_explicit(&crash->word,
			      cadre_crash_pack(CADRE_CRASH_COMPLETE, incarnation, pid),
			      memory_order_release);
}

/* The copy is private, so what is checked is what is used. */
void cadre_crash_make_possible(struct cadre_backtrace *trace)
{
	if (trace->module_count > CADRE_BACKTRACE_MODULES)
		trace->module_count = CADRE_BACKTRACE_MODULES;
	if (trace->frame_count > CADRE_BACKTRACE_FRAMES)
		trace->frame_count = CADRE_BACKTRACE_FRAMES;
	for (uint32_t i = 0; i < CADRE_BACKTRACE_MODULES; i++) {
		struct cadre_module *const module = &trace->modules[i];

		module->path[CADRE_BACKTRACE_PATH - 1] = '\0';
		if (module->build_id_length > CADRE_BUILD_ID_MAX)
			module->build_id_length = 0;
	}
	for (uint32_t i = 0; i < CADRE_BACKTRACE_FRAMES; i++) {
		if (trace->frames[i].module >= trace->module_count)
			trace->frames[i].module = CADRE_NO_MODULE;
	}
}

int cadre_crash_read(const struct cadre_crash *crash, int32_t pid,
		     struct cadre_backtrace *ret_trace)
{
	for (int look = 0; look < LOOKS_MAX; look++) {
		/* Z3: acquire, pairs with Z2. */
		const uint64_t word = atomic_load_explicit(&crash->word,
							   memory_order_acquire);
		struct cadre_backtrace copy;

		if ((word & 255) != CADRE_CRASH_COMPLETE ||
		    (pid != 0 && cadre_crash_pid_of(word) != pid))
			return -ENOENT;
		memcpy(&copy, &crash->trace, sizeof(copy));
		/* Z4: pairs with Z1: a record that was overwritten while we copied it says so. */
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&crash->word, memory_order_relaxed) != word)
			continue;
		cadre_crash_make_possible(&copy);
		/* The word named them before the record was begun. */
		copy.pid = cadre_crash_pid_of(word);
		copy.incarnation = cadre_crash_incarnation_of(word);
		*ret_trace = copy;
		return 0;
	}
	return -ENOENT;
}
