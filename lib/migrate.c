#include "migrate.h"
#include "clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A worker that is not about to sleep for so long shares its CPU no longer. */
#define BREAK_NS (5 * CADRE_NS_PER_MS)
/* So often before the first look at what the other CPUs do, so often before the second. */
#define SIGHTED_FIRST 50
#define SIGHTED_ENOUGH 200
/* Between them: three ticks. */
#define WATCHED_NS (30 * CADRE_NS_PER_MS)
#define PAUSE_FIRST_NS (100 * CADRE_NS_PER_MS)
#define PAUSE_MOST_NS (10 * CADRE_NS_PER_S)

int cadre_idleness_read(struct cadre_idleness *ret_idleness)
{
	FILE *const file = fopen("/proc/stat", "re");
	unsigned long long user, nice, system, idle;
	char line[256];
	unsigned cpu;

	memset(ret_idleness, 0, sizeof(*ret_idleness));
	if (!file)
		return -errno;
	ret_idleness->at_ns = cadre_clock_ns();
	while (fgets(line, sizeof(line), file) && strncmp(line, "cpu", 3) == 0) {
		if (sscanf(line, "cpu%u %llu %llu %llu %llu", &cpu, &user, &nice, &system,
			   &idle) == 5 &&
		    cpu < CADRE_MIGRATE_CPUS)
			ret_idleness->ticks[cpu] = (uint32_t)idle;
	}
	fclose(file);
	return 0;
}

uint32_t cadre_idleness_choose(const struct cadre_idleness *before,
			       const struct cadre_idleness *after,
			       const cpu_set_t *allowed, uint32_t here)
{
	const int64_t tick_ns = CADRE_NS_PER_S / sysconf(_SC_CLK_TCK);
	/* Two thirds of the time, in whole ticks. */
	uint32_t most = (uint32_t)((after->at_ns - before->at_ns) * 2 / 3 / tick_ns);
	uint32_t chosen = 0;

	if (most == 0)
		return 0;
	for (uint32_t cpu = 0; cpu < CADRE_MIGRATE_CPUS; cpu++) {
		const uint32_t idle = after->ticks[cpu] - before->ticks[cpu];

		if (cpu + 1 == here || !CPU_ISSET(cpu, allowed) || idle < most)
			continue;
		/* The idlest; the next one only when it was idle for longer. */
		most = idle + 1;
		chosen = cpu + 1;
	}
	return chosen;
}

int cadre_migrate_to(uint32_t cpu)
{
	cpu_set_t allowed, only;

	if (cpu == 0 || cpu > CADRE_MIGRATE_CPUS)
		return -EINVAL;
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return -errno;
	if (!CPU_ISSET(cpu - 1, &allowed))
		return -EINVAL;
	CPU_ZERO(&only);
	CPU_SET(cpu - 1, &only);
	if (sched_setaffinity(0, sizeof(only), &only) < 0 ||
	    sched_setaffinity(0, sizeof(allowed), &allowed) < 0)
		return -errno;
	return 0;
}

static void begin(struct cadre_migration *migration, uint32_t here)
{
	migration->here = here;
	migration->sighted = 0;
	migration->has_before = false;
}

/* The second look. */
static bool go(struct cadre_migration *migration, int64_t now_ns)
{
	struct cadre_idleness after;
	cpu_set_t allowed;
	uint32_t chosen;

	migration->pause_ns = migration->pause_ns ? migration->pause_ns * 2 :
						    PAUSE_FIRST_NS;
	if (migration->pause_ns > PAUSE_MOST_NS)
		migration->pause_ns = PAUSE_MOST_NS;
	migration->resume_ns = now_ns + migration->pause_ns;
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0 ||
	    cadre_idleness_read(&after) < 0)
		return false;
	chosen = cadre_idleness_choose(&migration->before, &after, &allowed,
				       migration->here);
	return chosen != 0 && cadre_migrate_to(chosen) == 0;
}

bool cadre_migration_sight(struct cadre_migration *migration, uint32_t here,
			   int64_t now_ns)
{
	bool moved;

	if (now_ns < migration->resume_ns)
		return false;
	if (here != migration->here || now_ns - migration->last_ns > BREAK_NS)
		begin(migration, here);
	migration->last_ns = now_ns;
	migration->sighted++;
	if (!migration->has_before) {
		migration->has_before = migration->sighted >= SIGHTED_FIRST &&
					cadre_idleness_read(&migration->before) == 0;
		return false;
	}
	if (migration->sighted < SIGHTED_ENOUGH ||
	    now_ns - migration->before.at_ns < WATCHED_NS)
		return false;
	moved = go(migration, now_ns);
	begin(migration, 0);
	return moved;
}
