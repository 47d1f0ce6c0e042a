/*
 * front.h - the front: one thread, one epoll, many connections.
 *
 * front.c owns the loop, the listener, the pool's client and the clock; connection.c what
 * every connection has: buffers, writing, closing, logging. What becomes of what arrives is
 * said by proxy.c and handoff.c, which see neither of each other.
 *
 * A connection is freed when its descriptor is closed *and* its job has ended, and never
 * within a turn of the loop: callbacks always find it, and so does whoever just closed it.
 */
#ifndef CADRE_HTTP_FRONT_PRIVATE_H
#define CADRE_HTTP_FRONT_PRIVATE_H

#include "answer.h"
#include "head.h"
#include "parser.h"

#include <cadre/client.h>
#include <cadre/http_front.h>

#include <netinet/in.h>

#define CADRE_HTTP_PEER_SIZE 64

struct cadre_http_front;
struct cadre_http_connection;

/* What epoll's data points to. */
struct cadre_http_watch {
	void (*ready)(struct cadre_http_front *front, struct cadre_http_watch *watch,
		      uint32_t events);
};

enum cadre_http_state {
	CADRE_HTTP_IDLE,    /* no byte of a request yet */
	CADRE_HTTP_HEAD,    /* some of the head */
	CADRE_HTTP_BODY,    /* the body is gathered */
	CADRE_HTTP_UPLOAD,  /* the body goes through a pipe while the job runs */
	CADRE_HTTP_WAITING, /* the job has all it needs */
	CADRE_HTTP_SENDING, /* the response goes out */
	CADRE_HTTP_PARTING, /* closed for writing; what still comes is dropped */
	CADRE_HTTP_GONE,    /* descriptor closed, its job not ended yet */
};

/* What the access log says about a request. */
struct cadre_http_entry {
	char line[512]; /* method, target and version */
	char referrer[160];
	char agent[160];
	int64_t began_ns;
	int status;
	uint64_t bytes; /* of the body */
	int32_t worker;
	int64_t running_ns;
};

struct cadre_http_connection {
	struct cadre_http_watch watch;
	struct cadre_http_connection *next, *previous;
	struct cadre_http_front *front;
	int fd;
	bool is_watched;
	uint32_t events; /* that epoll watches for */
	enum cadre_http_state state;
	int64_t due_ns; /* when its state has lasted too long */
	char peer[CADRE_HTTP_PEER_SIZE];

	/* The job, while one is outstanding. */
	bool has_job;
	struct cadre_ticket ticket;
	bool is_paused;  /* its stream */
	bool is_overdue; /* it was cancelled here because it took too long */

	/* What is written and has not gone out yet. */
	char *out;
	size_t out_start, out_end, out_size;

	/* The request that is answered, as far as it is known here. */
	struct cadre_http_entry entry;
	bool keep_alive;
	bool is_head;
	uint32_t minor;

	/* ---- proxy.c ---- */
	char *in; /* head_max bytes */
	size_t in_start, in_end, scanned;
	struct cadre_http_parser *parser;
	struct cadre_http_head *head;
	uint64_t body_seen;
	char *packed; /* a request whose body is gathered */
	size_t packed_length, packed_size;
	struct cadre_http_watch pipe_watch;
	int pipe; /* its writing end */
	size_t pipe_start;
	bool body_done;
	struct cadre_http_answer answer; /* once the response has begun */
	bool begun;
	uint64_t body_left;

	/* ---- handoff.c ---- */
	uint64_t serial;
	int spare; /* a second descriptor of the connection, to travel; -1 while it does */
	uint64_t sent_before;
	uint64_t moved; /* see look_for_progress */
	bool arrived;   /* something came while a worker had it */
	int64_t head_due_ns;
};

struct cadre_http_front {
	struct cadre_http_front_options options;
	int epoll;
	struct cadre_http_watch listener_watch, client_watch, signal_watch;
	bool listening;
	int64_t accept_again_ns;
	int signals;
	int64_t now_ns; /* read once per turn of the loop */

	struct cadre_client *client;
	int client_fd;
	bool pool_gone;
	bool dispatching; /* results are being called back for */
	int64_t attach_again_ns;
	uint32_t jobs; /* outstanding */

