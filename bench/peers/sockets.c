/* Pipes and Unix sockets. */
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Room of a socket: for 256 small messages, each of which counts as some 1 KiB, and for one
 * that is as long as can be. */
#define ROOM (4 * 1024 * 1024)

/* A packet is one piece of kernel memory; the kernel has none that are much longer. */
#define PIECE_MAX ((size_t)1024 * 1024)

struct end {
	int in, out;
};

static struct end ends[2]; /* of the client, of the peer */
static struct end mine;
static size_t piece_max; /* bytes that one write may have */

static int refuse(const char *what)
{
	const int error = errno;

	fprintf(stderr, "cadre-bench: cannot %s: %s\n", what, strerror(error));
	return -error;
}

/* ---- opening ---- */

static int open_pipes(size_t size, unsigned depth)
{
	int there[2], back[2];

	(void)size;
	if (pipe2(there, O_CLOEXEC) < 0)
		return refuse("make a pipe");
	if (pipe2(back, O_CLOEXEC) < 0) {
		close(there[0]);
		close(there[1]);
		return refuse("make a pipe");
	}
	ends[0] = (struct end){ .in = back[0], .out = there[1] };
	ends[1] = (struct end){ .in = there[0], .out = back[1] };
	piece_max = SIZE_MAX;
	return (int)depth;
}

/* As much room as we may have: root more than others. What it is in the end. */
static int widen(int fd)
{
	const int wish = ROOM;
	int room = 0;
	socklen_t length = sizeof(room);

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &wish, sizeof(wish)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wish, sizeof(wish));
	getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, &length);
	return room;
}

static int open_sockets(int type, unsigned depth)
{
	int pair[2], room;

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
		return refuse("make a pair of sockets");
	widen(pair[1]);
	room = widen(pair[0]);
	ends[0] = (struct end){ .in = pair[0], .out = pair[0] };
	ends[1] = (struct end){ .in = pair[1], .out = pair[1] };
	piece_max = SIZE_MAX;
	if (type == SOCK_SEQPACKET)
		piece_max = (size_t)room / 2 < PIECE_MAX ? (size_t)room / 2 : PIECE_MAX;
	return (int)(depth < (unsigned)room / 1024 ? depth : (unsigned)room / 1024);
}

static int open_stream(size_t size, unsigned depth)
{
	(void)size;
	return open_sockets(SOCK_STREAM, depth);
}

static int open_seqpacket(size_t size, unsigned depth)
{
	(void)size;
	return open_sockets(SOCK_SEQPACKET, depth);
}

static void close_both(void)
{
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		close(ends[i].in);
		if (ends[i].out != ends[i].in)
			close(ends[i].out);
	}
}

/* ---- sending and receiving ---- */

static int join(bool is_client)
{
	mine = ends[is_client ? 0 : 1];
	return 0;
}

static size_t piece_of(size_t length)
{
	return length < piece_max ? length : piece_max;
}

static int send_all(const void *data, size_t length)
{
	const unsigned char *at = data;

	while (length > 0) {
		const ssize_t sent = write(mine.out, at, piece_of(length));

		if (sent < 0 && errno != EINTR)
			return refuse("send");
		if (sent > 0) {
			at += sent;
			length -= (size_t)sent;
		}
	}
	return 0;
}

/* Whoever does not wait does not wait for the rest of a message either, but stays with it. */
static int receive_all(void *data, size_t length, bool waits)
{
	unsigned char *const bytes = data;
	size_t done = 0;

	while (done < length) {
		const struct iovec rest = { bytes + done, piece_of(length - done) };
		const ssize_t got = preadv2(mine.in, &rest, 1, -1, waits ? 0 : RWF_NOWAIT);

		if (got < 0 && errno == EAGAIN && done == 0)
			return -EAGAIN;
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return refuse("receive");
		if (got == 0)
			return -EPIPE;
		if (got > 0)
			done += (size_t)got;
	}
	return 0;
}

const struct transport kernel_pipe = {
	.open = open_pipes,
	.close = close_both,
	.join = join,
	.send = send_all,
	.receive = receive_all,
};

const struct transport kernel_stream = {
	.open = open_stream,
	.close = close_both,
	.join = join,
	.send = send_all,
	.receive = receive_all,
};

const struct transport kernel_seqpacket = {
	.open = open_seqpacket,
	.close = close_both,
	.join = join,
	.send = send_all,
	.receive = receive_all,
};
