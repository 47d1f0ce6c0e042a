/* POSIX message queues. */
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static mqd_t queues[2]; /* to the client, to the peer */
static mqd_t in, out;

/* Without a name, as soon as it is open. */
static mqd_t open_one(size_t size, unsigned depth)
{
	struct mq_attr attributes = { .mq_maxmsg = depth, .mq_msgsize = (long)size };
	char name[64];
	mqd_t queue;

	snprintf(name, sizeof(name), "/cadre-bench.%d", (int)getpid());
	queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
	if (queue >= 0)
		mq_unlink(name);
	return queue;
}

static int open_both(size_t size, unsigned depth)
{
	queues[0] = open_one(size, depth);
	if (queues[0] < 0)
		return -errno;
	queues[1] = open_one(size, depth);
	if (queues[1] < 0) {
		const int error = errno;

		mq_close(queues[0]);
		return -error;
	}
	return 0;
}

/* Root may have more than /proc/sys/fs/mqueue/msg_max says; others as many as that: ask for
 * fewer until it is granted. */
static int open_queues(size_t size, unsigned depth)
{
	const struct rlimit enough = { 4 << 20, 4 << 20 };
	char why[160];
	int r;

	setrlimit(RLIMIT_MSGQUEUE, &enough);
	do {
		r = open_both(size, depth);
		if (r == 0)
			return (int)depth;
		depth /= 2;
	} while (depth > 0 && (r == -EINVAL || r == -EMFILE));
	snprintf(why, sizeof(why), "no message queue for %zu bytes: %s", size,
		 strerror(-r));
	return bench_absent(why);
}

static void close_queues(void)
{
	mq_close(queues[0]);
	mq_close(queues[1]);
}

static int join(bool is_client)
{
	in = queues[is_client ? 0 : 1];
	out = queues[is_client ? 1 : 0];
	return 0;
}

static int send_one(const void *data, size_t length)
{
	if (mq_send(out, data, length, 0) == 0)
		return 0;
	perror("cadre-bench: cannot send to a message queue");
	return -EIO;
}

static int receive_one(void *data, size_t length, bool waits)
{
	static const struct timespec past;
	const ssize_t got = waits ? mq_receive(in, data, length, NULL) :
				    mq_timedreceive(in, data, length, NULL, &past);

	if (got >= 0)
		return 0;
	if (errno == ETIMEDOUT || errno == EINTR)
		return -EAGAIN;
	perror("cadre-bench: cannot receive from a message queue");
	return -EIO;
}

const struct transport kernel_mq = {
	.open = open_queues,
	.close = close_queues,
	.join = join,
	.send = send_one,
	.receive = receive_one,
};
