#include "fork_server.h"
#include "clock.h"
#include "control.h"
#include "diag.h"
#include "forkguard.h"
#include "parcel.h"
#include "platform.h"
#include "rights.h"
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The descriptors of a request, in this order; then those of 0, 1, 2 that are open, which
 * `count` of the message says, a bit for each. */
enum { LINE, DIRECTORY, STREAMS };

#define STREAM_COUNT 3
#define HANG_UP_MS 100
#define DESCRIPTORS_MAX (STREAMS + STREAM_COUNT)

/* ======== in the server ======== */

/* Everything below knows the program by this. */
struct request {
	const struct cadre_identity *program;
	pid_t sender;
	unsigned streams;
	int fds[DESCRIPTORS_MAX];
	size_t fd_count;
};

_Noreturn static void refuse(int line, int error, const char *text)
{
	cadre_keeper_say_why_not(line, error, text);
	_exit(EXIT_SUCCESS);
}

/* ---- the child, which is going to be a keeper ---- */

/* Whoever the message came from has this line, so it is told why not. */
static int check_who_asks(const struct request *request, struct cadre_diag *diag)
{
	char what[32];
	int r;

	if (request->sender != request->program->pid)
		return cadre_refuse(diag, -ECHILD,
				    "the fork server belongs to the process %d, and this is "
				    "the process %d",
				    (int)request->program->pid, (int)request->sender);
	r = cadre_rights_compare(request->program->pid, what, sizeof(what));
	if (r == -EPERM)
		return cadre_refuse(
			diag, r,
			"the program has other rights than when it started its "
			"fork server (%s in /proc/%d/status): start that when they "
			"are what they shall be",
			what, (int)request->program->pid);
	if (r < 0)
		return cadre_refuse(diag, -EPERM,
				    "the rights of the program cannot be compared with those of "
				    "its fork server: %s",
				    strerror(-r));
	return 0;
}

/* What a fork of the program would have. */
static int take_surroundings(const struct request *request, struct cadre_diag *diag)
{
	const int *fd = &request->fds[STREAMS];
	mode_t mask;
	int r = cadre_rights_umask(request->program->pid, &mask);

	if (r == 0 && fchdir(request->fds[DIRECTORY]) < 0)
		r = -errno;
	if (r < 0)
		return cadre_refuse(diag, r,
				    "the directory or the umask of the program cannot be had: "
				    "%s",
				    strerror(-r));
	umask(mask);
	for (int stream = 0; stream < STREAM_COUNT; stream++) {
		if (request->streams & 1u << stream)
			dup2(*fd++, stream);
		else
			close(stream);
	}
	return 0;
}

/* The bytes of a parcel, which was sent before the request. Never freed: the keeper lives on
 * it. Before anything is said: who closes a socket with something unread takes back what it
 * has said. */
