/*
 * troupe.h - a pool to make claims about: a service whose handlers do as they are asked,
 * and a board in shared memory where they tell what they did.
 *
 *	static struct troupe troupe;
 *
 *	static void begin(void) { troupe_begin(&troupe); }
 *	static void end(void)   { scene_insist(troupe_end(&troupe)); }
 *
 * The pool is embedded in a program of its own, a child of the test: Criterion keeps a
 * thread in each test, and a program with threads starts no pool. The test is a client.
 *
 * Waits are for events that the board or a report shows, never for a time to pass. A test
 * leaves nothing behind: neither what scene.h looks for nor a process of its pool, all of
 * which become children of the test when their parents die. Knows nothing of Criterion.
 */
#ifndef TROUPE_H
#define TROUPE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <cadre/cadre.h>

#include "child.h"
#include "scene.h"

/* What the service does. A number is four bytes, a uint32_t. */
enum troupe_operation {
	TROUPE_ECHO = 1, /* replies with the request */
	TROUPE_HOLD,   /* a number: waits until the gate is that high; replies with it */
	TROUPE_DIE,    /* troupe_death: dies; or replies as WHO */
	TROUPE_WHO,    /* replies with troupe_who */
	TROUPE_GROW,   /* a number: a reply of so many bytes, grown little by little */
	TROUPE_SILENT, /* returns without a reply */
	TROUPE_TWICE,  /* echoes; then tells what a second reply and a failure return */
	TROUPE_TOO_LONG, /* tells what a reply longer than payload_max returns; fails */
	TROUPE_FAIL,     /* fails with code 7 and the request as its sentence */
	TROUPE_LATER,    /* a number: as HOLD, but by another thread */
	TROUPE_LOG,      /* a number: writes it into the log; replies with it */
	TROUPE_START,    /* replies with the start arguments that init was given */
	TROUPE_LINGER,   /* a number: echoes, then waits as HOLD before it returns */
	TROUPE_OVERDRAW, /* tells what a commit of more than the room returns; replies "" */
	TROUPE_NEVER_SERVED = 99,
};

struct troupe_death {
	int32_t how;    /* a signal, or minus an exit status */
	uint32_t times; /* of the job's attempts; a later one replies */
};

struct troupe_who {
	int32_t pid;
	uint32_t worker;
	uint32_t incarnation;
	uint32_t attempt;
	int64_t deadline_ns;
	int32_t operation;
};

#define TROUPE_LOG_MAX 4096

struct troupe_board {
	_Atomic uint32_t gate;     /* the test opens it */
	_Atomic uint32_t begun;    /* jobs that came to wait at the gate */
	_Atomic uint32_t waiting;  /* now */
	_Atomic uint32_t passed;   /* those that have left it */
	_Atomic uint32_t cancels;  /* those that saw that they were cancelled */
	_Atomic uint32_t inits;    /* of workers */
	_Atomic uint32_t finis;    /* likewise */
	_Atomic uint32_t deaths;   /* jobs that were about to die */
	_Atomic int32_t told[4];   /* what a handler's calls returned */
	_Atomic uint32_t has_told; /* by how many jobs */
	_Atomic uint32_t logged;
	_Atomic uint32_t log[TROUPE_LOG_MAX];
};

struct troupe {
	struct scene scene;
	struct troupe_board *board;
	pid_t program; /* whose pool it is; 0 for none */
	int line;      /* to the program; -1 when it is a server */
	/* What the program does before it starts its pool; NULL: nothing. An error is that of
	 * the start. A fork server that it starts is let go of at the end. */
	int (*prepare)(struct cadre_diag *diag);
	struct cadre_client *client;
	struct cadre_diag diag; /* of the last start that failed */
};

/* The service, to be varied in copies. Its handlers know the board of the last troupe that
 * began in this process. */
extern const struct cadre_service troupe_service;

/* For handlers: the number that the request carries, 0 when it is none. */
uint32_t troupe_number_of(const struct cadre_job *job);

