/*
 * film.h - one operation, instruction by instruction, and every image of the segment
 * that there was on the way.
 */
#ifndef FILM_H
#define FILM_H

#include "stepper.h"

struct film_image {
	uint32_t position; /* the first at which it stands */
	bool again;        /* the same bytes as an earlier one */
	unsigned char *bytes;
};

struct film {
	struct subject subject; /* dead by now; its pidfd is open */
	struct stepper_trace trace;
	struct film_image *images; /* the first is the scene itself */
	uint32_t count;
	uint32_t distinct;
};

/* Steps an operation from its first instruction to its last. False, with a complaint,
 * when it does not come to its end. */
bool film_shoot(const struct operation *operation, struct film *ret_film);
void film_free(struct film *film);

/* Lets the scene be set again, with the subject dead at that image. */
void film_show(const struct film *film, uint32_t image);

/* The instruction that made an image, as addr2line wants it. */
uint64_t film_address(const struct film *film, uint32_t image);

/* The slots in an image. */
const void *film_slots(const struct film *film, uint32_t image);

#endif
