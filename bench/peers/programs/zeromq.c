/* ZeroMQ: a PAIR of sockets over ipc://; each side has an I/O thread of its own. */
#include "messengers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

static char directory[] = "/tmp/cadre-bench-zeromq-XXXXXX";
static char path[64], address[80];
static void *context, *pair;

static int refuse(const char *what)
{
	fprintf(stderr, "cadre-bench-zeromq: cannot %s: %s\n", what,
		zmq_strerror(zmq_errno()));
	return -EIO;
}

/* A name for the socket in the file system. */
static int open_name(size_t size, unsigned depth)
{
	(void)size;
	if (!mkdtemp(directory)) {
		perror("cadre-bench-zeromq: cannot make a directory in /tmp");
		return -errno;
	}
	snprintf(path, sizeof(path), "%s/pair", directory);
	snprintf(address, sizeof(address), "ipc://%s", path);
	return (int)depth;
}

static void close_name(void)
{
	unlink(path);
	rmdir(directory);
}

/* The one that comes first waits for the other. */
static int join(bool is_client)
{
	const int at_once = 0, no_bound = 0;
	int r;

	context = zmq_ctx_new();
	pair = context ? zmq_socket(context, ZMQ_PAIR) : NULL;
	if (!pair)
		return refuse("make a socket");
	zmq_setsockopt(pair, ZMQ_LINGER, &at_once, sizeof(at_once));
	zmq_setsockopt(pair, ZMQ_SNDHWM, &no_bound, sizeof(no_bound));
	zmq_setsockopt(pair, ZMQ_RCVHWM, &no_bound, sizeof(no_bound));
	r = is_client ? zmq_connect(pair, address) : zmq_bind(pair, address);
	return r < 0 ? refuse(is_client ? "connect" : "bind") : 0;
}

static void leave(void)
{
	zmq_close(pair);
	zmq_ctx_term(context);
}

static int send_one(const void *data, size_t length)
{
	while (zmq_send(pair, data, length, 0) < 0) {
		if (zmq_errno() != EINTR)
			return refuse("send");
	}
	return 0;
}

static int receive_one(void *data, size_t length, bool waits)
{
	if (zmq_recv(pair, data, length, waits ? 0 : ZMQ_DONTWAIT) >= 0)
		return 0;
	if (zmq_errno() == EAGAIN || zmq_errno() == EINTR)
		return -EAGAIN;
	return refuse("receive");
}

static const struct transport zeromq = {
	.open = open_name,
	.close = close_name,
	.join = join,
	.leave = leave,
	.send = send_one,
	.receive = receive_one,
	.has_threads = true,
};

const struct messenger messengers[] = {
	{ "zeromq", &zeromq, true },
	{ NULL, NULL, false },
};
