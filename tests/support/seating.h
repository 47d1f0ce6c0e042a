/*
 * seating.h - a pool whose clients and workers are threads over one mapping, for
 * ThreadSanitizer: an order that is missing between them is a data race then.
 *
 * Clients and workers are seated by hand, since those that attach or are forked would map
 * the segment elsewhere, where the sanitizer could not connect the two. There is no
 * supervisor: nobody dies, nobody minds. Knows nothing of Criterion, which the sanitizer
 * does not bear.
 */
#ifndef SEATING_H
#define SEATING_H

#include "client.h"
#include "scene.h"
#include "worker.h"

#define SEATING_WORKERS_MAX 8u

struct seated_worker {
	const struct seating *seating;
	const struct cadre_service *service;
	pthread_t thread;
	unsigned number;
};

struct seating {
	struct scene scene;
	struct cadre_view view;
	struct cadre_client *client;
	struct seated_worker workers[SEATING_WORKERS_MAX];
	unsigned worker_count;
};

/* Ends the program with status 1 and the sentence, unless the condition holds. */
void seating_expect(bool condition, const char *sentence);

pthread_t seating_start(void *(*body)(void *), void *context);

/* Makes the segment, and the one client. */
void seating_open(struct seating *seating, unsigned workers, unsigned parallel,
		  uint32_t slots);

/* Seats the next worker, which serves on a thread of its own. */
void seating_serve(struct seating *seating, const struct cadre_service *service);

/* Waits for something to dispatch, 100 ms at most, by the descriptor or without one, and
 * dispatches it: up to `most` at a time when by the descriptor. */
void seating_dispatch(struct seating *seating, bool by_descriptor, unsigned most);

/* Lets the workers finish and leave; they are gone when it returns. */
void seating_dismiss(struct seating *seating);

/* Ends the client, removes the segment, and looks for what was left behind. */
void seating_close(struct seating *seating);

#endif
