/*
 * cadre.h - all of Cadre: a crash-proof pool of worker processes over shared memory.
 *
 *   service.h  what a worker does: operations, handlers, replies
 *   pool.h     start a pool: in this program, or as a server of its own
 *   fork_server.h  fork pools from the program as it was when it was small
 *   client.h   submit jobs and take their results
 *   descriptors.h  descriptors that travel with a job
 *   stream.h   jobs that answer with many items
 *   channel.h  addresses of pools and workers, to be handed on; calls from handlers
 *   local.h    local workers: serve jobs inside this very process
 *   token.h    one signal that cancels any number of jobs
 *   worker.h   be a worker: a program that the supervisor starts
 *   backtrace.h where a worker was when it crashed
 *   order.h    tell a running pool what to do: drain, start, scale, reload, stop
 *   map.h      many inputs through one operation; batches
 *   log.h      lines that workers and the supervisor write
 *   report.h   read the counters of a pool without disturbing it
 *   check.h    say whether the books of a pool balance
 *   error.h    the error values, the outcomes, and the sentence that goes with them
 */
#ifndef CADRE_CADRE_H
#define CADRE_CADRE_H

#include <cadre/backtrace.h>
#include <cadre/channel.h>
#include <cadre/check.h>
#include <cadre/client.h>
#include <cadre/descriptors.h>
#include <cadre/error.h>
#include <cadre/fork_server.h>
#include <cadre/local.h>
#include <cadre/log.h>
#include <cadre/map.h>
#include <cadre/order.h>
#include <cadre/pool.h>
#include <cadre/report.h>
#include <cadre/service.h>
#include <cadre/stream.h>
#include <cadre/token.h>
#include <cadre/worker.h>

#endif
