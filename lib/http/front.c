/*
 * front.c - the loop: the listener, the pool, signals, and the clock.
 */
#include "front.h"

#include <cadre/http.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define TICK_MS 100
#define EVENTS_PER_TURN 128
#define ACCEPTS_PER_TURN 64
#define ACCEPT_PAUSE_NS (100 * NS_PER_MS)
#define ATTACH_EVERY_NS (250 * NS_PER_MS)
#define ATTACH_FOR_NS (200 * NS_PER_MS)
#define LOG_SIZE (64u * 1024)
#define MIB (UINT64_C(1) << 20)

const struct cadre_http_way_of *cadre_http_way(const struct cadre_http_front *front)
{
	return front->options.way == CADRE_HTTP_HANDOFF ? &cadre_http_by_handoff :
							  &cadre_http_by_proxy;
}

void cadre_http_notice(struct cadre_http_front *front, const char *format, ...)
{
	char sentence[512];
	va_list arguments;

	if (!front->options.notice)
		return;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	front->options.notice(sentence, front->options.context);
}

static int watch(struct cadre_http_front *front, int fd, struct cadre_http_watch *watch)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = watch };

	return epoll_ctl(front->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* ---- the pool ---- */

static void dispatch(struct cadre_http_front *front, struct cadre_http_watch *watch,
		     uint32_t events)
{
	(void)watch;
	(void)events;
	front->dispatching = true;
	if (cadre_client_dispatch(front->client, 0) == -EOWNERDEAD)
		front->pool_gone = true;
	front->dispatching = false;
}

static int attach(struct cadre_http_front *front, int64_t timeout_ns,
		  struct cadre_diag *diag)
{
	const struct cadre_client_options options = { .size = sizeof(options),
						      .timeout_ns = timeout_ns };
	int r = cadre_client_attach(front->options.pool, &options, &front->client, diag);

	if (r < 0)
		return r;
	r = cadre_client_operation(front->client, "http.request");
	if (r != CADRE_HTTP_REQUEST) {
		snprintf(diag->text, sizeof(diag->text),
			 "the service of pool \"%s\" is no site: it was not made with "
			 "CADRE_HTTP_SITE (see cadre/http.h)",
			 front->options.pool);
		r = -EINVAL;
		goto fail;
	}
	front->client_fd = cadre_client_fd(front->client);
	front->client_watch.ready = dispatch;
	r = front->client_fd < 0 ? front->client_fd :
				   watch(front, front->client_fd, &front->client_watch);
	if (r < 0) {
		snprintf(diag->text, sizeof(diag->text),
			 "the results of pool \"%s\" cannot be watched: %s",
			 front->options.pool, strerror(-r));
		goto fail;
	}
	front->pool_gone = false;
	return 0;

fail:
	cadre_client_detach(front->client);
	front->client = NULL;
	return r;
}

static void detach(struct cadre_http_front *front)
{
	if (!front->client)
		return;
	epoll_ctl(front->epoll, EPOLL_CTL_DEL, front->client_fd, NULL);
	cadre_client_detach(front->client);
	front->client = NULL;
}

/* A pool that ended gives all its jobs back; then the next of its name is tried. */
static void look_for_pool(struct cadre_http_front *front)
{
	struct cadre_diag diag = { "" };

	if (!front->pool_gone || front->jobs > 0 || front->now_ns < front->attach_again_ns)
		return;
	detach(front);
	if (attach(front, ATTACH_FOR_NS, &diag) == 0)
		cadre_http_notice(front, "pool \"%s\" is there again",
				  front->options.pool);
	front->attach_again_ns = cadre_now_ns() + ATTACH_EVERY_NS;
}

/* The window is full; but jobs that have ended keep their slots until they are called back for,
 * and the descriptor that tells of them may come late. Whoever is called back may write over
 * what the request lies in, which is the front's. */
static int submit_again(struct cadre_http_front *front,
			struct cadre_http_connection *connection,
			struct cadre_request *request)
{
	const void *const data = request->data;
	void *const copy = malloc(request->length + 1);
	int r = -EAGAIN;

	if (!copy)
		return r;
	if (request->length)
		memcpy(copy, data, request->length);
	dispatch(front, NULL, 0);
	request->data = copy;
	if (!front->pool_gone)
		r = cadre_try_submit(front->client, request, &connection->ticket);
	request->data = data;
	free(copy);
	return r;
}

int cadre_http_submit(struct cadre_http_front *front,
		      struct cadre_http_connection *connection,
		      struct cadre_request *request)
{
	int r = -EOWNERDEAD;

	request->context = connection;
	if (front->client && !front->pool_gone)
		r = cadre_try_submit(front->client, request, &connection->ticket);
	if (r == -EAGAIN && !front->dispatching)
		r = submit_again(front, connection, request);
	if (r == 0) {
		connection->has_job = true;
		connection->is_overdue = false;
		connection->due_ns = front->now_ns + front->options.request_timeout_ns;
		front->jobs++;
	} else if ((r == -EOWNERDEAD || r == -ESHUTDOWN) && !front->pool_gone) {
		front->pool_gone = true;
		if (!front->draining)
			cadre_http_notice(front,
					  "pool \"%s\" takes no more jobs: requests are "
					  "answered 503 until one of that name does",
					  front->options.pool);
	}
	return r;
}

int cadre_http_status_of_refusal(int error, const char **ret_sentence)
{
	switch (error) {
	case -EMSGSIZE:
		*ret_sentence = "the request is longer than the pool takes";
		return 413;
	case -EAGAIN:
	case -ENOBUFS:
		*ret_sentence = "all workers are busy and enough requests wait for them";
		return 503;
	case -ESHUTDOWN:
	case -EOWNERDEAD:
		*ret_sentence = "the workers are not there just now";
		return 503;
	default:
		*ret_sentence = NULL;
		return 500;
	}
}

enum cadre_outcome cadre_http_outcome(const struct cadre_http_connection *connection,
				      const struct cadre_result *result)
{
	return connection->is_overdue && result->outcome == CADRE_CANCELLED ?
		       CADRE_TIMED_OUT :
		       result->outcome;
}

int cadre_http_status_of_outcome(enum cadre_outcome outcome, const char **ret_sentence)
{
	*ret_sentence = NULL;
	switch (outcome) {
	case CADRE_LOST:
		*ret_sentence = "the worker died while it handled this request";
		return 502;
	case CADRE_TIMED_OUT:
		*ret_sentence = "the request took longer than it may";
		return 504;
	case CADRE_TERMINATED:
	case CADRE_CANCELLED:
	case CADRE_WITHDRAWN:
		*ret_sentence = "the workers were ended before this request was answered";
		return 503;
	case CADRE_OK:
	case CADRE_FAILED:
	case CADRE_REFUSED:
		break;
	}
	return 500;
}

/* ---- the listener ---- */

static void listen_no_more(struct cadre_http_front *front)
{
	if (front->listening)
		epoll_ctl(front->epoll, EPOLL_CTL_DEL, front->options.listener, NULL);
	front->listening = false;
}

static void accept_some(struct cadre_http_front *front, struct cadre_http_watch *watch,
			uint32_t events)
{
	(void)watch;
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd;

		if (front->connection_count >= front->options.connections_max) {
			listen_no_more(front);
			return;
		}
		fd = accept4(front->options.listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			cadre_http_connection_new(front, fd);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			/* It would be ready at once again, and to no avail. */
			listen_no_more(front);
			front->accept_again_ns = front->now_ns + ACCEPT_PAUSE_NS;
			return;
		}
	}
}

