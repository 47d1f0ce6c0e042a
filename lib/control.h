/*
 * control.h - the pool's control socket: a few fixed-size messages between a supervisor
 * and whoever wants something of it.
 *
 * A conversation is one connection: connect, ask, read the answer, close. Nothing is kept
 * open, so a supervisor that died is found again by the next question at its successor.
 * The exception carries descriptors: a client's courier stays connected, and a worker that
 * wants the descriptors of a job is brought together with it (courier.c, fetch.c).
 * The kernel names the sender (SCM_CREDENTIALS); what the message says of itself must
 * agree. Between a supervisor and a worker that starts, the same messages go over a socket
 * pair.
 */
#ifndef CADRE_CONTROL_H
#define CADRE_CONTROL_H

#include <stdint.h>
#include <sys/types.h>

#include <cadre/descriptors.h>
#include <cadre/error.h>

enum cadre_control_kind {
	/* questions to a supervisor */
	CADRE_CONTROL_HELLO = 1, /* lease me a window: nonce, start_time -> place, incarnation */
	CADRE_CONTROL_GOODBYE, /* I am gone: place, nonce */
	CADRE_CONTROL_KNOCK,   /* jobs wait and nobody looks; there is no answer */
	CADRE_CONTROL_STOP,    /* run what was accepted, then end */
	CADRE_CONTROL_TERMINATE,
	CADRE_CONTROL_CANCEL, /* end every job as cancelled -> count */
	CADRE_CONTROL_ANSWER, /* error, text, place, incarnation, count */
	/* from a worker that starts */
	CADRE_CONTROL_OPERATION, /* one of its table: place = id, text = name */
	CADRE_CONTROL_STARTED,
	CADRE_CONTROL_FAILED, /* text */
	/* descriptors */
	CADRE_CONTROL_COURIER, /* this connection stays: place, nonce; descriptors of that
				* window's jobs are to be had here */
	CADRE_CONTROL_MEET, /* from a worker: place = window; handed on to the courier with
				* the connection that it came by */
	CADRE_CONTROL_FETCH, /* from a worker to a courier: place = slot, nonce = its word;
				* the answer says in `place` how many come with it */
	/* more questions to a supervisor: orders */
	CADRE_CONTROL_DRAIN,  /* run what was accepted, end the workers, stay */
	CADRE_CONTROL_START,  /* serve again */
	CADRE_CONTROL_SCALE,  /* place = workers_min, incarnation = workers_max */
	CADRE_CONTROL_RELOAD, /* replace each worker; the answer comes when it is done */
	CADRE_CONTROL_STOP_IDLE, /* place, incarnation: let this one leave, if it idles */
	CADRE_CONTROL_LOG_LEVEL, /* place = level */
	CADRE_CONTROL_LOG,       /* there are lines to be told; there is no answer */
	/* questions of a local worker to a supervisor, as HELLO and GOODBYE */
	CADRE_CONTROL_GUEST,
	CADRE_CONTROL_GUEST_GOODBYE,
	/* from a program to its fork server, with descriptors: count = which of 0, 1, 2 are
	 * among them; START then tells the keeper to go on */
	CADRE_CONTROL_FORK,
	/* from a worker that starts, before STARTED: its heir is place = pid, start_time */
	CADRE_CONTROL_HEIR,
};

/* A goodbye: of whichever window, or guest's place, was leased for this nonce, if one was. */
#define CADRE_CONTROL_ANY_PLACE UINT32_MAX

struct cadre_control {
	uint32_t version; /* CADRE_CONTROL_VERSION */
	uint32_t kind;
	uint64_t nonce;
	uint64_t start_time;
	int32_t error; /* 0 or negative errno */
	uint32_t place;
	uint32_t incarnation;
	uint32_t count;
	char text[480]; /* ends with a zero byte */
};

#define CADRE_CONTROL_VERSION 1u

/* A listening socket at the pool's path; a stale one is replaced. The caller holds the
 * lock. Descriptor or negative errno. */
int cadre_control_listen(const char *pool, mode_t mode, struct cadre_diag *diag);

/* The next connection, or negative errno. */
int cadre_control_accept(int listener);

/* Sends without waiting. 0, -EAGAIN when the peer does not read, or negative errno. */
int cadre_control_send(int fd, const struct cadre_control *message);

/* Receives without waiting: 1 with a message that is well formed, 0 at the end of the
 * conversation, -EAGAIN, -EBADMSG, or another negative errno. ret_sender may be NULL. */
int cadre_control_receive(int fd, struct cadre_control *ret_message, pid_t *ret_sender);

/* The same with descriptors. Of those received the caller is the owner; -EMFILE when there
 * was no room for them in this process or in the array, and then they are closed. */
int cadre_control_send_with(int fd, const struct cadre_control *message, const int *fds,
			    size_t count);
int cadre_control_receive_with(int fd, struct cadre_control *ret_message,
			       pid_t *ret_sender, int *ret_fds, size_t most,
			       size_t *ret_count);

/* A connection to the pool's supervisor: descriptor, -ECONNREFUSED, -ETIMEDOUT. */
int cadre_control_connect(const char *pool, int64_t until_ns);

/* Waits until there is something to receive. 0, -ETIMEDOUT. */
int cadre_control_await(int fd, int64_t until_ns);

/* Asks and waits for the answer until `until_ns`. 0 and the answer (whose error may say
 * no), -ECONNREFUSED (nobody listens), -ETIMEDOUT. ret_answer NULL: waits for none. */
int cadre_control_ask(const char *pool, const struct cadre_control *question,
		      int64_t until_ns, struct cadre_control *ret_answer);

/* The same until there is an answer, or nobody has supervised the pool for a second: nobody
 * listens while it starts, or while a successor takes over from a dead supervisor. For
 * questions that are harmless when they are asked twice. */
int cadre_control_ask_patiently(const char *pool, const struct cadre_control *question,
				int64_t until_ns, struct cadre_control *ret_answer);

/* A message of that kind, with everything else zero. */
struct cadre_control cadre_control_message(enum cadre_control_kind kind);

#endif
