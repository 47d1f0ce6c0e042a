/*
 * peer.h - the other side of a measurement: a process of its own on the worker's CPU.
 */
#ifndef PEER_H
#define PEER_H

#include "bench.h"

/* Memory of zeros that this process and its later peers share; NULL when there is none. */
void *peer_share(size_t size);
void peer_unshare(void *shared, size_t size);

/* Binds this process to the client's CPU and forks a peer on the worker's. It runs `body`
 * until that returns, and dies with this process. Its pid, or negative errno. */
pid_t peer_start(const struct bench *bench, void (*body)(void *shared), void *shared);

/* Waits for its end. 0, or -ECANCELED after saying how it ended when it did not end well. */
int peer_await(pid_t peer);

/* Kills it, wherever it is, and waits for its end, whatever that is. */
void peer_end(pid_t peer);

#endif
