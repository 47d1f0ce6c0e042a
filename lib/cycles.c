#include "cycles.h"
#include "clock.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define VALID_NS (5 * CADRE_NS_PER_MS)
#define RATE_KNOWN_NS (20 * CADRE_NS_PER_US) /* after that a rate is measured */
#define BASE_NS (10 * CADRE_NS_PER_S)        /* after that it is measured anew */
/* The looks at the two clocks are a microsecond apart at most. */
#define DOUBT_NS (5 * CADRE_NS_PER_US)

/* ---- trust ---- */

static bool kernel_trusts_it(void)
{
	char name[8] = "";
	const int fd =
		open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
		     O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return false;
	length = read(fd, name, sizeof(name) - 1);
	close(fd);
	return length >= 3 && strncmp(name, "tsc", 3) == 0;
}

bool cadre_cycles_are_trusted(void)
{
	enum { UNKNOWN = 0, NO, YES };
	static _Atomic int trust;
	/* Relaxed: whoever comes first finds the same. */
	int known = atomic_load_explicit(&trust, memory_order_relaxed);

	if (known == UNKNOWN) {
		known = cadre_cycles_now() != 0 && kernel_trusts_it() ? YES : NO;
		atomic_store_explicit(&trust, known, memory_order_relaxed);
	}
	return known == YES;
}

/* ---- anchors ---- */

static int64_t counted_ns(const struct cadre_anchor *anchor, uint64_t cycles)
{
	return (int64_t)(((unsigned __int128)(cycles - anchor->cycles) * anchor->rate) >>
			 32);
}

static bool is_credible(const struct cadre_anchor *anchor, uint64_t cycles, int64_t ns)
{
	const int64_t passed_ns = ns - anchor->ns;
	const int64_t doubt_ns = DOUBT_NS + passed_ns / 1024;

	if (anchor->base_ns == 0 || cycles <= anchor->cycles || passed_ns < -DOUBT_NS)
		return false;
	return anchor->rate == 0 || (counted_ns(anchor, cycles) - passed_ns < doubt_ns &&
				     passed_ns - counted_ns(anchor, cycles) < doubt_ns);
}

static void begin(struct cadre_anchor *anchor, uint64_t cycles, int64_t ns)
{
	*anchor = (struct cadre_anchor){
		.cycles = cycles, .ns = ns, .base_cycles = cycles, .base_ns = ns
	};
}

/* The latest time that the anchor may have told: past its validity it told none, and a rate
 * that is a little wrong would be much ahead after a long sleep. */
static int64_t last_said_ns(const struct cadre_anchor *anchor, uint64_t cycles)
{
	const uint64_t end = anchor->cycles + anchor->valid;

	return anchor->ns + counted_ns(anchor, cycles < end ? cycles : end);
}

void cadre_anchor_move(struct cadre_anchor *anchor, uint64_t cycles, int64_t ns)
{
	const int64_t measured_ns = ns - anchor->base_ns;
	int64_t said_ns;

	if (!is_credible(anchor, cycles, ns)) {
		begin(anchor, cycles, ns);
		return;
	}
	said_ns = last_said_ns(anchor, cycles);
	anchor->cycles = cycles;
	/* Who saw a time sees none before it. */
	anchor->ns = ns > said_ns ? ns : said_ns;
	if (measured_ns > BASE_NS) {
		anchor->base_cycles = cycles;
		anchor->base_ns = ns;
		return;
	}
	if (measured_ns < RATE_KNOWN_NS)
		return;
	anchor->rate = (uint64_t)(((unsigned __int128)measured_ns << 32) /
				  (cycles - anchor->base_cycles));
	/* Good for as long as it was measured, at most. */
	anchor->valid = anchor->rate ?
				((uint64_t)(measured_ns < VALID_NS ? measured_ns : VALID_NS)
				 << 32) /
					anchor->rate :
				0;
}