static void listen_again(struct cadre_http_front *front)
{
	if (front->listening || front->draining ||
	    front->connection_count >= front->options.connections_max ||
	    front->now_ns < front->accept_again_ns)
		return;
	front->listener_watch.ready = accept_some;
	front->listening = watch(front, front->options.listener,
				 &front->listener_watch) == 0;
}

/* ---- signals and time ---- */

static void drain(struct cadre_http_front *front)
{
	if (front->draining) {
		/* Asked twice: what runs is cut off. */
		front->drain_due_ns = front->now_ns;
		return;
	}
	front->draining = true;
	front->drain_due_ns = front->now_ns + front->options.drain_timeout_ns;
	listen_no_more(front);
}

static void take_signals(struct cadre_http_front *front, struct cadre_http_watch *watch,
			 uint32_t events)
{
	struct signalfd_siginfo info;

	(void)watch;
	(void)events;
	while (read(front->signals, &info, sizeof(info)) == sizeof(info)) {
		int r = 0;

		if (info.ssi_signo == SIGUSR1)
			r = cadre_http_log_reopen(front);
		else
			drain(front);
		if (r < 0)
			cadre_http_notice(front, "the access log cannot be opened: %s",
					  strerror(-r));
	}
}

static void look_at_connections(struct cadre_http_front *front)
{
	struct cadre_http_connection *connection = front->connections;

	while (connection) {
		struct cadre_http_connection *const next = connection->next;

		if (front->draining && cadre_http_way(front)->may_close(connection))
			cadre_http_connection_close(connection);
		else if (front->now_ns < connection->due_ns)
			;
		else if (connection->state == CADRE_HTTP_PARTING)
			cadre_http_connection_close(connection);
		else
			cadre_http_way(front)->late(connection);
		connection = next;
	}
}

static bool has_drained(const struct cadre_http_front *front)
{
	return front->draining &&
	       (front->connection_count == 0 || front->now_ns >= front->drain_due_ns);
}