void troupe_begin(struct troupe *troupe);

/* An init for such copies: that of the service, unless what this points to is an error. The
 * test shares it with its workers (child_share). */
extern _Atomic int *troupe_refusal;
int troupe_begin_unless_refused(const struct cadre_start *start, void **ret_state,
				struct cadre_diag *diag);

/* Starts a program that starts a pool of the given service, with the troupe's name or what
 * options name, and attaches to it. 0 or negative errno with a sentence in troupe->diag;
 * then there is no program. */
int troupe_start(struct troupe *troupe, const struct cadre_service *service,
		 struct cadre_pool_options options);

/* The same for a program that serves a pool, and does nothing else. It is known to serve
 * when it lets us attach; -ESRCH when it ended instead. */
int troupe_serve(struct troupe *troupe, const struct cadre_source *source,
		 struct cadre_pool_options options);

/* Lets the program stop or terminate its pool, or await its end: what that returned, or
 * -ESRCH when the program died. */
int troupe_stop(const struct troupe *troupe);
int troupe_terminate(const struct troupe *troupe);
int troupe_await_end(const struct troupe *troupe, int64_t until_ns);

/* Detaches, and lets the program close the pool and end; a server gets a SIGTERM. True when
 * it found nothing that the pool left in it, or was killed before. */
bool troupe_close(struct troupe *troupe);

/* SIGKILLs the program and collects it. */
void troupe_kill_program(struct troupe *troupe);

/* Closes what is open. NULL when nothing is left, else a sentence that says what. */
const char *troupe_end(struct troupe *troupe);

/* A request that carries one number: ASK(TROUPE_HOLD, 1, .deadline_ns = ...). */
#define ASK(operation_, number, ...)                                  \
	((struct cadre_request){ .operation = (int32_t)(operation_),  \
				 .data = &(const uint32_t){ number }, \
				 .length = sizeof(uint32_t),          \
				 __VA_ARGS__ })

/* Lets jobs pass the gate whose number is not above `height`. */
void troupe_open_gate(struct troupe *troupe, uint32_t height);

#define TROUPE_PATIENCE_MS 20000

/* True as soon as the condition holds; false when it has not for a long while. */
#define eventually(condition)                                                  \
	__extension__({                                                        \
		const int64_t patience_ns = cadre_in_ms(TROUPE_PATIENCE_MS);   \
		bool holds;                                                    \
                                                                               \
		while (!(holds = (condition)) && cadre_now_ns() < patience_ns) \
			child_pause_ms(1);                                     \
		holds;                                                         \
	})

/* What a report says of the pool, of one of its places, and of one of its windows; all
 * zero when it cannot be read. */
struct cadre_pool_snapshot troupe_look(const char *pool);
struct cadre_worker_snapshot troupe_look_worker(const char *pool, uint32_t place);
struct cadre_client_snapshot troupe_look_client(const char *pool, uint32_t index);

/* A counter of a snapshot by its name; UINT64_MAX when there is none of that name. */
uint64_t troupe_counter(enum cadre_counter_scope scope, const uint64_t *counters,
			const char *name);

/* How many of the pool's tokens are in use. */
uint32_t troupe_tokens(const char *pool);

/* Its process; 0 for none. The keeper is that of an embedded pool. */
pid_t troupe_supervisor(const char *pool);
pid_t troupe_keeper(const char *pool);
pid_t troupe_worker(const char *pool, uint32_t place);

/* How many children this test has, once those that are dead were collected: the program, the
 * keeper, and whoever lost its parent. */
unsigned troupe_living(void);

/* True when there is no such process. One that is our child and dead is collected. */
bool troupe_is_gone(pid_t pid);

/* Bytes that only this seed and length make. */
void troupe_fill(void *bytes, size_t length, uint32_t seed);
bool troupe_holds(const void *bytes, size_t length, uint32_t seed);

#endif
