#include "block.h"

#define GROWTH 8

static uint64_t round_up(uint64_t bytes)
{
	return (bytes + CADRE_CACHE_LINE - 1) / CADRE_CACHE_LINE * CADRE_CACHE_LINE;
}

struct cadre_block_plan cadre_block_plan(uint64_t payload_max, uint64_t budget)
{
	struct cadre_block_plan plan = { 0 };
	uint64_t size = CADRE_BLOCK_SMALLEST;

	if (payload_max <= CADRE_INLINE_MAX)
		return plan;
	do {
		const bool last = size >= payload_max ||
				  plan.classes == CADRE_BLOCK_CLASSES - 1;

		plan.size[plan.classes++] = last ? round_up(payload_max) : size;
		if (last)
			break;
		size *= GROWTH;
	} while (true);

	for (uint32_t size_class = 0; size_class < plan.classes; size_class++) {
		const uint64_t share = budget / plan.classes / plan.size[size_class];

		plan.first[size_class] = plan.total;
		plan.offset[size_class] = plan.bytes;
		/* Two at least: a request and its reply. */
		plan.count[size_class] = share < 2 ? 2 : (uint32_t)share;
		plan.total += plan.count[size_class];
		plan.bytes += plan.count[size_class] * plan.size[size_class];
	}
	return plan;
}

static uint64_t owner_of(uint32_t slot, uint64_t generation)
{
	/* The slot in the upper 24 bits, so that the generation needs no masking twice. */
	return ((uint64_t)slot + 1) << 40 | (generation & CADRE_GENERATION_MAX);
}

/* Of nobody's block it lies beyond all slots. */
static uint64_t slot_in(uint64_t owner)
{
	return (owner >> 40) - 1;
}

static bool is_free(const struct cadre_block_pool *pool, uint64_t owner)
{
	const uint64_t slot = slot_in(owner);

	if (slot >= pool->slot_count)
		return true;
	/* B1, pairs with F1, is in the look at the books, which comes after the load of the
	 * owner word: fewer jobs than that one can only be an old value. */
	return cadre_books_have(&pool->books[slot], owner & CADRE_GENERATION_MAX);
}

static bool try_take(struct cadre_block_pool *pool, uint32_t block, uint64_t owner)
{
	/* B2: acquire, pairs with B3 and with the freeing of the slot. */
	uint64_t before = atomic_load_explicit(&pool->owners[block].word,
					       memory_order_acquire);

	if (!is_free(pool, before))
		return false;
	/* B4: release, pairs with B5: our slot got its generation before the block does. */
	return atomic_compare_exchange_strong_explicit(&pool->owners[block].word, &before,
						       owner, memory_order_acq_rel,
						       memory_order_relaxed);
}

/* How many of a class are open to this process, from the first one on. */
static uint32_t count_open(const struct cadre_block_pool *pool, uint32_t size_class)
{
	const uint32_t all = pool->plan->count[size_class];

	return pool->for_requests ? all - all / 2 : all;
}

static uint32_t take_from(struct cadre_block_pool *pool, uint32_t size_class,
			  uint64_t owner)
{
	const uint32_t count = count_open(pool, size_class);
	const uint32_t first = pool->plan->first[size_class];
	/* Relaxed, here and below: a hint. */
	uint32_t index = atomic_load_explicit(&pool->hot[size_class],
					      memory_order_relaxed);

	for (uint32_t tried = 0; tried < count; tried++, index++) {
		if (index >= count)
			index = 0;
		if (try_take(pool, first + index, owner)) {
			atomic_store_explicit(&pool->hot[size_class], index + 1,
					      memory_order_relaxed);
			return first + index;
		}
	}
	return CADRE_NO_BLOCK;
}

void cadre_block_prefer(struct cadre_block_pool *pool, uint32_t block)
{
	/* Relaxed, here and below: a hint. */
	atomic_store_explicit(&pool->preferred, block < pool->plan->total ? block + 1 : 0,
			      memory_order_relaxed);
}

/* Relaxed, both: whoever takes it looks again. */
void cadre_block_foresee(const struct cadre_block_pool *pool)
{
	const uint32_t block = atomic_load_explicit(&pool->preferred,
						    memory_order_relaxed) -
			       1;
	uint64_t slot;

	if (block >= pool->plan->total)
		return;
	slot = slot_in(
		atomic_load_explicit(&pool->owners[block].word, memory_order_relaxed));
	if (slot < pool->slot_count)
		__builtin_prefetch(&pool->books[slot]);
}

static uint32_t take_preferred(struct cadre_block_pool *pool, uint32_t size_class,
			       uint64_t owner)
{
	const uint32_t block = atomic_load_explicit(&pool->preferred,
						    memory_order_relaxed) -
			       1;
	const uint32_t index = block - pool->plan->first[size_class];

	if (index < count_open(pool, size_class) && try_take(pool, block, owner))
		return block;
	return CADRE_NO_BLOCK;
}

static uint32_t find_class(const struct cadre_block_plan *plan, uint32_t block)
{
	uint32_t size_class = 0;

	while (size_class + 1 < plan->classes && block >= plan->first[size_class + 1])
		size_class++;
	return size_class;
}