static void turn(struct cadre_http_front *front, int64_t *look_again_ns)
{
	struct epoll_event events[EVENTS_PER_TURN];
	const int count = epoll_wait(front->epoll, events, EVENTS_PER_TURN, TICK_MS);

	front->now_ns = cadre_now_ns();
	for (int i = 0; i < count; i++) {
		struct cadre_http_watch *const watch = events[i].data.ptr;

		watch->ready(front, watch, events[i].events);
	}
	if (front->now_ns >= *look_again_ns || front->draining) {
		look_at_connections(front);
		look_for_pool(front);
		*look_again_ns = front->now_ns + TICK_MS * NS_PER_MS;
	}
	listen_again(front);
	cadre_http_bury(front);
	if (front->log_length > 0)
		cadre_http_log_flush(front);
}

/* ---- begin and end ---- */

static int64_t or_default(int64_t given, int64_t otherwise)
{
	return given > 0 ? given : otherwise;
}

static void complete(struct cadre_http_front_options *options)
{
	if (options->connections_max == 0)
		options->connections_max = 1024;
	if (options->head_max == 0)
		options->head_max = 16 * 1024;
	if (options->body_max == 0)
		options->body_max = 1024 * MIB;
	options->head_timeout_ns = or_default(options->head_timeout_ns, 10 * NS_PER_S);
	options->body_timeout_ns = or_default(options->body_timeout_ns, 30 * NS_PER_S);
	options->write_timeout_ns = or_default(options->write_timeout_ns, 30 * NS_PER_S);
	options->idle_timeout_ns = or_default(options->idle_timeout_ns, 60 * NS_PER_S);
	options->request_timeout_ns = or_default(options->request_timeout_ns,
						 60 * NS_PER_S);
	options->drain_timeout_ns = or_default(options->drain_timeout_ns, 30 * NS_PER_S);
}

/* Each connection takes one descriptor, or two, and a pipe now and then. */
static void raise_limit(uint32_t connections_max)
{
	struct rlimit limit;
	const rlim_t wanted = (rlim_t)connections_max * 3 + 64;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_signals(struct cadre_http_front *front, sigset_t *before)
{
	sigset_t mask;
	int r;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, before);
	front->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	front->signal_watch.ready = take_signals;
	r = front->signals < 0 ? -errno :
				 watch(front, front->signals, &front->signal_watch);
	return r;
}

static int open_front(struct cadre_http_front *front, sigset_t *before,
		      struct cadre_diag *diag)
{
	int r = 0;

	raise_limit(front->options.connections_max);
	front->scratch = malloc(CADRE_HTTP_SCRATCH_SIZE);
	front->log = malloc(LOG_SIZE);
	front->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!front->scratch || !front->log)
		r = -ENOMEM;
	else if (front->epoll < 0)
		r = -errno;
	if (getrandom(&front->nonce, sizeof(front->nonce), 0) < 0)
		r = -errno;
	if (r == 0)
		r = open_signals(front, before);
	if (r < 0) {
		snprintf(diag->text, sizeof(diag->text), "the front cannot begin: %s",
			 strerror(-r));
		return r;
	}
	front->log_fd = front->options.log_fd > 0 ? front->options.log_fd : -1;
	if (cadre_http_log_reopen(front) < 0)
		cadre_http_notice(front, "the access log cannot be opened: %s",
				  strerror(errno));
	return attach(front, 0, diag);
}

/* What is still there is cut off. */
static void close_front(struct cadre_http_front *front)
{
	while (front->connections)
		cadre_http_connection_close(front->connections);
	while (front->client && front->jobs > 0 &&
	       cadre_client_await_dispatch(front->client, cadre_in_ms(1000)) > 0)
		;
	detach(front);
	cadre_http_bury(front);
	cadre_http_log_flush(front);
	if (front->signals >= 0)
		close(front->signals);
	if (front->epoll >= 0)
		close(front->epoll);
	if (front->options.log_path && front->log_fd >= 0)
		close(front->log_fd);
	free(front->scratch);
	free(front->log);
}

int cadre_http_front_run(const struct cadre_http_front_options *options,
			 struct cadre_diag *diag)
{
	struct cadre_http_front front = {
		.options = *options, .epoll = -1, .signals = -1, .log_fd = -1
	};
	struct cadre_diag unheard;
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction pipe_before;
	int64_t look_again_ns = 0;
	sigset_t before;
	int r;

	/* A worker that reads no more of a body is no reason to die. */
	sigaction(SIGPIPE, &ignore, &pipe_before);
	sigprocmask(SIG_BLOCK, NULL, &before);
	complete(&front.options);
	r = open_front(&front, &before, diag ? diag : &unheard);
	if (r == 0) {
		front.now_ns = cadre_now_ns();
		listen_again(&front);
		while (!has_drained(&front))
			turn(&front, &look_again_ns);
	}
	close_front(&front);
	sigprocmask(SIG_SETMASK, &before, NULL);
	sigaction(SIGPIPE, &pipe_before, NULL);
	return r;
}
