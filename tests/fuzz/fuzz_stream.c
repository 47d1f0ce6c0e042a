/*
 * fuzz_stream.c - the ring of a stream between a producer and a consumer, with any bytes in
 * its words and heads, poked at any moment. It lies at the very end of the segment's blocks,
 * so whoever runs over its end runs over the segment's. What is reserved is written, what is
 * read is read, to the last byte.
 */
#include "fuzz.h"

#include "stream.h"

#include <errno.h>
#include <string.h>

struct ring {
	struct cadre_stream *stream;
	unsigned char *items;
	uint64_t room;
	struct cadre_emitter emitter;
	struct cadre_reader reader;
};

static void lay_out(struct ring *ring, const struct cadre_view *view,
		    struct fuzz_script *script)
{
	unsigned char *const end = view->arena + view->plan.bytes;

	ring->room = 64 * (1 + fuzz_byte(script) % 16u);
	ring->items = end - ring->room;
	ring->stream = (struct cadre_stream *)(void *)(ring->items -
						       sizeof(struct cadre_stream));
	cadre_stream_init(ring->stream, ring->room);
	/* Somebody may have written over it already. */
	(void)cadre_emitter_open(&ring->emitter, ring->stream, ring->items, ring->room,
				 fuzz_byte(script) % 16u);
	cadre_reader_open(&ring->reader, ring->stream, ring->items, ring->room);
}

static void emit(struct ring *ring, struct fuzz_script *script)
{
	const uint64_t length = fuzz_number(script, 2) % 1200;
	unsigned char *data = NULL;
	const int r = cadre_emitter_reserve(&ring->emitter, length, &data);

	FUZZ_CHECK(r == 0 || r == -EAGAIN || r == -EMSGSIZE || r == -EBADMSG);
	if (r < 0)
		return;
	FUZZ_CHECK(data >= ring->items && length <= ring->room &&
		   data + length <= ring->items + ring->room);
	memset(data, 7, length);
	cadre_emitter_commit(&ring->emitter, length - length % (1 + fuzz_byte(script)),
			     false, 0);
}

static void next(struct ring *ring)
{
	struct cadre_item item;
	const int r = cadre_reader_next(&ring->reader, &item);
	const unsigned char *data;

	FUZZ_CHECK(r == 1 || r == -EAGAIN || r == -EBADMSG);
	if (r != 1)
		return;
	data = item.data;
	FUZZ_CHECK(data >= ring->items && item.length <= ring->room &&
		   data + item.length <= ring->items + ring->room);
	fuzz_read(data, item.length);
}

/* A word of the ring, or a head among its items. */
static void poke(struct ring *ring, struct fuzz_script *script)
{
	const uint8_t where = fuzz_byte(script);
	const uint64_t value = fuzz_value(script, fuzz_byte(script));

	switch (where % 8) {
	case 0:
		atomic_store(&ring->stream->tail, value);
		break;
	case 1:
		atomic_store(&ring->stream->head, value);
		break;
	case 2:
		ring->stream->room = value;
		break;
	case 3:
		atomic_store(&ring->stream->paused, (uint32_t)value);
		break;
	default:
		memcpy(ring->items + where * 8 % ring->room, &value, sizeof(value));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = { .next = data, .end = data + size };
	const struct cadre_view *const view = fuzz_segment(&script);
	struct ring ring;
	uint8_t operation;

	lay_out(&ring, view, &script);
	while (fuzz_next(&script, &operation)) {
		switch (operation % 8) {
		case 0:
		case 1:
			emit(&ring, &script);
			break;
		case 2:
		case 3:
			next(&ring);
			break;
		case 4:
			poke(&ring, &script);
			break;
		case 5:
			cadre_reader_give_back(&ring.reader);
			cadre_reader_has_more(&ring.reader);
			break;
		case 6:
			cadre_emitter_say_waiting(&ring.emitter);
			cadre_stream_set_paused(ring.stream, fuzz_byte(&script) & 1);
			cadre_emitter_is_ready(&ring.emitter);
			break;
		default:
			cadre_reader_say_asleep(&ring.reader);
			break;
		}
	}
	return 0;
}