/* Of a number of this pool. */
static uint32_t class_of(const struct cadre_block_pool *pool, uint32_t block)
{
	/* Relaxed: a guess. */
	const uint32_t usual = atomic_load_explicit(&pool->usual_class,
						    memory_order_relaxed);

	return block - pool->plan->first[usual] < pool->plan->count[usual] ?
		       usual :
		       find_class(pool->plan, block);
}

/* The smallest class that fits; their number when none does. */
static uint32_t class_for(const struct cadre_block_plan *plan, uint64_t size)
{
	uint32_t size_class = 0;

	while (size_class < plan->classes && plan->size[size_class] < size)
		size_class++;
	return size_class;
}

/* The same, and remembers it: mostly the next one is as large. */
static uint32_t usual_class_for(struct cadre_block_pool *pool, uint64_t size)
{
	const struct cadre_block_plan *const plan = pool->plan;
	/* Relaxed, here and below: a guess. */
	uint32_t size_class = atomic_load_explicit(&pool->usual_class,
						   memory_order_relaxed);

	if (plan->size[size_class] >= size &&
	    (size_class == 0 || plan->size[size_class - 1] < size))
		return size_class;
	size_class = class_for(plan, size);
	if (size_class < plan->classes)
		atomic_store_explicit(&pool->usual_class, size_class,
				      memory_order_relaxed);
	return size_class;
}

uint32_t cadre_block_take(struct cadre_block_pool *pool, uint64_t size, uint32_t slot,
			  uint64_t generation)
{
	for (uint32_t size_class = usual_class_for(pool, size);
	     size_class < pool->plan->classes; size_class++) {
		uint32_t block = take_preferred(pool, size_class,
						owner_of(slot, generation));

		if (block == CADRE_NO_BLOCK)
			block = take_from(pool, size_class, owner_of(slot, generation));
		if (block != CADRE_NO_BLOCK)
			return block;
	}
	return CADRE_NO_BLOCK;
}

/* False when the block is none of this class, or not open to us. */
static bool be_hot(struct cadre_block_pool *pool, uint32_t size_class, uint32_t block)
{
	const uint32_t index = block - pool->plan->first[size_class];

	if (index >= count_open(pool, size_class))
		return false;
	/* Relaxed: a hint. */
	atomic_store_explicit(&pool->hot[size_class], index, memory_order_relaxed);
	return true;
}

void cadre_block_remember(struct cadre_block_pool *pool, uint32_t block)
{
	/* Relaxed: a guess. */
	const uint32_t usual = atomic_load_explicit(&pool->usual_class,
						    memory_order_relaxed);

	if (!be_hot(pool, usual, block) && block < pool->plan->total)
		be_hot(pool, find_class(pool->plan, block), block);
}

void cadre_block_give(struct cadre_block_pool *pool, uint32_t block, uint32_t slot,
		      uint64_t generation)
{
	uint64_t owner = owner_of(slot, generation);

	/* B3: release, pairs with B2: our reads of the bytes are over. */
	if (block < pool->plan->total &&
	    atomic_compare_exchange_strong_explicit(&pool->owners[block].word, &owner, 0,
						    memory_order_release,
						    memory_order_relaxed))
		cadre_block_remember(pool, block);
}

unsigned char *cadre_block_room(const struct cadre_block_pool *pool, uint32_t block,
				uint64_t *ret_size)
{
	const uint32_t size_class = class_of(pool, block);

	*ret_size = pool->plan->size[size_class];
	return pool->arena + pool->plan->offset[size_class] +
	       (block - pool->plan->first[size_class]) * pool->plan->size[size_class];
}

unsigned char *cadre_block_bytes(const struct cadre_block_pool *pool, uint32_t block,
				 uint32_t slot, uint64_t generation, uint64_t *ret_size)
{
	/* Relaxed: the word of the slot was read with acquire before. */
	if (block >= pool->plan->total ||
	    atomic_load_explicit(&pool->owners[block].word, memory_order_relaxed) !=
		    owner_of(slot, generation))
		return NULL;
	return cadre_block_room(pool, block, ret_size);
}

uint32_t cadre_block_seal(uint32_t block, uint32_t slot, uint64_t generation)
{
	/* Multiplicative hashing: Knuth, The Art of Computer Programming, volume 3, 6.4. */
	const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)((owner_of(slot, generation) * factor + block) * factor >> 32);
}

unsigned char *cadre_block_unseal(const struct cadre_block_pool *pool, uint32_t block,
				  uint32_t seal, uint32_t slot, uint64_t generation,
				  uint64_t *ret_size)
{
	if (block >= pool->plan->total ||
	    seal != cadre_block_seal(block, slot, generation))
		return NULL;
	return cadre_block_room(pool, block, ret_size);
}

void cadre_block_count_used(const struct cadre_block_pool *pool,
			    uint32_t ret_used[CADRE_BLOCK_CLASSES])
{
	for (uint32_t size_class = 0; size_class < CADRE_BLOCK_CLASSES; size_class++)
		ret_used[size_class] = 0;
	for (uint32_t block = 0; block < pool->plan->total; block++) {
		/* B5: acquire, pairs with B4: the slot is looked at behind its block. */
		const uint64_t owner = atomic_load_explicit(&pool->owners[block].word,
							    memory_order_acquire);

		if (!is_free(pool, owner))
			ret_used[find_class(pool->plan, block)]++;
	}
}
