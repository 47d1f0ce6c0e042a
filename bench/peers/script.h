/*
 * script.h - process pools of other languages, each in a program of its own that measures by
 * the rules of pools.h: python.py and piscina.mjs.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "bench.h"

measure_fn python_pools;  /* with: "ProcessPoolExecutor" or "multiprocessing.Pool" */
measure_fn piscina_pools; /* threads, not processes */

#endif
