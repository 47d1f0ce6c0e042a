#include "keeper.h"
#include "clock.h"
#include "control.h"
#include "diag.h"
#include "process.h"
#include "spawn.h"
#include "supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* So many supervisors that died within so long: the pool is given up. */
#define CRASHES_MAX 8
#define CRASHES_WINDOW_NS (10 * CADRE_NS_PER_S)
#define PAUSE_NS (10 * CADRE_NS_PER_MS)
#define ORPHAN_WAITS_MAX 50 /* of 1 ms each */

enum {
	EXIT_ENDED = 0,
	EXIT_NOT_BEGUN = 3, /* the reason was said over the socket */
};

struct keeper {
	struct cadre_source source;
	struct cadre_pool_options options;
	int owner_pidfd;
	int program_fd; /* where the program listens; -1 once it was told */
};

static void tell(int fd, enum cadre_control_kind kind, int error, const char *text)
{
	struct cadre_control message = cadre_control_message(kind);

	message.error = error;
	message.place = (uint32_t)getpid();
	snprintf(message.text, sizeof(message.text), "%s", text);
	(void)cadre_control_send(fd, &message);
}

static void tell_ready(void *context)
{
	const struct keeper *const keeper = context;

	if (keeper->program_fd >= 0)
		tell(keeper->program_fd, CADRE_CONTROL_STARTED, 0, "");
}

static void print_notice(const char *sentence, void *context)
{
	(void)context;
	fprintf(stderr, "cadre: %s\n", sentence);
}

/* The life of one supervisor. `quiet`: the program learns of troubles by other ways. */
_Noreturn static void be_supervisor(struct keeper *keeper)
{
	const struct cadre_embedding embedding = {
		.owner_pidfd = keeper->owner_pidfd,
		.ready = tell_ready,
		.context = keeper,
	};
	struct cadre_diag diag = { "" };
	int r;

	prctl(PR_SET_NAME, "cadre-super");
	r = cadre_supervise(&keeper->source, &keeper->options, &embedding,
			    getenv("CADRE_VERBOSE") ? print_notice : NULL, NULL, &diag);
	if (r < 0 && keeper->program_fd >= 0)
		tell(keeper->program_fd, CADRE_CONTROL_FAILED, r,
		     diag.text[0] ? diag.text : strerror(-r));
	fflush(NULL);
	_exit(r < 0 ? EXIT_NOT_BEGUN : EXIT_ENDED);
}

/* Waits until the supervisor is gone, and collects whoever was left to us meanwhile. */
static int await_supervisor(pid_t supervisor)
{
	for (;;) {
		int status = 0;
		const pid_t pid = waitpid(-1, &status, 0);

		if (pid == supervisor || (pid < 0 && errno == ECHILD))
			return status;
	}
}

static bool is_crash_loop(int64_t crashes_ns[CRASHES_MAX], unsigned turn)
{
	const int64_t now_ns = cadre_clock_ns();
	int64_t *const oldest_ns = &crashes_ns[turn % CRASHES_MAX];
	const bool loop = *oldest_ns != 0 && now_ns - *oldest_ns < CRASHES_WINDOW_NS;

	*oldest_ns = now_ns;
	return loop;
}

/* What the last of them left to us. The heir of a worker that was killed just now takes a moment
 * longer; what a handler forked may live on. */
static void collect_orphans(void)
{
	const struct timespec pause = cadre_clock_timespec(CADRE_NS_PER_MS);
	unsigned waits = 0;

	while (waits < ORPHAN_WAITS_MAX) {
		const pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0)
			return;
		if (pid > 0)
			continue;
		nanosleep(&pause, NULL);
		waits++;
	}
}

_Noreturn static void keep(struct keeper *keeper)
{
	const struct timespec pause = cadre_clock_timespec(PAUSE_NS);
	int64_t crashes_ns[CRASHES_MAX] = { 0 };

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_NAME, "cadre-keeper");
	for (unsigned crashes = 0;; crashes++) {
		const pid_t supervisor = fork();
		int status;

		if (supervisor == 0)
			be_supervisor(keeper);
		if (supervisor < 0) {
			nanosleep(&pause, NULL);
			continue;
		}
		status = await_supervisor(supervisor);
		if (WIFEXITED(status) && (WEXITSTATUS(status) == EXIT_ENDED ||
					  WEXITSTATUS(status) == EXIT_NOT_BEGUN))
			break;
		/* It died with the pool alive: its successor takes it over. */
		if (is_crash_loop(crashes_ns, crashes))
			break;
		nanosleep(&pause, NULL);
	}
	collect_orphans();
	_exit(EXIT_SUCCESS);
}

