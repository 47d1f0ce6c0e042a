/*
 * block.h - room for payloads that do not fit a slot.
 *
 * Blocks come in classes, each eight times as large as the one before; a payload gets one
 * block of the smallest class that fits and has one left. A block's owner word names the
 * slot and the generation of the job that it serves. Nothing else says who owns it, so
 * there is no list to repair after a death:
 *
 *   a block is free if its owner word is 0, or names no slot of this pool, or the job that
 *   it names is booked;
 *   it is taken by compare-and-swap on the whole owner word.
 *
 * A job takes blocks only while its slot is FILLING (by the client) or RUNNING (by the
 * worker), and so behind the booking of the job before: the books of the slot never have
 * less than one job less than the block's generation, and what they have beyond that says
 * that this job is over. The slot's word, which is often in another CPU's cache, is not
 * asked. Who books a job gives no blocks back: they are free with that, and which of them is
 * hot is remembered (cadre_block_remember). cadre_block_give is for a job that goes on without
 * one.
 */
#ifndef CADRE_BLOCK_H
#define CADRE_BLOCK_H

#include "slot.h"

#define CADRE_BLOCK_CLASSES 8
#define CADRE_BLOCK_SMALLEST 1024u

/* How many blocks of which size; the same numbers in every process. */
struct cadre_block_plan {
	uint32_t classes;
	uint32_t total;                      /* blocks of all classes */
	uint64_t bytes;                      /* of all of them */
	uint64_t size[CADRE_BLOCK_CLASSES];  /* bytes of one */
	uint32_t first[CADRE_BLOCK_CLASSES]; /* number of the first block of the class */
	uint32_t count[CADRE_BLOCK_CLASSES];
	uint64_t offset[CADRE_BLOCK_CLASSES]; /* of the first one's bytes in the arena */
};

/* Shares `budget` bytes out among classes up to payload_max. */
struct cadre_block_plan cadre_block_plan(uint64_t payload_max, uint64_t budget);

/* Each: 0, or owner {slot + 1, generation low 40 bits}. Changed by CAS alone. */
struct cadre_block_owner {
	_Atomic uint64_t word;
};

/* Private to a process: the parts it needs, and which blocks it gave back last. Threads
 * may share it; all of it is a hint. */
struct cadre_block_pool {
	const struct cadre_block_plan *plan;
	struct cadre_block_owner *owners;
	unsigned char *arena;
	const struct cadre_books *books; /* of the slots */
	uint32_t slot_count;
	/* A client: it takes from the first half of each class only. The other half is for
	 * replies, or requests that wait would starve those that run. */
	bool for_requests;
	_Atomic uint32_t usual_class; /* where to look first: that of the last */
	_Atomic uint32_t preferred;   /* a block's number + 1; 0 for none */
	_Atomic uint32_t hot[CADRE_BLOCK_CLASSES]; /* where to look otherwise */
};

/* Takes a block of at least `size` bytes for a job. Its number, or CADRE_NO_BLOCK. */
uint32_t cadre_block_take(struct cadre_block_pool *pool, uint64_t size, uint32_t slot,
			  uint64_t generation);

/* The next block that is taken shall be this one, if it is free by then and of that size:
 * for a block that this process has read, since its lines lie in this CPU's cache. Written
 * elsewhere, each line has to come from the other CPU first. Any number is allowed. */
void cadre_block_prefer(struct cadre_block_pool *pool, uint32_t block);

/* Asks for the line that the next one to take the preferred block waits for: the books of the slot
 * that had it, which its client has just written. */
void cadre_block_foresee(const struct cadre_block_pool *pool);

/* The block is free as soon as its slot is vacant, and the next one of its size that is taken shall be
 * this one, the hottest: without touching its owner word, whose line has to come from another
 * CPU for that. Any number is allowed. */
void cadre_block_remember(struct cadre_block_pool *pool, uint32_t block);

/* Gives the block back, if it is still that job's, while the job goes on. */
void cadre_block_give(struct cadre_block_pool *pool, uint32_t block, uint32_t slot,
		      uint64_t generation);

/* The bytes of a block that the caller has just taken, and their number. */
unsigned char *cadre_block_room(const struct cadre_block_pool *pool, uint32_t block,
				uint64_t *ret_size);

/* The block's bytes and their number, if `block` is a number of this pool that is owned by
 * that job; NULL otherwise. Look before you follow: the number came out of the segment. */
unsigned char *cadre_block_bytes(const struct cadre_block_pool *pool, uint32_t block,
				 uint32_t slot, uint64_t generation, uint64_t *ret_size);

/* What stands beside a block's number in a slot: a hash of the number and of the job. */
uint32_t cadre_block_seal(uint32_t block, uint32_t slot, uint64_t generation);

/* As cadre_block_bytes, for the two who hand the job to each other: by the seal, which lies
 * beside the number. The owner word is on a line of its own, which has to come from whoever took
 * the block, and holds up a clock that is read meanwhile (65 of 280 ns there and back). A number
 * that was scribbled over gets through once in 2^32 times; it is one of this pool then. */
unsigned char *cadre_block_unseal(const struct cadre_block_pool *pool, uint32_t block,
				  uint32_t seal, uint32_t slot, uint64_t generation,
				  uint64_t *ret_size);

/* Blocks in use just now, per class; for the statistics. */
void cadre_block_count_used(const struct cadre_block_pool *pool,
			    uint32_t ret_used[CADRE_BLOCK_CLASSES]);

#endif
