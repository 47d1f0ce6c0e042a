/*
 * one_way.h - items from a producer to a consumer, without replies: a bare ring, and a pipe.
 *
 * The ring is that of spsc.h with cells of the item's size. Both sides copy.
 */
#ifndef ONE_WAY_H
#define ONE_WAY_H

#include "bench.h"

#define ONE_WAY_ROOM_MAX (512u << 10)
#define ONE_WAY_ITEM_MAX (64u << 10)

struct one_way_size {
	uint32_t bytes; /* of an item */
	uint32_t room;  /* bytes that are not read yet, at most */
	uint32_t items; /* in a batch: as many as the room holds four times */
};

/* In the order of the columns. */
#define ONE_WAY_SIZES                                               \
	{                                                           \
		{ 64, 64u << 10, 4096 }, { 65536, 512u << 10, 32 }, \
	}

measure_fn one_way_spsc; /* items per second, for each of ONE_WAY_SIZES */
measure_fn one_way_pipe;

#endif
