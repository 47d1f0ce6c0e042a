/* nng: a pair over a Unix socket; each side has threads of the library beside its own. */
#include "messengers.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <stdio.h>

static nng_socket pair;

static int refuse(const char *what, int error)
{
	fprintf(stderr, "cadre-bench-nng: cannot %s: %s\n", what, nng_strerror(error));
	return -EIO;
}

/* The client dials until somebody listens, at a name that is in no file system and gone with
 * the sockets. */
static int join(bool is_client)
{
	const int room = IN_FLIGHT_MAX;
	char address[64];
	int r = nng_pair0_open(&pair);

	snprintf(address, sizeof(address), "abstract://%s", messengers_place());
	if (r == 0)
		r = nng_socket_set_int(pair, NNG_OPT_SENDBUF, room);
	if (r == 0)
		r = nng_socket_set_int(pair, NNG_OPT_RECVBUF, room);
	if (r == 0)
		r = nng_socket_set_ms(pair, NNG_OPT_RECONNMINT, 1);
	if (r == 0)
		r = nng_socket_set_ms(pair, NNG_OPT_RECONNMAXT, 10);
	if (r == 0)
		r = nng_socket_set_size(pair, NNG_OPT_RECVMAXSZ, 0);
	if (r == 0)
		r = is_client ? nng_dial(pair, address, NULL, NNG_FLAG_NONBLOCK) :
				nng_listen(pair, address, NULL, 0);
	return r ? refuse("connect", r) : 0;
}

static void leave(void)
{
	nng_close(pair);
}

static int send_one(const void *data, size_t length)
{
	/* It promises to leave the data as it is, and has no const. */
	const int r = nng_send(pair, (void *)(uintptr_t)data, length, 0);

	return r ? refuse("send", r) : 0;
}

static int receive_one(void *data, size_t length, bool waits)
{
	size_t size = length;
	const int r = nng_recv(pair, data, &size, waits ? 0 : NNG_FLAG_NONBLOCK);

	if (r == NNG_EAGAIN || r == NNG_EINTR)
		return -EAGAIN;
	return r ? refuse("receive", r) : 0;
}

static const struct transport nng = {
	.join = join,
	.leave = leave,
	.send = send_one,
	.receive = receive_one,
	.has_threads = true,
};

const struct messenger messengers[] = {
	{ "nng", &nng, true },
	{ NULL, NULL, false },
};
