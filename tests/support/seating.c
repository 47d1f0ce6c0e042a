#include "seating.h"
#include "clock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void seating_expect(bool condition, const char *sentence)
{
	if (condition)
		return;
	printf("%s: %s\n", program_invocation_short_name, sentence);
	fflush(stdout);
	_Exit(1);
}

pthread_t seating_start(void *(*body)(void *), void *context)
{
	pthread_t thread;

	seating_expect(pthread_create(&thread, NULL, body, context) == 0,
		       "cannot start a thread");
	return thread;
}

static void make_pool(struct seating *seating, unsigned workers, unsigned parallel,
		      uint32_t slots)
{
	struct cadre_view *const view = &seating->view;
	const struct cadre_limits limits = {
		.workers = workers,
		.workers_min = workers,
		.parallel = parallel,
		.clients = 1,
		.slots = slots,
		.payload_max = 4096,
		.block_bytes = 1 << 20,
		.grace_ns = CADRE_NS_PER_S,
		/* Nobody holds the supervisor's lock, and nobody is to mind. */
		.orphan_ns = INT64_MAX / 4,
		.spin_ns = -1,
	};

	seating_expect(cadre_layout_create(seating->scene.pool, &limits, 0600, view,
					   NULL) == 0,
		       "cannot create the segment");
	for (unsigned worker = 0; worker < workers; worker++)
		atomic_store(&view->worker_places[worker].state,
			     cadre_place_pack(CADRE_PLACE_STARTING, 1));
	atomic_store(&view->header->ready, 1);
	atomic_store(&view->header->state, CADRE_POOL_OPEN);
	cadre_mask_set(&view->header->leased, 0);
}

/* As cadre_client_attach does it, but over our own mapping. */
static void seat_client(struct seating *seating)
{
	const struct cadre_view *const view = &seating->view;
	struct cadre_client *const client = aligned_alloc(alignof(struct cadre_client),
							  sizeof(*client));

	seating_expect(client != NULL, "no memory");
	memset(client, 0, sizeof(*client));
	memcpy(client->pool, seating->scene.pool, sizeof(client->pool));
	client->view = *view;
	cadre_client_find_window(client);
	client->event_fd = -1;
	client->roused_most = 1;
	client->pending = calloc(client->slot_count, sizeof(*client->pending));
	seating_expect(client->pending && cadre_forkguard_init(&client->guard) == 0 &&
			       cadre_consume_init(client) == 0 &&
			       cadre_completion_init(client) == 0,
		       "no memory");
	seating->client = client;
}

void seating_open(struct seating *seating, unsigned workers, unsigned parallel,
		  uint32_t slots)
{
	memset(seating, 0, sizeof(*seating));
	scene_begin(&seating->scene);
	make_pool(seating, workers, parallel, slots);
	seat_client(seating);
}

static void *serve(void *context)
{
	const struct seated_worker *const worker = context;
	const struct cadre_seat seat = {
		.pool = worker->seating->scene.pool,
		.worker = worker->number,
		.incarnation = 1,
		.start_fd = -1,
	};

	seating_expect(cadre_worker_serve(worker->service, &worker->seating->view,
					  &seat) == 0,
		       "a worker did not start");
	return NULL;
}

void seating_serve(struct seating *seating, const struct cadre_service *service)
{
	const unsigned number = seating->worker_count++;
	struct seated_worker *const worker = &seating->workers[number];

	worker->seating = seating;
	worker->service = service;
	worker->number = number;
	worker->thread = seating_start(serve, worker);
}

void seating_dispatch(struct seating *seating, bool by_descriptor, unsigned most)
{
	struct cadre_client *const client = seating->client;
	struct pollfd look = { .events = POLLIN };
	int r;

	if (!by_descriptor) {
		r = cadre_client_await_dispatch(client, cadre_in_ms(100));
		seating_expect(r >= 0 || r == -ETIMEDOUT, "dispatch failed");
		return;
	}
	look.fd = cadre_client_fd(client);
	seating_expect(look.fd >= 0, "there is no descriptor");
	poll(&look, 1, 100);
	seating_expect(cadre_client_dispatch(client, most) >= 0, "dispatch failed");
}

static void tell_to_leave(struct seating *seating, unsigned worker)
{
	struct cadre_place *const place = &seating->view.worker_places[worker];

	while (!cadre_place_move(place, cadre_place_look(place),
				 cadre_place_pack(CADRE_PLACE_DRAINING, 1))) {
	}
	cadre_bell_ring(&seating->view.worker_bells[worker], CADRE_BELL_EVERYONE,
			INT32_MAX);
}

void seating_dismiss(struct seating *seating)
{
	for (unsigned i = 0; i < seating->worker_count; i++)
		tell_to_leave(seating, i);
	for (unsigned i = 0; i < seating->worker_count; i++)
		pthread_join(seating->workers[i].thread, NULL);
	seating->worker_count = 0;
}

void seating_close(struct seating *seating)
{
	cadre_courier_fini(seating->client);
	cadre_completion_fini(seating->client);
	cadre_consume_fini(seating->client);
	cadre_forkguard_fini(&seating->client->guard);
	free(seating->client->pending);
	free(seating->client);
	cadre_layout_close(&seating->view);
	cadre_segment_remove(seating->scene.pool);
	seating_expect(scene_leftovers(&seating->scene) == NULL, seating->scene.sentence);
}
