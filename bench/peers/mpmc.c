#include "mpmc.h"
#include "mpmc_ring.h"
#include "ring_pair.h"

int mpmc_round_trip(const struct bench *bench, const void *with, double *ret_values)
{
	(void)with;
	return pair_round_trip(bench, ret_values);
}

int mpmc_in_flight(const struct bench *bench, const void *with, double *ret_values)
{
	(void)with;
	return pair_in_flight(bench, ret_values);
}
