#include "film.h"
#include "trouble.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEPS_MAX 2000000u
#define IMAGES_MAX 1024u

static void keep(struct film *film, uint32_t position)
{
	const size_t size = world.view.size;
	struct film_image *const image = &film->images[film->count];

	if (film->count == IMAGES_MAX)
		abort();
	*image = (struct film_image){ .position = position, .bytes = malloc(size) };
	if (!image->bytes)
		abort();
	memcpy(image->bytes, world.view.segment.base, size);
	for (uint32_t i = 0; i < film->count && !image->again; i++)
		image->again = memcmp(film->images[i].bytes, image->bytes, size) == 0;
	film->distinct += !image->again;
	film->count++;
}

/* Does the part from one address up to the other differ from the last image? */
static bool differs(const struct film *film, const void *from, const void *to)
{
	const size_t start = (size_t)((const unsigned char *)from -
				      world.view.segment.base);
	const size_t end = (size_t)((const unsigned char *)to - world.view.segment.base);

	return memcmp(film->images[film->count - 1].bytes + start,
		      world.view.segment.base + start, end - start) != 0;
}

/* Crash records, latencies, logs and named counters are left out: nobody who recovers reads
 * them, and most of the segment is theirs. */
static bool has_changed(const struct film *film)
{
	const struct cadre_view *const view = &world.view;

	return differs(film, view->segment.base, view->worker_crashes) ||
	       differs(film, view->client_places, view->client_perfs) ||
	       differs(film, view->slots, view->crashes.head) ||
	       differs(film, view->kept.head, view->segment.base + view->size);
}

bool film_shoot(const struct operation *operation, struct film *ret_film)
{
	struct film film = { .images = calloc(IMAGES_MAX, sizeof(*film.images)) };
	enum subject_news news = SUBJECT_STEPPED;

	if (!film.images)
		abort();
	film.subject = subject_start(operation);
	keep(&film, 0);
	while (news == SUBJECT_STEPPED && film.trace.length < STEPS_MAX) {
		news = subject_step(&film.subject, &film.trace);
		if (has_changed(&film))
			keep(&film, film.subject.position);
	}
	subject_kill(&film.subject);
	subject_reap(&film.subject);
	if (news != SUBJECT_MARKED)
		complain("it does not come to its end: %s after %u instructions",
			 news == SUBJECT_ENDED ? "dead" : "still going",
			 film.trace.length);
	*ret_film = film;
	return news == SUBJECT_MARKED;
}

void film_free(struct film *film)
{
	for (uint32_t i = 0; i < film->count; i++)
		free(film->images[i].bytes);
	free(film->images);
	free(film->trace.address);
	close(film->subject.who.pidfd);
	*film = (struct film){ 0 };
}

void film_show(const struct film *film, uint32_t image)
{
	operation_set_scene(film->subject.operation);
	subject_seat(&film->subject);
	memcpy(world.view.segment.base, film->images[image].bytes, world.view.size);
}

uint64_t film_address(const struct film *film, uint32_t image)
{
	extern const char __executable_start;
	const uint32_t position = film->images[image].position;

	if (position == 0)
		return 0;
	return film->trace.address[position - 1] -
	       (uint64_t)(uintptr_t)&__executable_start;
}

const void *film_slots(const struct film *film, uint32_t image)
{
	return film->images[image].bytes +
	       ((unsigned char *)world.view.slots - world.view.segment.base);
}
