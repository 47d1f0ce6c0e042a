#include "rivals.h"
#include "kernel.h"

const struct messenger rival_pipe = { "pipe", &kernel_pipe, false };
const struct messenger rival_pipe_asleep = { "pipe asleep", &kernel_pipe, true };
const struct messenger rival_stream = { "unix stream", &kernel_stream, false };
const struct messenger rival_stream_asleep = { "unix stream asleep", &kernel_stream,
					       true };
const struct messenger rival_seqpacket = { "unix seqpacket", &kernel_seqpacket, false };
const struct messenger rival_seqpacket_asleep = { "unix seqpacket asleep",
						  &kernel_seqpacket, true };
const struct messenger rival_mq = { "posix mq", &kernel_mq, false };
const struct messenger rival_mq_asleep = { "posix mq asleep", &kernel_mq, true };

const struct program rival_boost = { "boost", "boost", "libboost-dev" };
const struct program rival_boost_asleep = { "boost", "boost asleep", "libboost-dev" };
const struct program rival_iceoryx = { "iceoryx", "iceoryx", "libiceoryx-binding-c-dev" };
const struct program rival_iceoryx_in_place = { "iceoryx", "iceoryx in place",
						"libiceoryx-binding-c-dev" };
const struct program rival_zeromq = { "zeromq", "zeromq", "libzmq3-dev" };
const struct program rival_nng = { "nng", "nng", "libnng-dev" };
