/*
 * proc_fork_server_refusals.c - claims about what a fork server does not do, and the sentence
 * that its program hears instead.
 */
#include "fork_servers.h"

#include "control.h"
#include "process.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(fork_server, FORK_SERVERS);

static bool pool_is_refused(int error, const char *words)
{
	return use_pool() == error && it_said(words);
}

/* ---- by what the program is ---- */

/* The test itself has a second thread, which Criterion keeps. */
Test(fork_server, a_program_that_has_threads_starts_none)
{
	cr_assert_eq(cadre_fork_server_start(&said), -ENOTSUP);
	cr_assert(it_said("threads"), "%s", said.text);
	cr_assert_eq(cadre_fork_server_pid(), 0);
}

TestInChild(fork_server, a_program_with_other_rights_than_it_gets_no_pool_of_it)
{
	have_server();
	CHILD_CHECK(use_pool() == 0);
	CHILD_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHILD_CHECK(pool_is_refused(-EPERM, "NoNewPrivs"));
	cadre_fork_server_stop();
	have_server();
	CHILD_CHECK(use_pool() == 0);
}

/* ---- by what there is no room for ---- */

/* The number that the next descriptor will have. */
static int next_descriptor(void)
{
	const int next = dup(STDERR_FILENO);

	close(next);
	return next;
}

static void have_descriptors_below(int limit)
{
	struct rlimit few;

	CHILD_CHECK(getrlimit(RLIMIT_NOFILE, &few) == 0);
	few.rlim_cur = (rlim_t)limit;
	CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
}

TestInChild(fork_server, without_descriptors_neither_a_server_nor_a_pool_starts)
{
	const int next = next_descriptor();

	have_descriptors_below(next);
	CHILD_CHECK(cadre_fork_server_start(&said) == -EMFILE);
	CHILD_CHECK(it_said("socket pair"));

	have_descriptors_below(1024);
	have_server();
	/* The server has one; a pair does not fit, or fits and the directory does not. */
	have_descriptors_below(next + 1);
	CHILD_CHECK(use_pool() == -EMFILE);
	have_descriptors_below(next + 3);
	CHILD_CHECK(pool_is_refused(-EMFILE, "working directory"));
	have_descriptors_below(1024);
	CHILD_CHECK(use_pool() == 0);
}

TestInChild(fork_server, one_that_cannot_fork_says_so)
{
	const struct rlimit none = { 0 };

	if (setgid(65534) < 0 || setuid(65534) < 0)
		child_skip("only root can become another user");
	CHILD_CHECK(prlimit(have_server(), RLIMIT_NPROC, &none, NULL) == 0);
	CHILD_CHECK(pool_is_refused(-EAGAIN, "the fork server cannot fork"));
}

/* ---- by what the pool would be ---- */

static void *load(int version)
{
	char path[4096];
	void *object;

	snprintf(path, sizeof(path), "%s/version%d.so", getenv("CADRE_TEST_SERVICE_DIR"),
		 version);
	object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	CHILD_CHECK(object);
	return object;
}

static int start_loaded(void *object)
{
	struct cadre_pool *started;
	const int r = start_pool(dlsym(object, CADRE_SERVICE_SYMBOL), one_worker(),
				 &started);

	if (r == 0)
		cadre_pool_close(started);
	return r;
}

TestInChild(fork_server, a_service_that_was_loaded_after_it_is_refused_by_name)
{
	void *const before = load(1);
	void *after;

	have_server();
	CHILD_CHECK(start_loaded(before) == 0);
	after = load(2);
	CHILD_CHECK(start_loaded(after) == -EINVAL);
	CHILD_CHECK(it_said("version2.so"));
	CHILD_CHECK(it_said("loaded after the fork server was started"));
	/* Where the server has the other one still, as likely as not. */
	dlclose(after);
	dlclose(before);
	after = load(2);
	CHILD_CHECK(start_loaded(after) == -EINVAL);
	CHILD_CHECK(use_pool() == 0);

	cadre_fork_server_stop();
	have_server();
	CHILD_CHECK(start_loaded(after) == 0);
}

