/*
 * kernel.h - what the kernel has to send messages with: a pair of pipes, a pair of Unix
 * sockets, a pair of POSIX message queues. Their receivers sleep, or ask again and again.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include "messages.h"

extern const struct transport kernel_pipe;
extern const struct transport kernel_stream;    /* Unix sockets */
extern const struct transport kernel_seqpacket; /* also; messages may be cut to fit */
extern const struct transport kernel_mq;

#endif