static char *receive_parcel(int line, size_t *ret_length)
{
	const ssize_t length = recv(line, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
	char *const bytes = length > 0 ? malloc((size_t)length) : NULL;

	*ret_length = 0;
	if (bytes && recv(line, bytes, (size_t)length, MSG_DONTWAIT) == length)
		*ret_length = (size_t)length;
	return bytes;
}

/* False: the program has died, or waits no more. */
static bool is_told_to_go_on(int line, const struct cadre_identity *program)
{
	const int pidfd = cadre_process_open(*program);
	struct pollfd looks[] = { { .fd = line, .events = POLLIN },
				  { .fd = pidfd, .events = POLLIN } };
	struct cadre_control message;
	bool goes_on;

	if (pidfd < 0)
		return false;
	while (poll(looks, CADRE_COUNT_OF(looks), -1) < 0) {
	}
	/* With POLLHUP it told us, and waits no more. */
	goes_on = looks[0].revents == POLLIN &&
		  cadre_control_receive(line, &message, NULL) == 1 &&
		  message.kind == CADRE_CONTROL_START;
	close(pidfd);
	return goes_on;
}

_Noreturn static void be_keeper_of(const struct request *request)
{
	static struct cadre_parcel parcel;
	struct cadre_diag diag = { "" };
	int line = request->fds[LINE];
	size_t length;
	char *bytes;
	int r;

	bytes = receive_parcel(line, &length);
	r = check_who_asks(request, &diag);
	if (r == 0)
		r = cadre_parcel_unpack(bytes, length, &parcel, &diag);
	if (r == 0)
		r = take_surroundings(request, &diag);
	if (r < 0)
		refuse(line, r, diag.text);
	/* The server's socket, too: of a dead server we are not to be the last trace. */
	line = cadre_spawn_shed_descriptors(line);
	if (cadre_keeper_say_who(line) < 0)
		_exit(EXIT_SUCCESS);
	CADRE_KILL_POINT("P13");
	if (!is_told_to_go_on(line, request->program))
		_exit(EXIT_SUCCESS);
	cadre_keeper_be(parcel.has_service ? &parcel.service : NULL, &parcel.options,
			request->program, line);
}

/* ---- the server itself ---- */

/* Nobody waits for the answer any more. */
static bool is_stale(const struct request *request)
{
	struct pollfd look = { .fd = request->fds[LINE] };

	return poll(&look, 1, 0) != 0;
}

static void say_cannot_fork(int line, int error)
{
	char text[80];
	size_t length;

	free(receive_parcel(line, &length));
	snprintf(text, sizeof(text), "the fork server cannot fork: %s", strerror(error));
	cadre_keeper_say_why_not(line, -error, text);
}

static void obey(const struct request *request)
{
	pid_t keeper;

	if (is_stale(request))
		return;
	keeper = fork();
	if (keeper == 0)
		be_keeper_of(request);
	if (keeper < 0)
		say_cannot_fork(request->fds[LINE], errno);
	CADRE_KILL_POINT("P12");
}

/* False when nobody will ask any more. */
static bool hear(int fd, const struct cadre_identity *program)
{
	struct request request = { .program = program };
	struct cadre_control message;
	const int r = cadre_control_receive_with(fd, &message, &request.sender,
						 request.fds, DESCRIPTORS_MAX,
						 &request.fd_count);

	/* What cannot be understood is closed, so whoever sent it sees the end of its line. */
	if (r != 1)
		return r != 0;
	CADRE_KILL_POINT("P11");
	request.streams = message.count % (1u << STREAM_COUNT);
	if (message.kind == CADRE_CONTROL_FORK &&
	    request.fd_count == STREAMS + (size_t)__builtin_popcount(request.streams))
		obey(&request);
	for (size_t i = 0; i < request.fd_count; i++)
		close(request.fds[i]);
	return true;
}

/* Whoever waits for the end of the program's output does not wait for us. */
static void shed_streams(int fd)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* Something must be there, or other descriptors would take their numbers. */
	for (int stream = 0; stream < STREAM_COUNT; stream++)
		dup2(null < 0 ? fd : null, stream);
	if (null >= STREAM_COUNT)
		close(null);
}

_Noreturn static void be_server(int fd, const struct cadre_identity *program)
{
	/* CHLD: the kernel collects the keepers. */
	static const int ignored[] = { SIGINT, SIGTERM, SIGPIPE, SIGCHLD };
	struct pollfd looks[2];

	cadre_spawn_shed_signals(ignored, CADRE_COUNT_OF(ignored));
	prctl(PR_SET_NAME, "cadre-forkserv");
	setsid();
	fd = cadre_spawn_shed_descriptors(fd);
	shed_streams(fd);
	looks[0] = (struct pollfd){ .fd = fd, .events = POLLIN };
	looks[1] = (struct pollfd){ .fd = cadre_process_open(*program), .events = POLLIN };
	CADRE_KILL_POINT("P9");
	if (looks[1].fd < 0 || chdir("/") < 0 || cadre_keeper_say_who(fd) < 0)
		_exit(EXIT_FAILURE);
	for (;;) {
		if (poll(looks, CADRE_COUNT_OF(looks), -1) < 0)
			continue;
		if (looks[1].revents || (looks[0].revents && !hear(fd, program)))
			_exit(EXIT_SUCCESS);
	}
}

