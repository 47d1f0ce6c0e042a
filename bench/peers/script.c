#include "script.h"
#include "command.h"
#include "pools.h"

#include <stdio.h>
#include <unistd.h>

static const char python_script[] = BENCH_PEERS_DIR "/python.py";
static const char piscina_script[] = BENCH_PEERS_DIR "/piscina.mjs";
static const char piscina_module[] = BENCH_NPM_DIR "/node_modules/piscina";

/* What each script is told, as text. */
struct orders {
	char worker_cpu[16], slices[16], slice_ms[16];
};

static struct orders orders_of(const struct bench *bench)
{
	struct orders orders;

	snprintf(orders.worker_cpu, sizeof(orders.worker_cpu), "%d", bench->worker_cpu);
	snprintf(orders.slices, sizeof(orders.slices), "%u", pools_slices(bench));
	snprintf(orders.slice_ms, sizeof(orders.slice_ms), "%d", POOLS_SLICE_MS);
	return orders;
}

int python_pools(const struct bench *bench, const void *with, double *ret_values)
{
	const struct orders orders = orders_of(bench);
	const char *const argv[] = { "python3",     python_script,
				     with,          orders.worker_cpu,
				     orders.slices, orders.slice_ms,
				     NULL };

	return command_ask(bench, "package python3", argv, ret_values, POOLS_COLUMNS);
}

int piscina_pools(const struct bench *bench, const void *with, double *ret_values)
{
	const struct orders orders = orders_of(bench);
	const char *const argv[] = { "node",        piscina_script,  BENCH_NPM_DIR,
				     orders.slices, orders.slice_ms, NULL };

	(void)with;
	if (access(piscina_module, F_OK) < 0)
		return bench_absent("not installed: needs npm (then ./dev bench "
				    "puts it into build/npm)");
	return command_ask(bench, "package nodejs", argv, ret_values, POOLS_COLUMNS);
}
