/*
 * rivals.h - those of messages.h and program.h that more than one question names.
 */
#ifndef RIVALS_H
#define RIVALS_H

#include "messages.h"
#include "program.h"

/* Of the kernel: the receivers ask again and again, or sleep. */
extern const struct messenger rival_pipe, rival_pipe_asleep;
extern const struct messenger rival_stream, rival_stream_asleep;
extern const struct messenger rival_seqpacket, rival_seqpacket_asleep;
extern const struct messenger rival_mq, rival_mq_asleep;

/* Programs of their own. */
extern const struct program rival_boost, rival_boost_asleep;
extern const struct program rival_iceoryx, rival_iceoryx_in_place;
extern const struct program rival_zeromq;
extern const struct program rival_nng;

#endif