void cadre_keeper_be(const struct cadre_service *service,
		     const struct cadre_pool_options *options,
		     const struct cadre_identity *program, int line)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGPIPE };
	struct keeper keeper = {
		.source = { .service = service },
		.options = *options,
	};

	cadre_spawn_shed_signals(ignored, CADRE_COUNT_OF(ignored));
	setsid();
	keeper.program_fd = cadre_spawn_shed_descriptors(line);
	keeper.owner_pidfd = cadre_process_open(*program);
	if (keeper.owner_pidfd < 0)
		_exit(EXIT_FAILURE); /* the program has ended already */
	keep(&keeper);
}

int cadre_keeper_say_who(int line)
{
	const struct cadre_identity self = cadre_process_self();
	struct cadre_control message = cadre_control_message(CADRE_CONTROL_STARTED);

	message.place = (uint32_t)self.pid;
	message.start_time = self.start_time;
	return cadre_control_send(line, &message);
}

void cadre_keeper_say_why_not(int line, int error, const char *text)
{
	tell(line, CADRE_CONTROL_FAILED, error, text);
}

int cadre_keeper_meet(int line, int64_t until_ns, struct cadre_keeper *ret_keeper,
		      struct cadre_diag *diag)
{
	struct cadre_identity keeper;
	struct cadre_control message;
	int pidfd, r;

	r = cadre_control_await(line, until_ns);
	if (r < 0)
		return cadre_refuse(diag, r, "the keeper of the pool did not start: %s",
				    strerror(-r));
	if (cadre_control_receive(line, &message, NULL) != 1)
		return cadre_refuse(diag, -ENOEXEC, "cannot start the keeper of the pool");
	if (message.kind != CADRE_CONTROL_STARTED)
		return cadre_refuse(diag, message.error < 0 ? message.error : -ENOEXEC,
				    "%s", message.text);
	keeper = (struct cadre_identity){ .pid = (pid_t)message.place,
					  .start_time = message.start_time };
	/* It may have ended by now: then the line says why. */
	pidfd = cadre_process_open(keeper);
	if (pidfd < 0 && pidfd != -ESRCH)
		return cadre_refuse(diag, pidfd, "cannot watch the keeper of the pool: %s",
				    strerror(-pidfd));
	*ret_keeper = (struct cadre_keeper){ .pid = keeper.pid, .pidfd = pidfd };
	return 0;
}

int cadre_keeper_await_ready(int line, const struct cadre_pool_options *options,
			     struct cadre_diag *diag)
{
	const int64_t until_ns = cadre_clock_in_ns(2 * options->start_timeout_ns +
						   CADRE_NS_PER_S);

	for (;;) {
		const int64_t left_ns = cadre_clock_left_ns(until_ns, CADRE_NS_PER_S);
		struct pollfd look = { .fd = line, .events = POLLIN };
		struct cadre_control message;
		int r;

		if (poll(&look, 1, (int)(left_ns / CADRE_NS_PER_MS)) == 0 && left_ns == 0)
			return cadre_refuse(diag, -ETIMEDOUT,
					    "the pool did not start in time");
		r = cadre_control_receive(line, &message, NULL);
		if (r == -EAGAIN)
			continue;
		if (r != 1)
			return cadre_refuse(diag, -ENOEXEC,
					    "the supervisor died before the pool was ready");
		if (message.kind == CADRE_CONTROL_STARTED)
			return 0;
		return cadre_refuse(diag, message.error < 0 ? message.error : -ENOEXEC,
				    "%s", message.text);
	}
}

/* The child of the child: nobody's but ours. */
_Noreturn static void fork_twice(const struct cadre_service *service,
				 const struct cadre_pool_options *options,
				 const struct cadre_identity *program, int line)
{
	const pid_t pid = fork();

	if (pid != 0)
		_exit(pid < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	(void)cadre_keeper_say_who(line);
	cadre_keeper_be(service, options, program, line);
}

int cadre_keeper_start(const struct cadre_service *service,
		       const struct cadre_pool_options *options,
		       struct cadre_keeper *ret_keeper, struct cadre_diag *diag)
{
	const struct cadre_identity program = cadre_process_self();
	int pair[2];
	pid_t middle;
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return cadre_refuse(diag, -errno, "cannot make a socket pair: %s",
				    strerror(errno));
	fflush(NULL);
	middle = fork();
	if (middle == 0)
		fork_twice(service, options, &program, pair[1]);
	close(pair[1]);
	if (middle < 0) {
		close(pair[0]);
		return cadre_refuse(diag, -errno, "cannot fork: %s", strerror(errno));
	}
	while (waitpid(middle, NULL, 0) < 0 && errno == EINTR) {
	}
	r = cadre_keeper_meet(pair[0], CADRE_FOREVER, ret_keeper, diag);
	if (r == 0)
		r = cadre_keeper_await_ready(pair[0], options, diag);
	close(pair[0]);
	return r;
}
