"""python.py - empty jobs per second through Python's own process pools.

usage: python.py CLASS WORKER_CPU SLICES SLICE_MS

Prints RESULT and the rates with 1, 8 and 64 jobs in flight: medians over the slices,
after one slice that warms up. The same loop as the others have: fill up, await the oldest.
The client is not bound to a CPU, since the pools have threads of their own beside it.
"""

import collections
import concurrent.futures
import ctypes
import multiprocessing
import os
import signal
import statistics
import sys
import time

IN_FLIGHT = (1, 8, 64)
PR_SET_PDEATHSIG = 1


def empty():
    pass


def settle(cpu):
    """In the worker: it has a CPU, and dies with its parent."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.sched_setaffinity(0, {cpu})


class Executor:
    def __init__(self, cpu):
        self.pool = concurrent.futures.ProcessPoolExecutor(
            1, initializer=settle, initargs=(cpu,)
        )

    def submit(self):
        return self.pool.submit(empty).result

    def close(self):
        self.pool.shutdown()


class Pool:
    def __init__(self, cpu):
        # One of its threads spins: in turns with that, each of the others waits for 0.1 s.
        if os.sched_getscheduler(0) != os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, 0, -20)
        self.pool = multiprocessing.Pool(1, settle, (cpu,))

    def submit(self):
        return self.pool.apply_async(empty).get

    def close(self):
        self.pool.close()
        self.pool.join()


CLASSES = {"ProcessPoolExecutor": Executor, "multiprocessing.Pool": Pool}


def measure_slice(pool, outstanding, in_flight, seconds):
    start = now = time.monotonic()
    jobs = 0
    while now - start < seconds:
        while len(outstanding) < in_flight:
            outstanding.append(pool.submit())
        outstanding.popleft()()
        jobs += 1
        now = time.monotonic()
    return jobs / (now - start)


def measure(pool, slices, seconds):
    outstanding = collections.deque()
    medians = []
    for in_flight in IN_FLIGHT:
        measure_slice(pool, outstanding, in_flight, seconds)
        medians.append(
            statistics.median(
                measure_slice(pool, outstanding, in_flight, seconds)
                for _ in range(slices)
            )
        )
    for await_one in outstanding:
        await_one()
    return medians


def main():
    name, worker_cpu, slices, slice_ms = sys.argv[1:]
    pool = CLASSES[name](int(worker_cpu))
    medians = measure(pool, int(slices), int(slice_ms) / 1000)
    pool.close()
    print("RESULT", *medians)


if __name__ == "__main__":
    main()
