/*
 * check.h - what the files of a check share: check.c (the looks, and what is believed),
 * and, by what they look at, check_windows.c (slots and the sums of their windows),
 * check_jobs.c (who looks after a job), check_places.c (workers, clients, the masks that
 * name them), check_owners.c (blocks, tokens), check_records.c (events, crashes, kept
 * requests). What it promises stands in include/cadre/check.h.
 *
 * Everything read here is what other processes wrote, and perhaps what a broken one
 * scribbled: each word is read once, each number is checked before it is followed, and the
 * list of suspicions has an end. It writes nothing and mends nothing.
 */
#ifndef CADRE_LIB_CHECK_H
#define CADRE_LIB_CHECK_H

#include <cadre/check.h>

#include "layout.h"

/* Each rule, and the file that asks for it. */
enum cadre_rule {
	/* What no order of steps leads to. check_windows.c: */
	CADRE_RULE_WORD,          /* the word of a slot is one that some step writes */
	CADRE_RULE_BOOKS,         /* as many jobs are booked as its word says */
	CADRE_RULE_REQUEST,       /* what it is to run lies in a block of its own */
	CADRE_RULE_STREAM,        /* nothing was read that was not emitted */
	CADRE_RULE_UNLEASED_SLOT, /* without a lease it is FREE */
	CADRE_RULE_SUMS,          /* a window: accepted = ended + in flight */
	/* check_jobs.c: */
	CADRE_RULE_HOMELESS, /* a job runs where somebody sits ... */
	CADRE_RULE_OUTLIVED, /* ... who sat there already when it was taken */
	/* check_places.c: */
	CADRE_RULE_POOL_STATE,   /* the pool has a state that exists */
	CADRE_RULE_WORKER_STATE, /* a worker's place likewise, and names whoever is up */
	CADRE_RULE_WORKER_BITS,  /* the masks of the crew name who is there */
	CADRE_RULE_CLIENT_STATE, /* a client's place: as a worker's */
	CADRE_RULE_UNLEASED_CLIENT, /* the window of a client is leased */
	CADRE_RULE_STRAY_CREW, /* no mask names a place that there is not: of a worker, */
	CADRE_RULE_STRAY_GUEST, /* of a local worker, */
	CADRE_RULE_STRAY_LEASE, /* of a client */
	/* check_owners.c: */
	CADRE_RULE_BLOCK, /* a block belongs to no job that is yet to come */
	CADRE_RULE_TOKEN, /* a token has a phase that exists, and an owner */
	/* check_records.c; in the order of their UNFINISHED below: */
	CADRE_RULE_EVENT, /* the numbers of its ring fit, and it is of a kind that exists */
	CADRE_RULE_CRASH, /* the numbers fit */
	CADRE_RULE_KEPT,  /* the numbers fit */

	/* What somebody who lives is about to mend. check_jobs.c: */
	CADRE_RULE_DUE,
	CADRE_RULE_SLOT_OF_DEAD = CADRE_RULE_DUE, /* what a dead worker had is reaped */
	CADRE_RULE_WAKE_LOST, /* nobody sleeps beside a job that he may take */
	/* check_places.c: */
	CADRE_RULE_WORKER_DEAD,      /* the supervisor notices a dead worker, */
	CADRE_RULE_WORKER_BURIED,    /* reaps it, */
	CADRE_RULE_WORKER_DEAD_BITS, /* and takes it out of the masks */
	CADRE_RULE_CLIENT_DEAD,      /* it notices a dead client, */
	CADRE_RULE_LEASE_LEFT,       /* and takes its lease back */
	/* check_owners.c: */
	CADRE_RULE_TOKEN_LEFT, /* a token of a client that is gone is released */
	/* check_records.c; whoever begins to write one of these ends it: */
	CADRE_RULE_EVENT_UNFINISHED,
	CADRE_RULE_CRASH_UNFINISHED,
	CADRE_RULE_KEPT_UNFINISHED,
};

/* A rule that a subject (a slot, a block, a place, a window, a bit) seems to break. The
 * evidence is what must not have moved on. */
struct cadre_suspicion {
	enum cadre_rule rule;
	uint32_t subject;
	uint64_t evidence;
	bool seen; /* in the present look */
	char sentence[400];
};

#define CADRE_SUSPICIONS_MAX 256

struct cadre_check {
	struct cadre_view view;
	const char *pool;

	/* Of the present look. */
	int64_t now_ns;
	pid_t supervisor; /* as cadre_lock_holder says */
	bool first;       /* whatever it sees is suspicious */
	bool sleeps[CADRE_WORKERS_MAX];
	struct cadre_balance balance;
	uint32_t left_out; /* suspicions for which the list had no room */

	uint32_t count;
	struct cadre_suspicion suspicions[CADRE_SUSPICIONS_MAX];
};

/* check.c: says in a sentence that this looks wrong. It is heard when the first look says so,
 * and remembered as long as each one after it does. */
void cadre_check_suspect(struct cadre_check *check, enum cadre_rule rule, uint32_t subject,
			 uint64_t evidence, const char *format, ...) CADRE_PRINTF(5, 6);

/* One look at each of these. The places come first: who sleeps matters to the jobs. */
void cadre_check_places(struct cadre_check *check);
void cadre_check_windows(struct cadre_check *check);
void cadre_check_owners(struct cadre_check *check);
void cadre_check_records(struct cadre_check *check);

/* ---- a slot, as check_windows.c and check_jobs.c see it ---- */

/* One slot, standing still: all of it was read while its word stayed the same. */
struct cadre_still {
	uint32_t number;
	struct cadre_word word;
	uint64_t bits; /* the same */
	uint64_t ended[CADRE_OUTCOME_COUNT];
	uint64_t sum;
	int64_t submitted_ns;
	int64_t taken_ns;
	uint32_t length;
	bool has_request; /* its bytes lie where they must */
	bool has_stream;  /* one that fits into its block; then */
	uint64_t head, tail;
};

#define CADRE_SLOT_FORMAT "slot %u of window %u"
#define CADRE_SLOT_ARGUMENTS(check, still)            \
	(still)->number % (check)->view.limits.slots, \
		cadre_view_window_of(&(check)->view, (still)->number)

/* What is evidence about a job: generation and owner. Flags may come while one looks. */
#define CADRE_JOB_OF(still) ((still)->bits >> 14)

/* Of a slot whose word can be: does somebody look after its job? */
void cadre_check_job(struct cadre_check *check, const struct cadre_still *still);

#endif
