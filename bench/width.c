#include "width.h"

#define TURNS 1000u

/* One addition that the compiler neither leaves out nor joins with the next. */
#define ADD_TO(number)                               \
	do {                                         \
		(number) += 1;                       \
		__asm__ volatile("" : "+r"(number)); \
	} while (0)

static double one_chain(void *context)
{
	const int64_t start_ns = bench_now_ns();
	uint64_t a = 0;

	(void)context;
	for (unsigned turn = 0; turn < TURNS; turn++) {
		ADD_TO(a);
		ADD_TO(a);
		ADD_TO(a);
		ADD_TO(a);
		ADD_TO(a);
		ADD_TO(a);
		ADD_TO(a);
		ADD_TO(a);
	}
	return (double)(bench_now_ns() - start_ns) / (8 * TURNS);
}

static double four_chains(void *context)
{
	const int64_t start_ns = bench_now_ns();
	uint64_t a = 0, b = 0, c = 0, d = 0;

	(void)context;
	for (unsigned turn = 0; turn < TURNS; turn++) {
		ADD_TO(a);
		ADD_TO(b);
		ADD_TO(c);
		ADD_TO(d);
		ADD_TO(a);
		ADD_TO(b);
		ADD_TO(c);
		ADD_TO(d);
	}
	return (double)(bench_now_ns() - start_ns) / (8 * TURNS);
}

double width_of(const struct bench *bench, int cpu)
{
	double chain, chains;

	bench_pin(bench, cpu);
	chain = bench_median_batch(bench, one_chain, NULL);
	chains = bench_median_batch(bench, four_chains, NULL);
	bench_unpin();
	return chain / chains;
}
