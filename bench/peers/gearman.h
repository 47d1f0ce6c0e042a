/*
 * gearman.h - jobs through gearmand, client and worker by libgearman.
 *
 * libgearman awaits all tasks that were added: many in flight are sent together, and awaited
 * together.
 */
#ifndef GEARMAN_H
#define GEARMAN_H

#include "bench.h"

measure_fn gearman_pools; /* as pools.h says */

#endif
