/*
 * event.h - what happened in a pool: deaths, restarts, refusals, successions. The last
 * CADRE_EVENTS of them stand in the segment, so that they can be read when everybody who
 * saw them is dead.
 *
 * The supervisor writes, anybody reads (annals.h). A record is copied out whole, bounded,
 * and then believed by nobody: it is shown.
 */
#ifndef CADRE_EVENT_H
#define CADRE_EVENT_H

#include "annals.h"

#define CADRE_EVENTS 128
#define CADRE_CRASHES 16 /* backtraces of the last deaths */
#define CADRE_EVENT_JOBS 8
#define CADRE_EVENT_PIDS 4
#define CADRE_EVENT_ROOM 272

enum cadre_event_kind {
	CADRE_EVENT_NONE = 0,
#define CADRE_EVENT(name, sentence) CADRE_EVENT_##name,
#include "events.def"
#undef CADRE_EVENT
	CADRE_EVENT_KINDS,
};

/* One that a worker had when it died. */
struct cadre_event_job {
	uint64_t id; /* as cadre_job_id */
	int32_t operation;
	uint32_t attempt;
};

/* What a kind does not need is 0. */
struct cadre_event {
	int64_t when_ns;      /* CLOCK_MONOTONIC */
	int64_t when_unix_ns; /* CLOCK_REALTIME */
	uint32_t kind;
	int32_t place; /* of the worker, client or local worker; -1: it is about none */
	uint32_t incarnation; /* of whoever sits there */
	int32_t pid;
	int32_t code; /* of an end: as struct cadre_result.code */
	uint32_t count;
	int64_t duration_ns;
	uint64_t crash;  /* 1 + number of its record in the ring of crashes */
	uint64_t kept;   /* 1 + number of its record among the kept requests */
	uint64_t length; /* of a request */
	int32_t window;
	uint32_t pid_count;             /* of pids */
	int32_t pids[CADRE_EVENT_PIDS]; /* others that it is about */
	uint32_t job_count;             /* all there were; jobs holds the first of them */
	uint16_t text_length;           /* room: text first, ... */
	uint16_t data_length;           /* ... then the first bytes of a request */
	struct cadre_event_job jobs[CADRE_EVENT_JOBS];
	char room[CADRE_EVENT_ROOM];
};

static_assert(sizeof(struct cadre_event) == 512 - 8, "segment layout");

/* A new event of that kind, now, about nobody yet. */
struct cadre_event cadre_event_now(enum cadre_event_kind kind);

/* Puts words into its room, which must be empty. */
void cadre_event_add_text(struct cadre_event *event, const char *text);

/* Puts what fits of these bytes behind the words. */
void cadre_event_add_data(struct cadre_event *event, const void *data, size_t length);

/* Notes one more job; beyond CADRE_EVENT_JOBS only their number. */
void cadre_event_add_job(struct cadre_event *event, struct cadre_event_job job);

/* Notes a pid, unless it is there already. */
void cadre_event_add_pid(struct cadre_event *event, int32_t pid);

/* Writes it down. Returns its number. */
uint64_t cadre_event_write(const struct cadre_annals *events,
			   const struct cadre_event *event);

/* Reads one, bounded. False when it is not there. */
bool cadre_event_read(const struct cadre_annals *events, uint64_t number,
		      struct cadre_event *ret_event);

/* Makes numbers that were read out of a segment safe to use. False when there is no such
 * kind. */
bool cadre_event_bound(struct cadre_event *event);

/* Was an event of this kind written about this process of this place, or this job? */
bool cadre_event_knows_of(const struct cadre_annals *events, enum cadre_event_kind kind,
			  int32_t place, uint32_t incarnation);
bool cadre_event_knows_job(const struct cadre_annals *events, enum cadre_event_kind kind,
			   uint64_t job);

/* Are the events of that time (CLOCK_REALTIME) gone, or may be? */
bool cadre_event_forgot(const struct cadre_annals *events, int64_t when_unix_ns);

/* Adds the pids of workers that died, as the events tell, while they had that job. */
void cadre_event_add_victims(const struct cadre_annals *events, uint64_t job,
			     struct cadre_event *event);

/* ---- words ---- */

const char *cadre_event_name(uint32_t kind);

/* The sentence of that kind, with its fields in braces. */
const char *cadre_event_template(uint32_t kind);

/* The finished sentence. */
void cadre_event_say(const struct cadre_event *event, char *text, size_t size);

#endif
