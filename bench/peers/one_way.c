#include "one_way.h"
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static const struct one_way_size sizes[] = ONE_WAY_SIZES;

/* The consumer's side of a batch: takes one item, or says that it cannot. */
struct consumer {
	int (*take)(struct consumer *consumer);
	struct ring *ring;
	int pipe_fd;
	const struct one_way_size *size;
	int error;
	unsigned char item[ONE_WAY_ITEM_MAX];
};

static double batch(void *context)
{
	struct consumer *const consumer = context;
	const int64_t start_ns = bench_now_ns();

	for (uint32_t i = 0; i < consumer->size->items && !consumer->error; i++)
		consumer->error = consumer->take(consumer);
	return (double)consumer->size->items * 1e9 / (double)(bench_now_ns() - start_ns);
}

/* ---- the ring ---- */

struct ring {
	alignas(128) _Atomic uint32_t tail; /* the producer: items ever pushed */
	uint32_t seen_head;                 /* the producer, private */
	alignas(128) _Atomic uint32_t head; /* the consumer: items ever popped */
	uint32_t seen_tail;                 /* the consumer, private */
	alignas(128) _Atomic bool end;      /* the consumer */
	uint32_t bytes, cells;              /* the consumer, before the producer starts */
	alignas(128) unsigned char room[ONE_WAY_ROOM_MAX];
};

static unsigned char *cell(struct ring *ring, uint32_t number)
{
	return ring->room + (size_t)(number % ring->cells) * ring->bytes;
}

static bool push(struct ring *ring, const unsigned char *item)
{
	const uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	if (tail - ring->seen_head == ring->cells) {
		ring->seen_head = atomic_load_explicit(&ring->head, memory_order_acquire);
		if (tail - ring->seen_head == ring->cells)
			return false;
	}
	memcpy(cell(ring, tail), item, ring->bytes);
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return true;
}

static void produce(void *shared)
{
	static unsigned char item[ONE_WAY_ITEM_MAX];
	struct ring *const ring = shared;

	for (uint32_t number = 0;
	     !atomic_load_explicit(&ring->end, memory_order_relaxed);) {
		if (!push(ring, item))
			continue;
		number++;
		memcpy(item, &number, sizeof(number));
	}
}

static int pop(struct consumer *consumer)
{
	struct ring *const ring = consumer->ring;
	const uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	while (head == ring->seen_tail)
		ring->seen_tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
	memcpy(consumer->item, cell(ring, head), ring->bytes);
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	return 0;
}

static int measure_spsc(const struct bench *bench, const struct one_way_size *size,
			double *ret_value)
{
	struct ring *const ring = peer_share(sizeof(*ring));
	struct consumer consumer = { .take = pop, .ring = ring, .size = size };
	pid_t producer;
	int r;

	if (!ring)
		return -ENOMEM;
	ring->bytes = size->bytes;
	ring->cells = size->room / size->bytes;
	producer = peer_start(bench, produce, ring);
	if (producer < 0)
		return producer;
	*ret_value = bench_median_batch(bench, batch, &consumer);
	atomic_store(&ring->end, true);
	r = peer_await(producer);
	peer_unshare(ring, sizeof(*ring));
	return r;
}

int one_way_spsc(const struct bench *bench, const void *with, double *ret_values)
{
	int r = 0;

	(void)with;
	for (size_t i = 0; i < COUNT_OF(sizes) && r == 0; i++)
		r = measure_spsc(bench, &sizes[i], &ret_values[i]);
	return r;
}

/* ---- the pipe ---- */

struct ends {
	int fds[2];
	uint32_t bytes;
};

static void write_items(void *shared)
{
	static unsigned char item[ONE_WAY_ITEM_MAX];
	const struct ends *const ends = shared;
	uint32_t number = 0;

	/* The end of the consumer is the end of the writing. */
	signal(SIGPIPE, SIG_IGN);
	close(ends->fds[0]);
	while (write(ends->fds[1], item, ends->bytes) > 0) {
		number++;
		memcpy(item, &number, sizeof(number));
	}
}

/* A long item may come in pieces. */
static int read_item(struct consumer *consumer)
{
	for (size_t have = 0; have < consumer->size->bytes;) {
		const ssize_t n = read(consumer->pipe_fd, consumer->item + have,
				       consumer->size->bytes - have);

		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		have += (size_t)n;
	}
	return 0;
}

static int measure_pipe(const struct bench *bench, const struct one_way_size *size,
			double *ret_value)
{
	struct ends ends = { .bytes = size->bytes };
	struct consumer consumer = { .take = read_item, .size = size };
	pid_t producer;
	int r;

	if (pipe2(ends.fds, O_CLOEXEC) < 0)
		return -errno;
	/* It may be refused: then the pipe stays as it is, 64 KiB. */
	fcntl(ends.fds[1], F_SETPIPE_SZ, size->room);
	consumer.pipe_fd = ends.fds[0];
	producer = peer_start(bench, write_items, &ends);
	close(ends.fds[1]);
	if (producer < 0) {
		close(ends.fds[0]);
		return producer;
	}
	*ret_value = bench_median_batch(bench, batch, &consumer);
	close(ends.fds[0]);
	r = peer_await(producer);
	return consumer.error ? consumer.error : r;
}

int one_way_pipe(const struct bench *bench, const void *with, double *ret_values)
{
	int r = 0;

	(void)with;
	for (size_t i = 0; i < COUNT_OF(sizes) && r == 0; i++)
		r = measure_pipe(bench, &sizes[i], &ret_values[i]);
	return r;
}