	struct cadre_http_connection *connections;
	struct cadre_http_connection *closed; /* to be freed between two turns */
	uint32_t connection_count;
	uint64_t serial; /* of the last connection */
	uint64_t nonce;  /* of this front */
	int64_t drain_due_ns;
	bool draining;

	char *scratch; /* for one packed request or one response's head */
	char *log;     /* lines not written yet */
	size_t log_length;
	int log_fd;
};

/* What a handler gets to notice that it was cancelled, before its worker is killed. */
#define CADRE_HTTP_GRACE_NS INT64_C(2000000000)

#define CADRE_HTTP_SCRATCH_SIZE (256u * 1024)

/* ---- front.c ---- */

void cadre_http_notice(struct cadre_http_front *front, const char *format, ...)
	CADRE_PRINTF(2, 3);

/* Submits; a pool that is gone is looked for again. Errors of cadre_try_submit. */
int cadre_http_submit(struct cadre_http_front *front,
		      struct cadre_http_connection *connection,
		      struct cadre_request *request);

/* The status for a submission that was refused, or a job that ended badly, and its words. */
int cadre_http_status_of_refusal(int error, const char **ret_sentence);
int cadre_http_status_of_outcome(enum cadre_outcome outcome, const char **ret_sentence);

/* The outcome as the client is told of it: *timed out* when that is why it was cancelled. */
enum cadre_outcome cadre_http_outcome(const struct cadre_http_connection *connection,
				      const struct cadre_result *result);

/* ---- connection.c ---- */

struct cadre_http_connection *cadre_http_connection_new(struct cadre_http_front *front,
							int fd);

/* Ends its job as overdue: its end comes as of any other, at once. */
void cadre_http_connection_give_up(struct cadre_http_connection *connection);

/* Watches for these events from now on. */
void cadre_http_connection_await(struct cadre_http_connection *connection,
				 uint32_t events);

/* Closes the descriptor, cancels the job, frees what can be freed. */
void cadre_http_connection_close(struct cadre_http_connection *connection);

/* Closes it so that the client can still read the last response (RFC 9112, 9.6): for writing
 * first, and wholly once the client did, or after a while. */
void cadre_http_connection_part(struct cadre_http_connection *connection);

/* Drops what a parting client still sends. */
void cadre_http_connection_drop_input(struct cadre_http_connection *connection);

/* Writes now what goes, keeps the rest. -EPIPE when the client is gone, -ENOMEM. */
int cadre_http_connection_write(struct cadre_http_connection *connection,
				const struct iovec *parts, int count);

/* Goes on writing. 0 when all is out, -EAGAIN, -EPIPE. */
int cadre_http_connection_flush(struct cadre_http_connection *connection);

static inline size_t cadre_http_connection_unsent(
	const struct cadre_http_connection *connection)
{
	return connection->out_end - connection->out_start;
}

/* Its job has ended: what was closed meanwhile is freed at the end of the loop's turn. */
void cadre_http_connection_job_ended(struct cadre_http_connection *connection);

/* Frees what was closed. Between two turns of the loop only. */
void cadre_http_bury(struct cadre_http_front *front);

/* ---- access.c ---- */

void cadre_http_log_request(struct cadre_http_connection *connection);
void cadre_http_log_flush(struct cadre_http_front *front);
int cadre_http_log_reopen(struct cadre_http_front *front);

/* ---- proxy.c and handoff.c: the two ways ---- */

struct cadre_http_way_of {
	int (*open)(struct cadre_http_connection *connection);
	void (*ready)(struct cadre_http_connection *connection, uint32_t events);
	/* Its state has lasted until due_ns. */
	void (*late)(struct cadre_http_connection *connection);
	void (*close)(struct cadre_http_connection *connection);
	/* The server ends: true when there is nothing to wait for. */
	bool (*may_close)(const struct cadre_http_connection *connection);
	int32_t operation;
};

extern const struct cadre_http_way_of cadre_http_by_proxy;
extern const struct cadre_http_way_of cadre_http_by_handoff;

const struct cadre_http_way_of *cadre_http_way(const struct cadre_http_front *front);

#endif
