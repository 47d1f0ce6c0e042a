#include "script.h"
#include "command.h"
#include "pools.h"

#include <stdio.h>
#include <unistd.h>

/* What each script is told, as text. */
struct orders {
	char client_cpu[16], worker_cpu[16], slices[16], slice_ms[16];
};

static struct orders orders_of(const struct bench *bench)
{
	struct orders orders;

	snprintf(orders.client_cpu, sizeof(orders.client_cpu), "%d", bench->client_cpu);
	snprintf(orders.worker_cpu, sizeof(orders.worker_cpu), "%d", bench->worker_cpu);
	snprintf(orders.slices, sizeof(orders.slices), "%u", pools_slices(bench));
	snprintf(orders.slice_ms, sizeof(orders.slice_ms), "%d", POOLS_SLICE_MS);
	return orders;
}

int python_pools(const struct bench *bench, const void *with, double *ret_values)
{
	const struct orders orders = orders_of(bench);
	const char *const argv[] = { "python3",
				     BENCH_PEERS_DIR "/python.py",
				     with,
				     orders.client_cpu,
				     orders.worker_cpu,
				     orders.slices,
				     orders.slice_ms,
				     NULL };

	return command_ask(with, "package python3", argv, ret_values, POOLS_COLUMNS);
}

int piscina_pools(const struct bench *bench, const void *with, double *ret_values)
{
	const struct orders orders = orders_of(bench);
	const char *const argv[] = { "node",          BENCH_PEERS_DIR "/piscina.mjs",
				     BENCH_NPM_DIR,   orders.slices,
				     orders.slice_ms, NULL };

	(void)with;
	if (access(BENCH_NPM_DIR "/node_modules/piscina", F_OK) < 0)
		return bench_absent("piscina", "not installed: needs npm (then ./dev bench "
					       "puts it into build/npm)");
	return command_ask("piscina", "package nodejs", argv, ret_values, POOLS_COLUMNS);
}
