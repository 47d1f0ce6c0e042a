#include "control.h"
#include "clock.h"
#include "diag.h"
#include "segment.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128
#define SUCCESSION_NS (1 * CADRE_NS_PER_S)
#define ASK_AGAIN_NS (5 * CADRE_NS_PER_MS)

static struct sockaddr_un address_of(const char *pool)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[CADRE_PATH_SIZE];

	static_assert(sizeof(address.sun_path) == CADRE_PATH_SIZE, "paths fit");
	cadre_path(pool, CADRE_FILE_SOCKET, path);
	memcpy(address.sun_path, path, sizeof(path));
	return address;
}

struct cadre_control cadre_control_message(enum cadre_control_kind kind)
{
	return (struct cadre_control){ .version = CADRE_CONTROL_VERSION, .kind = kind };
}

int cadre_control_listen(const char *pool, mode_t mode, struct cadre_diag *diag)
{
	const struct sockaddr_un address = address_of(pool);
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;

	if (fd < 0)
		return -errno;
	unlink(address.sun_path);
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(address.sun_path, mode) < 0 || listen(fd, BACKLOG) < 0) {
		const int error = errno;

		close(fd);
		return cadre_refuse(diag, -error, "cannot listen at %s: %s",
				    address.sun_path, strerror(error));
	}
	return fd;
}

int cadre_control_accept(int listener)
{
	const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* Room for what may come beside a message: who sent it, and descriptors. */
union control_room {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct ucred)) +
		   CMSG_SPACE(CADRE_DESCRIPTORS_MAX * sizeof(int))];
};

int cadre_control_send_with(int fd, const struct cadre_control *message, const int *fds,
			    size_t count)
{
	union control_room room = { .bytes = { 0 } };
	struct iovec part = { .iov_base = (void *)message, .iov_len = sizeof(*message) };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t sent;

	assert(count <= CADRE_DESCRIPTORS_MAX);
	if (count) {
		header.msg_control = room.bytes;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		room.align.cmsg_level = SOL_SOCKET;
		room.align.cmsg_type = SCM_RIGHTS;
		room.align.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&room.align), fds, count * sizeof(int));
	}
	sent = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return -errno;
	return sent == (ssize_t)sizeof(*message) ? 0 : -EMSGSIZE;
}

int cadre_control_send(int fd, const struct cadre_control *message)
{
	return cadre_control_send_with(fd, message, NULL, 0);
}

/* The kernel has opened them, whether anybody asked for them or not: keeps up to `most`, and
 * closes the rest. Returns how many there were. */
static size_t unpack(struct msghdr *header, int *ret_fds, size_t most)
{
	size_t count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0);
		     at += sizeof(int), count++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
			if (count < most)
				ret_fds[count] = fd;
			else
				close(fd);
		}
	}
	return count;
}

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

static pid_t sender_of(struct msghdr *header)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		struct ucred who;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
			continue;
		memcpy(&who, CMSG_DATA(c), sizeof(who));
		return who.pid;
	}
	return 0;
}

/* 1, 0 at the end, or negative errno; up to `most` descriptors are the caller's then, and
 * only after a 1. */
static int receive(int fd, struct cadre_control *ret_message, pid_t *ret_sender,
		   int *ret_fds, size_t most, size_t *ret_count)
{
	union control_room room = { .bytes = { 0 } };
	struct cadre_control message;
	struct iovec part = { .iov_base = &message, .iov_len = sizeof(message) };
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = room.bytes,
		.msg_controllen = sizeof(room.bytes),
	};
	const ssize_t length = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	size_t count;
	int r = 1;

	if (length < 0)
		return errno == ECONNRESET ? 0 : -errno;
	count = unpack(&header, ret_fds, most);
	if (length == 0)
		r = 0;
	else if (length != (ssize_t)sizeof(message) || header.msg_flags & MSG_TRUNC ||
		 message.version != CADRE_CONTROL_VERSION)
		r = -EBADMSG;
	else if (most && (count > most || header.msg_flags & MSG_CTRUNC))
		r = -EMFILE;
	if (r != 1) {
		close_all(ret_fds, count < most ? count : most);
		return r;
	}
	message.text[sizeof(message.text) - 1] = '\0';
	*ret_message = message;
	*ret_count = count;
	if (ret_sender)
		*ret_sender = sender_of(&header);
	return 1;
}

int cadre_control_receive(int fd, struct cadre_control *ret_message, pid_t *ret_sender)
{
	size_t count;

	return receive(fd, ret_message, ret_sender, NULL, 0, &count);
}

int cadre_control_receive_with(int fd, struct cadre_control *ret_message,
			       pid_t *ret_sender, int *ret_fds, size_t most,
			       size_t *ret_count)
{
	return receive(fd, ret_message, ret_sender, ret_fds, most, ret_count);
}

/* Waits for an event on the descriptor. 0, -ETIMEDOUT. */
static int await(int fd, short events, int64_t until_ns)
{
	struct pollfd look = { .fd = fd, .events = events };

	for (;;) {
		const int64_t left_ns = cadre_clock_left_ns(until_ns, CADRE_NS_PER_S);
		const int n = poll(&look, 1, (int)((left_ns + 999999) / CADRE_NS_PER_MS));

		if (n > 0)
			return 0;
		if (left_ns == 0)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int connect_until(int fd, const char *pool, int64_t until_ns)
{
	const struct sockaddr_un address = address_of(pool);

	for (;;) {
		if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
			return 0;
		if (errno == ENOENT)
			return -ECONNREFUSED;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (cadre_clock_left_ns(until_ns, 1) == 0)
			return -ETIMEDOUT;
		/* The backlog is full, which no descriptor announces the end of. */
		poll(NULL, 0, 1);
	}
}

int cadre_control_await(int fd, int64_t until_ns)
{
	return await(fd, POLLIN, until_ns);
}

int cadre_control_connect(const char *pool, int64_t until_ns)
{
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = connect_until(fd, pool, until_ns);
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

int cadre_control_ask(const char *pool, const struct cadre_control *question,
		      int64_t until_ns, struct cadre_control *ret_answer)
{
	const int fd = cadre_control_connect(pool, until_ns);
	int r;

	if (fd < 0)
		return fd;
	r = cadre_control_send(fd, question);
	while (r == 0 && ret_answer) {
		r = await(fd, POLLIN, until_ns);
		if (r < 0)
			break;
		r = cadre_control_receive(fd, ret_answer, NULL);
		if (r == 1) {
			r = ret_answer->kind == CADRE_CONTROL_ANSWER ? 0 : -EBADMSG;
			break;
		}
		/* The supervisor went away without an answer; -EAGAIN: nothing there yet. */
		r = r == 0 ? -ECONNREFUSED : r == -EAGAIN ? 0 : r;
	}
	close(fd);
	return r == -EPIPE || r == -ECONNRESET ? -ECONNREFUSED : r;
}

int cadre_control_ask_patiently(const char *pool, const struct cadre_control *question,
				int64_t until_ns, struct cadre_control *ret_answer)
{
	const int64_t patience_ns = cadre_clock_in_ns(SUCCESSION_NS);
	const struct timespec nap = cadre_clock_timespec(ASK_AGAIN_NS);

	for (;;) {
		const int r = cadre_control_ask(pool, question, until_ns, ret_answer);

		if (r != -ECONNREFUSED || cadre_clock_left_ns(until_ns, 1) == 0)
			return r;
		if (cadre_lock_holder(pool) == 0 &&
		    cadre_clock_left_ns(patience_ns, 1) == 0)
			return r;
		nanosleep(&nap, NULL);
	}
}
