#include "width.h"

#define TURNS 1000u
#define TURNS_HERE 300u /* a microsecond */
#define BATCHES_HERE 4

/* One addition that the compiler neither leaves out nor joins with the next. */
#define ADD_TO(number)                               \
	do {                                         \
		(number) += 1;                       \
		__asm__ volatile("" : "+r"(number)); \
	} while (0)

static double one_chain(void *context)
{
	const unsigned turns = *(const unsigned *)context;
	const int64_t start_ns = bench_now_ns();
	uint64_t a = 0;

	for (unsigned turn = 0; turn < turns; turn++) {
		ADD_TO(a);
		ADD_TO(a);
		ADD_TO(a);
		ADD_TO(a);
		ADD_TO(a);
		ADD_TO(a);
		ADD_TO(a);
		ADD_TO(a);
	}
	return (double)(bench_now_ns() - start_ns) / (8 * turns);
}

static double four_chains(void *context)
{
	const unsigned turns = *(const unsigned *)context;
	const int64_t start_ns = bench_now_ns();
	uint64_t a = 0, b = 0, c = 0, d = 0;

	for (unsigned turn = 0; turn < turns; turn++) {
		ADD_TO(a);
		ADD_TO(b);
		ADD_TO(c);
		ADD_TO(d);
		ADD_TO(a);
		ADD_TO(b);
		ADD_TO(c);
		ADD_TO(d);
	}
	return (double)(bench_now_ns() - start_ns) / (8 * turns);
}

double width_of(const struct bench *bench, int cpu)
{
	unsigned turns = TURNS;
	double chain, chains;

	bench_pin(bench, cpu);
	chain = bench_median_batch(bench, one_chain, &turns);
	chains = bench_median_batch(bench, four_chains, &turns);
	bench_unpin();
	return chain / chains;
}

double width_here(void)
{
	unsigned turns = TURNS_HERE;
	double chain = 0, chains = 0;

	for (int i = 0; i < BATCHES_HERE; i++) {
		chain += one_chain(&turns);
		chains += four_chains(&turns);
	}
	return chain / chains;
}
