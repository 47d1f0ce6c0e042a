/*
 * ledger.h - what was submitted, what handlers did and what came back, written down outside
 * of the segment, so that it stays true when processes and segments do not.
 *
 * A test calls ledger_open first; whatever it forks afterwards (clients, keeper, supervisor,
 * workers) writes into the same ledger. Each job carries the number of its line. Anybody who
 * sees what must not be complains; the test asserts at its end that nobody has. This file
 * knows nothing of Criterion.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include <cadre/client.h>
#include <cadre/pool.h>
#include <cadre/token.h>

void ledger_open(void);

/* ---- complaints: the first one stands ---- */

__attribute__((format(printf, 1, 2))) void ledger_complain(const char *format, ...);

/* NULL when nobody complained. */
const char *ledger_complaint(void);

/* ---- the service whose handlers write into the ledger ---- */

/* `init` runs in each worker and must not fail, `before` at the begin of each handler;
 * NULL for none. */
struct cadre_service ledger_service(int (*init)(const struct cadre_start *start,
						void **ret_state, struct cadre_diag *diag),
				    void (*before)(void));

/* A small pool that grows, reaps and retries soon. */
struct cadre_pool_options ledger_pool(const char *name, uint32_t workers_min,
				      uint32_t workers_max);

#define LEDGER_WINDOW_SLOTS 8u
#define LEDGER_CLIENTS_MAX 6u
#define LEDGER_TOKENS_MAX 16u

/* How many workers ran a deadly job, and whether this one did, which is why it is gone. */
unsigned ledger_departures(void);
bool ledger_has_departed(int32_t pid);

/* ---- clients ---- */

/* What is to become of a job. */
struct ledger_wish {
	uint32_t length;       /* of the request, at least 16 */
	uint32_t reply_length; /* likewise */
	uint32_t work_us;
	unsigned flags; /* CADRE_IDEMPOTENT, CADRE_DETACHED */
	bool deadly;    /* its first handler kills its worker */
	bool cancel;    /* right after it was submitted */
	bool force;     /* the same, with a grace that is never over */
	enum ledger_token {
		LEDGER_NO_TOKEN,
		LEDGER_CANCELLED, /* right after it was submitted */
		LEDGER_TIMEOUT,   /* shorter than its work */
		LEDGER_PATIENT,   /* a composite that does not end */
	} token;
	int64_t timeout_ns; /* its deadline, relative; 0 for none */
};

/* One client with a few jobs out. A mortal one may be killed: nobody expects that it takes
 * what it submitted. */
struct ledger_party {
	struct cadre_client *client;
	struct cadre_token *token; /* of the latest job with one */
	bool mortal;
	unsigned turn; /* which wish comes next */
	uint32_t taken;
	struct cadre_ticket tickets[LEDGER_WINDOW_SLOTS];
	uint32_t numbers[LEDGER_WINDOW_SLOTS];
};

struct ledger_party ledger_party(struct cadre_client *client, bool mortal);

/* How many jobs are out. */
unsigned ledger_party_out(const struct ledger_party *party);

/* Submits one job, waiting for room. 0, or why it was refused. */
int ledger_party_submit(struct ledger_party *party, const struct ledger_wish *wish);

/* Takes the outcome of one job and looks at it. False when none ended until then. */
bool ledger_party_take(struct ledger_party *party, int64_t timeout_ns);

/* The next of a round of wishes in which everything comes up that a healthy client does. */
const struct ledger_wish *ledger_party_next_wish(struct ledger_party *party);

/* Keeps a few jobs of all kinds out until so many more outcomes were taken. */
void ledger_party_work(struct ledger_party *party, unsigned outcomes);

/* Takes all that is left; complains when it does not end. */
void ledger_party_finish(struct ledger_party *party);

/* Calls until a call succeeds: the pool serves. Complains when it does not. */
void ledger_party_call(struct ledger_party *party);

/* ---- the audit, when everybody is done ---- */

struct ledger_sums {
	uint32_t offered;    /* jobs that somebody tried to submit */
	uint32_t accepted;   /* of these, accepted for certain */
	uint32_t ended;      /* outcomes taken */
	uint32_t lost;       /* of these */
	uint32_t executions; /* by handlers */
	uint32_t repeated;   /* jobs executed more than once */
};

/* Complains about each line that cannot be: an accepted job of an immortal client without
 * an outcome or with two, a job that is not idempotent and was executed twice, a repetition
 * that was not reported, a detached job that nobody ran though no worker died. */
struct ledger_sums ledger_audit(bool workers_died);

#endif