TestInChild(fork_server, functions_that_lie_nowhere_and_endless_names_are_refused)
{
	struct cadre_operation strange[] = { { 1, "stray", NULL } };
	struct cadre_service service = troupe_service;
	static char data[64], name[1000001];
	void *const nowhere = data;
	struct cadre_pool *started;

	have_server();
	memcpy(&strange[0].handler, &nowhere, sizeof(nowhere));
	service.operations = strange;
	service.operation_count = 1;
	CHILD_CHECK(start_pool(&service, one_worker(), &started) == -EINVAL);
	CHILD_CHECK(it_said("\"stray\" lies in no object"));

	service = troupe_service;
	memset(name, 'n', sizeof(name) - 1);
	service.name = name;
	CHILD_CHECK(start_pool(&service, one_worker(), &started) == -EINVAL);
	CHILD_CHECK(it_said("too long"));
	CHILD_CHECK(use_pool() == 0);
}

TestInChild(fork_server, errors_of_a_pools_start_are_heard_in_their_own_words)
{
	struct cadre_service service = troupe_service;
	struct cadre_pool *started, *second;

	troupe_refusal = child_share(sizeof(*troupe_refusal));
	*troupe_refusal = -EDOM;
	service.init = troupe_begin_unless_refused;
	have_server();
	CHILD_CHECK(start_pool(&service, one_worker(), &started) == -ENOEXEC);
	CHILD_CHECK(it_said(strerror(EDOM)));
	*troupe_refusal = 0;
	CHILD_CHECK(start_pool(&service, one_worker(), &started) == 0);
	CHILD_CHECK(start_pool(&service, one_worker(), &second) == -EEXIST);
	CHILD_CHECK(it_said(pool()));
	cadre_pool_close(started);
}

/* ---- by who asks, and how ---- */

TestInChild(fork_server, a_program_that_closed_its_descriptor_is_told_and_loses_no_other)
{
	const pid_t server = have_server();

	close_range(3, ~0u, 0);
	CHILD_CHECK(cadre_fork_server_pid() == 0);
	CHILD_CHECK(pool_is_refused(-ECONNREFUSED, "out of reach"));
	CHILD_CHECK(eventually(kill(server, 0) < 0 || cadre_process_memory(server) == 0));
	/* Its number is another's now, who keeps it. */
	for (int fd = 3; fd < 64; fd++)
		CHILD_CHECK(dup2(STDERR_FILENO, fd) == fd);
	CHILD_CHECK(use_pool() == -ECONNREFUSED);
	cadre_fork_server_stop();
	for (int fd = 3; fd < 64; fd++)
		CHILD_CHECK(fcntl(fd, F_GETFD) >= 0);
	CHILD_CHECK(use_pool() == 0);
}

/* By hand, past the library, which would not: a request that has its two descriptors and no
 * parcel. */
static struct cadre_control ask_for_nothing(int socket)
{
	const struct cadre_control message = cadre_control_message(CADRE_CONTROL_FORK);
	struct cadre_control answer;
	int pair[2], fds[2];

	CHILD_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	fds[0] = pair[1];
	fds[1] = open(".", O_PATH | O_CLOEXEC);
	CHILD_CHECK(cadre_control_send_with(socket, &message, fds, 2) == 0);
	close(pair[1]);
	close(fds[1]);
	CHILD_CHECK(cadre_control_await(pair[0], GENEROUS) == 0);
	CHILD_CHECK(cadre_control_receive(pair[0], &answer, NULL) == 1);
	close(pair[0]);
	return answer;
}

static int be_refused(void *context)
{
	const struct cadre_control answer = ask_for_nothing(*(int *)context);

	CHILD_CHECK(answer.kind == CADRE_CONTROL_FAILED);
	CHILD_CHECK(answer.error == -ECHILD);
	return CHILD_FINE;
}

TestInChild(fork_server, nobody_but_the_program_gets_a_process)
{
	int socket = next_descriptor();

	have_server();
	CHILD_CHECK(child_run(be_refused, &socket) == CHILD_FINE);
	CHILD_CHECK(use_pool() == 0);
}

TestInChild(fork_server, nonsense_gets_no_process_and_the_next_request_gets_one)
{
	struct cadre_control message = cadre_control_message(CADRE_CONTROL_FORK);
	const int socket = next_descriptor();

	have_server();
	CHILD_CHECK(send(socket, "?", 1, 0) == 1);
	CHILD_CHECK(cadre_control_send(socket, &message) == 0);
	message.kind = CADRE_CONTROL_STOP;
	CHILD_CHECK(cadre_control_send(socket, &message) == 0);
	CHILD_CHECK(ask_for_nothing(socket).error == -EBADMSG);
	/* One descriptor, where it tells of five. */
	message.kind = CADRE_CONTROL_FORK;
	message.count = 7;
	CHILD_CHECK(cadre_control_send_with(socket, &message, &(int){ STDERR_FILENO },
					    1) == 0);
	CHILD_CHECK(use_pool() == 0);
}
