/*
 * killpoint.c - kills this process at a labelled line; part of the tests' build only.
 *
 * CADRE_KILL_AT="W6:3" in the environment kills the process when it passes the point W6
 * for the third time; a fork starts counting anew. A test that wants to choose after the
 * start of the process calls cadre_kill_at.
 */
#include "killpoint.h"
#include "platform.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static char chosen_label[16];
static atomic_uint passes_left;
static int chosen_signal = SIGKILL;

void cadre_kill_at(const char *label, unsigned passes, int signal_number)
{
	atomic_store(&passes_left, 0);
	strncpy(chosen_label, label, sizeof(chosen_label) - 1);
	chosen_signal = signal_number;
	atomic_store(&passes_left, passes);
}

__attribute__((constructor)) static void read_environment(void)
{
	const char *const wish = getenv("CADRE_KILL_AT");
	const char *const colon = wish ? strchr(wish, ':') : NULL;
	char label[sizeof(chosen_label)] = "";

	if (!colon || (size_t)(colon - wish) >= sizeof(label))
		return;
	memcpy(label, wish, (size_t)(colon - wish));
	cadre_kill_at(label, (unsigned)strtoul(colon + 1, NULL, 10), SIGKILL);
}

void cadre_kill_point(const char *label)
{
	if (atomic_load_explicit(&passes_left, memory_order_relaxed) == 0 ||
	    strcmp(label, chosen_label) != 0)
		return;
	/* To this thread: of several, another one would take it, and this one go on meanwhile. */
	if (atomic_fetch_sub(&passes_left, 1) == 1)
		raise(chosen_signal);
}