/* ======== in the program ======== */

/* The server of the process that the guard belongs to; a fork of it has a copy. */
static struct {
	struct cadre_forkguard guard;
	int fd;
	struct stat socket; /* what fd was; it may have been closed, and be another's now */
	pid_t pid;
} server = { .fd = -1 };

bool cadre_fork_server_is_wanted(void)
{
	return server.guard.page && !cadre_forkguard_is_child(&server.guard);
}

static bool has_socket(void)
{
	struct stat now;

	return server.fd >= 0 && fstat(server.fd, &now) == 0 &&
	       now.st_dev == server.socket.st_dev && now.st_ino == server.socket.st_ino;
}

/* It says nothing after its first word, so the only news is that it hung up. */
static bool has_hung_up(int wait_ms)
{
	struct pollfd look = { .fd = server.fd };

	return !has_socket() || poll(&look, 1, wait_ms) != 0;
}

pid_t cadre_fork_server_pid(void)
{
	return cadre_fork_server_is_wanted() && !has_hung_up(0) ? server.pid : 0;
}

void cadre_fork_server_stop(void)
{
	if (has_socket())
		close(server.fd);
	server.fd = -1;
	cadre_forkguard_fini(&server.guard);
}

/* ---- start ---- */

/* Nobody's child: see the keeper. */
static int fork_server_twice(int fd)
{
	const struct cadre_identity program = cadre_process_self();
	pid_t middle;

	fflush(NULL);
	middle = fork();
	if (middle == 0) {
		const pid_t pid = fork();

		if (pid == 0)
			be_server(fd, &program);
		_exit(pid < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	if (middle < 0)
		return -errno;
	while (waitpid(middle, NULL, 0) < 0 && errno == EINTR) {
	}
	return 0;
}

/* The socket is the program's; the server has said who it is when this returns 0. */
static int fork_server(const int pair[2], pid_t *ret_pid, struct cadre_diag *diag)
{
	struct cadre_control hello;
	const int on = 1;
	int r;

	/* The server hears from the kernel who it is that asks. */
	r = setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ? -errno : 0;
	if (r == 0)
		r = fork_server_twice(pair[1]);
	close(pair[1]);
	if (r < 0)
		return cadre_refuse(diag, r, "cannot fork a fork server: %s",
				    strerror(-r));
	(void)cadre_control_await(pair[0], CADRE_FOREVER);
	if (cadre_control_receive(pair[0], &hello, NULL) != 1)
		return cadre_refuse(diag, -ENOEXEC,
				    "the fork server died before it was ready");
	*ret_pid = (pid_t)hello.place;
	return 0;
}

int cadre_fork_server_start(struct cadre_diag *diag)
{
	const unsigned threads = cadre_process_own_threads();
	pid_t pid = 0;
	int pair[2], r;

	if (cadre_fork_server_pid() > 0)
		return 0;
	if (threads > 1)
		return cadre_refuse(
			diag, -ENOTSUP,
			"cannot start a fork server: this program has %u threads, and a fork "
			"would copy their locks as they are (start it first in main)",
			threads);
	cadre_fork_server_stop();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return cadre_refuse(diag, -errno, "cannot make a socket pair: %s",
				    strerror(errno));
	r = fork_server(pair, &pid, diag);
	if (r == 0)
		r = cadre_forkguard_init(&server.guard);
	if (r < 0) {
		close(pair[0]);
		return r;
	}
	server.fd = pair[0];
	server.pid = pid;
	fstat(server.fd, &server.socket);
	return 0;
}

/* ---- ask ---- */

static int refuse_dead(struct cadre_diag *diag, const char *what)
{
	return cadre_refuse(diag, -ECONNREFUSED,
			    "the fork server (pid %d) %s: cadre_fork_server_start makes "
			    "another one, as large as the program is by now, if it has no "
			    "threads; after cadre_fork_server_stop the program forks its pools "
			    "itself",
			    (int)server.pid, what);
}

static int refuse_late(struct cadre_diag *diag)
{
	return cadre_refuse(diag, -ETIMEDOUT,
			    "the fork server (pid %d) does not answer%s", (int)server.pid,
			    cadre_process_is_stopped(server.pid) ?
				    ": it is stopped, and forks nothing until it is "
				    "continued" :
				    "");
}

/* Which of 0, 1 and 2 are open; adds them. */
static unsigned add_streams(int *fds, size_t *count)
{
	unsigned streams = 0;

	for (int stream = 0; stream < STREAM_COUNT; stream++) {
		if (fcntl(stream, F_GETFD) < 0)
			continue;
		fds[(*count)++] = stream;
		streams |= 1u << stream;
	}
	return streams;
}

static int send_request(int line, int directory, int64_t until_ns)
{
	struct cadre_control message = cadre_control_message(CADRE_CONTROL_FORK);
	int fds[DESCRIPTORS_MAX] = { [LINE] = line, [DIRECTORY] = directory };
	size_t count = STREAMS;
	int r;

	message.count = add_streams(fds, &count);
	while ((r = cadre_control_send_with(server.fd, &message, fds, count)) == -EAGAIN &&
	       cadre_clock_left_ns(until_ns, 1) > 0)
		poll(NULL, 0, 1);
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

static int send_parcel(int line, const struct cadre_service *service,
		       const struct cadre_pool_options *options, struct cadre_diag *diag)
{
	size_t length;
	void *bytes;
	int r = cadre_parcel_pack(service, options, &bytes, &length, diag);

	if (r < 0)
		return r;
	if (send(line, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		r = cadre_refuse(diag, errno == EMSGSIZE ? -EINVAL : -errno,
				 "the names in the service are too long for the fork server: "
				 "%zu bytes with the options",
				 length);
	free(bytes);
	return r;
}

static int ask(int line, int64_t until_ns, struct cadre_diag *diag)
{
	const int directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (directory < 0)
		return cadre_refuse(diag, -errno, "cannot open the working directory: %s",
				    strerror(errno));
	r = send_request(line, directory, until_ns);
	close(directory);
	CADRE_KILL_POINT("P10");
	if (r == -ETIMEDOUT)
		return refuse_late(diag);
	if (r == -EPIPE || r == -ECONNRESET)
		return refuse_dead(diag, "is dead");
	return r < 0 ? cadre_refuse(diag, r, "cannot ask the fork server: %s",
				    strerror(-r)) :
		       0;
}

static int meet(int line, int64_t until_ns, struct cadre_keeper *ret_keeper,
		struct cadre_diag *diag)
{
	const struct cadre_control go_on = cadre_control_message(CADRE_CONTROL_START);
	const int r = cadre_keeper_meet(line, until_ns, ret_keeper, diag);

	/* Somebody died without a word; the kernel closes one socket of it after the other. */
	if (r == -ENOEXEC && has_hung_up(HANG_UP_MS))
		return refuse_dead(diag, "died while it forked the pool");
	if (r == -ETIMEDOUT)
		return refuse_late(diag);
	/* Of a keeper that died meanwhile the line tells. */
	if (r == 0)
		(void)cadre_control_send(line, &go_on);
	return r;
}

int cadre_fork_server_start_keeper(const struct cadre_service *service,
				   const struct cadre_pool_options *options,
				   struct cadre_keeper *ret_keeper,
				   struct cadre_diag *diag)
{
	const int64_t until_ns = cadre_clock_in_ns(options->start_timeout_ns);
	int pair[2], r;

	if (!has_socket())
		return refuse_dead(diag,
				   "is out of reach, since its descriptor was closed");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return cadre_refuse(diag, -errno, "cannot make a socket pair: %s",
				    strerror(errno));
	r = send_parcel(pair[0], service, options, diag);
	if (r == 0)
		r = ask(pair[1], until_ns, diag);
	close(pair[1]);
	if (r == 0)
		r = meet(pair[0], until_ns, ret_keeper, diag);
	if (r == 0)
		r = cadre_keeper_await_ready(pair[0], options, diag);
	close(pair[0]);
	return r;
}
