/*
 * iceoryx: chunks of shared memory that a publisher loans, and subscribers take and give back.
 *
 * Its daemon, RouDi, keeps fixed names in /dev/shm and /tmp. Here it gets both for itself: this
 * process and all that it starts live in a mount namespace with a /dev/shm and a /tmp of their
 * own, which vanish with the last of them, however they end.
 */
#include "messengers.h"

#include <iceoryx_binding_c/enums.h>
#include <iceoryx_binding_c/log.h>
#include <iceoryx_binding_c/publisher.h>
#include <iceoryx_binding_c/runtime.h>
#include <iceoryx_binding_c/subscriber.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 5000
#define CONFIGURATION "/tmp/roudi.toml"

static pid_t roudi;
static iox_pub_storage_t pub_storage;
static iox_sub_storage_t sub_storage;
static iox_pub_t out;
static iox_sub_t in;

static int refuse(const char *what)
{
	fprintf(stderr, "cadre-bench-iceoryx: cannot %s\n", what);
	return -EIO;
}

/* ---- RouDi ---- */

static int hide_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/tmp", "tmpfs", 0, NULL) < 0 ||
	    mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=1g") < 0)
		return bench_absent("only root can give iox-roudi a /dev/shm of its own");
	return 0;
}

static int write_configuration(size_t size)
{
	static const size_t sizes[] = BENCH_SIZES;
	FILE *const file = fopen(CONFIGURATION, "we");

	if (!file)
		return refuse("write " CONFIGURATION);
	fprintf(file, "[general]\nversion = 1\n\n[[segment]]\n");
	for (size_t i = 0; i < COUNT_OF(sizes) && sizes[i] <= size; i++)
		fprintf(file, "\n[[segment.mempool]]\nsize = %zu\ncount = %d\n", sizes[i],
			sizes[i] <= 1024 ? 1024 : 8);
	return fclose(file) == 0 ? 0 : refuse("write " CONFIGURATION);
}

static void become_roudi(void)
{
	/* It tells of its health, and of each segment; our numbers come on standard output. */
	const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	dup2(nowhere, STDOUT_FILENO);
	dup2(nowhere, STDERR_FILENO);
	execlp("iox-roudi", "iox-roudi", "--config-file", CONFIGURATION,
	       "--monitoring-mode", "off", "--log-level", "error", (char *)NULL);
	_exit(127);
}

/* It can be asked when its socket is there. */
static int await_roudi(void)
{
	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		if (access("/tmp/roudi", F_OK) == 0)
			return 0;
		if (waitpid(roudi, NULL, WNOHANG) == roudi)
			return bench_absent("iox-roudi ends at once (of Debian's "
					    "package iceoryx)");
		usleep(1000);
	}
	return refuse("wait longer for iox-roudi");
}

static void stop_roudi(void)
{
	kill(roudi, SIGTERM);
	while (waitpid(roudi, NULL, 0) < 0 && errno == EINTR)
		continue;
}

static int start_roudi(size_t size, unsigned depth)
{
	int r = hide_mounts();

	if (r == 0)
		r = write_configuration(size);
	if (r < 0)
		return r;
	roudi = fork();
	if (roudi == 0)
		become_roudi();
	if (roudi < 0)
		return -errno;
	r = await_roudi();
	return r < 0 ? r : (int)depth;
}

/* ---- the two sides ---- */

static int join(bool is_client)
{
	char name[64];
	iox_pub_options_t pub_options;
	iox_sub_options_t sub_options;

	snprintf(name, sizeof(name), "cadre-bench-%d", (int)getpid());
	iox_set_loglevel(Iceoryx_LogLevel_Error);
	iox_runtime_init(name); /* waits for RouDi */
	iox_pub_options_init(&pub_options);
	iox_sub_options_init(&sub_options);
	sub_options.queueCapacity = IN_FLIGHT_MAX;
	out = iox_pub_init(&pub_storage, "cadre", "bench", is_client ? "there" : "back",
			   &pub_options);
	in = iox_sub_init(&sub_storage, "cadre", "bench", is_client ? "back" : "there",
			  &sub_options);
	/* What is published before the other has subscribed is lost. */
	while (!iox_pub_has_subscribers(out) ||
	       iox_sub_get_subscription_state(in) != SubscribeState_SUBSCRIBED)
		usleep(1000);
	return 0;
}

static void leave(void)
{
	iox_sub_deinit(in);
	iox_pub_deinit(out);
	iox_runtime_shutdown();
	exit(0); /* what takes leave of RouDi is run by that */
}

static void *loan(size_t length)
{
	void *chunk;

	if (iox_pub_loan_chunk(out, &chunk, (uint32_t)length) == AllocationResult_SUCCESS)
		return chunk;
	refuse("loan a chunk");
	return NULL;
}

/* ---- copied in and out ---- */

static int send_copy(const void *data, size_t length)
{
	void *const chunk = loan(length);

	if (!chunk)
		return -ENOBUFS;
	memcpy(chunk, data, length);
	iox_pub_publish_chunk(out, chunk);
	return 0;
}

static int receive_copy(void *data, size_t length, bool waits)
{
	const void *chunk;

	(void)waits;
	if (iox_sub_take_chunk(in, &chunk) != ChunkReceiveResult_SUCCESS)
		return -EAGAIN;
	memcpy(data, chunk, length);
	iox_sub_release_chunk(in, chunk);
	return 0;
}

/* From chunk to chunk, as a worker of Cadre that replies with what it was sent. */
static int answer_copy(size_t length, bool waits)
{
	const void *chunk;
	int r;

	(void)waits;
	if (iox_sub_take_chunk(in, &chunk) != ChunkReceiveResult_SUCCESS)
		return -EAGAIN;
	r = send_copy(chunk, length);
	iox_sub_release_chunk(in, chunk);
	return r;
}

static const struct transport copied = {
	.open = start_roudi,
	.close = stop_roudi,
	.join = join,
	.leave = leave,
	.send = send_copy,
	.receive = receive_copy,
	.has_threads = true,
	.answer = answer_copy,
};

/* ---- in place: nobody touches the payload ---- */

static int send_in_place(const void *data, size_t length)
{
	void *const chunk = loan(length);

	(void)data;
	if (!chunk)
		return -ENOBUFS;
	iox_pub_publish_chunk(out, chunk);
	return 0;
}

static int receive_in_place(void *data, size_t length, bool waits)
{
	const void *chunk;

	(void)data;
	(void)length;
	(void)waits;
	if (iox_sub_take_chunk(in, &chunk) != ChunkReceiveResult_SUCCESS)
		return -EAGAIN;
	iox_sub_release_chunk(in, chunk);
	return 0;
}

static const struct transport in_place = {
	.open = start_roudi,
	.close = stop_roudi,
	.join = join,
	.leave = leave,
	.send = send_in_place,
	.receive = receive_in_place,
	.has_threads = true,
};

const struct messenger messengers[] = {
	{ "iceoryx", &copied, false },
	{ "iceoryx in place", &in_place, false },
	{ NULL, NULL, false },
};
