/* ZeroMQ: a PAIR over a Unix socket; each side has an I/O thread of its own. */
#include "messengers.h"

#include <errno.h>
#include <stdio.h>
#include <zmq.h>

static void *context, *pair;

static int refuse(const char *what)
{
	fprintf(stderr, "cadre-bench-zeromq: cannot %s: %s\n", what,
		zmq_strerror(zmq_errno()));
	return -EIO;
}

/* The one that comes first waits for the other, at a name that is in no file system and gone
 * with the sockets. */
static int join(bool is_client)
{
	const int at_once = 0, no_bound = 0;
	char address[64];
	int r;

	context = zmq_ctx_new();
	pair = context ? zmq_socket(context, ZMQ_PAIR) : NULL;
	if (!pair)
		return refuse("make a socket");
	zmq_setsockopt(pair, ZMQ_LINGER, &at_once, sizeof(at_once));
	zmq_setsockopt(pair, ZMQ_SNDHWM, &no_bound, sizeof(no_bound));
	zmq_setsockopt(pair, ZMQ_RCVHWM, &no_bound, sizeof(no_bound));
	snprintf(address, sizeof(address), "ipc://@%s", messengers_place());
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
