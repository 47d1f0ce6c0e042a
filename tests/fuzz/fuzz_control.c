/*
 * fuzz_control.c - the supervisor's ear: messages of any length and content at its control
 * socket, with descriptors in their luggage. None of these may stay with it.
 */
#include "fuzz.h"

#include "supervisor.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct cadre_source source;

/* The number that the last of so many new descriptors gets tells whether others are open. */
static int number_of_last(unsigned count)
{
	int fds[16];

	for (unsigned i = 0; i < count; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
	return fds[count - 1];
}

static void send_with_luggage(int fd, const void *data, size_t length, unsigned luggage)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec part = { .iov_base = (void *)(uintptr_t)data, .iov_len = length };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	int fds[4] = { fd, fd, fd, fd };

	if (luggage) {
		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(luggage * sizeof(int));
		control.align = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(luggage * sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&control.align), fds, luggage * sizeof(int));
	}
	(void)sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Mostly one that is well formed. */
static size_t a_message(struct fuzz_script *script, uint8_t kind,
			struct cadre_control *message)
{
	const size_t rest = (size_t)(script->end - script->next);
	const size_t taken = rest < sizeof(*message) ? rest : sizeof(*message);

	*message = cadre_control_message((enum cadre_control_kind)(kind & 31));
	/* It would fork a process to look at the service: one for each of thousands of scripts. */
	if (message->kind == CADRE_CONTROL_RELOAD)
		message->kind = CADRE_CONTROL_SCALE;
	switch (kind >> 4 & 3) {
	case 0:
		message->nonce = fuzz_byte(script);
		message->start_time = fuzz_byte(script);
		message->place = fuzz_byte(script);
		return sizeof(*message);
	case 1:
		message->nonce = fuzz_value(script, 0);
		message->start_time = fuzz_value(script, 2);
		message->place = (uint32_t)fuzz_value(script, 0);
		memset(message->text, 'x', sizeof(message->text));
		return sizeof(*message);
	case 2: /* Any bytes. */
		memcpy(message, script->next, taken);
		script->next += taken;
		return sizeof(*message);
	default: /* Any length. */
		return fuzz_byte(script) * 2;
	}
}

static void begin(struct cadre_supervisor *supervisor, const struct cadre_view *view,
		  int connection)
{
	cadre_supervisor_init(supervisor);
	supervisor->source = &source;
	supervisor->options.size = sizeof(supervisor->options);
	supervisor->options.name = FUZZ_POOL;
	supervisor->view = *view;
	supervisor->phase = CADRE_SERVING;
	supervisor->random = 1;
	supervisor->connections[0] = connection;
	if (cadre_staff_init(supervisor) < 0 || cadre_lease_init(supervisor) < 0)
		abort();
}

/* Sends one, lets the target hear it, and throws the answer away. */
static void converse(struct cadre_supervisor *supervisor, struct fuzz_script *script,
		     uint8_t kind, int line)
{
	char room[sizeof(struct cadre_control) + 256];
	struct cadre_control *const message = (void *)room;
	struct cadre_control heard;
	size_t length;

	memset(room, 0, sizeof(room));
	length = a_message(script, kind, message);
	send_with_luggage(line, room, length, fuzz_byte(script) & 3);
	if (kind & 0x40) {
		const int fd = supervisor->connections[0];

		if (fd >= 0 && cadre_control_receive(fd, &heard, NULL) == 1) {
			FUZZ_CHECK(heard.version == CADRE_CONTROL_VERSION);
			FUZZ_CHECK(memchr(heard.text, 0, sizeof(heard.text)));
		}
	} else {
		cadre_lease_heard(supervisor, 0);
	}
	(void)recv(line, room, sizeof(room), MSG_DONTWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = { .next = data, .end = data + size };
	struct cadre_view *const view = fuzz_segment(&script);
	const int before = number_of_last(8);
	const int on = fuzz_byte(&script) & 1;
	struct cadre_supervisor supervisor;
	uint8_t kind;
	int line[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, line) < 0)
		abort();
	/* A worker's socket has no credentials, so there is room for other luggage. */
	setsockopt(line[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	begin(&supervisor, view, line[0]);
	for (unsigned i = 0; i < 20 && fuzz_next(&script, &kind); i++)
		converse(&supervisor, &script, kind, line[1]);
	cadre_staff_fini(&supervisor);
	cadre_lease_fini(&supervisor);
	close(line[1]);
	FUZZ_CHECK(number_of_last(8) == before);
	return 0;
}
