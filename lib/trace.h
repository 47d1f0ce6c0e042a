/*
 * trace.h - places where a tracer can look in: USDT probes of the provider `cadre`, for
 * bpftrace, perf and SystemTap. The scripts tools/trace_*.bt use them.
 *
 * Each is one instruction that does nothing, and a note in the program file that says where
 * it stands and where its arguments are: values that are there anyway, so nothing is
 * computed for them. Without <sys/sdt.h> (systemtap-sdt-dev) there is nothing at all.
 *
 *   submit        slot, generation, operation, bytes            S3: the job is accepted
 *   claim         worker, slot, word, operation, submitted, taken       W2; times in ns
 *   finish        worker, slot, word, outcome, taken, ended             W6
 *   take          slot, generation, outcome                     the caller has its result
 *   wake          bell, bits, how many woke
 *   park          bell, ns at most       about to sleep on a bell
 *   unpark        bell, 1 when rung for
 *   place_state   place, old word, new word       of a worker or a client, as in place.h
 *   worker_death  worker, pid, si_code, si_status
 *   client_death  client, pid
 *
 * A slot is its number in the segment; a word is that of slot.h, its generation the bits
 * from 24 on: slot and generation together name one job. Bells and places are addresses in
 * the process that traces.
 */
#ifndef CADRE_TRACE_H
#define CADRE_TRACE_H

#if defined(__has_include) && !defined(CADRE_NO_TRACE)
#if __has_include(<sys/sdt.h>)
#define SDT_USE_VARIADIC 1
#include <sys/sdt.h>
#define CADRE_TRACE(name, ...) STAP_PROBEV(cadre, name, __VA_ARGS__)
#endif
#endif

#ifndef CADRE_TRACE
#define CADRE_TRACE(name, ...) ((void)0)
#endif

#endif
