/*
 * Claims about sink.c: whole lines, and never a wait: what a sink does not take is counted,
 * and said to it when it takes something again.
 */
#include "sink.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

TestSuite(sink, .timeout = 20);

static struct cadre_log_line line = { .time_ns = 1,
				      .level = CADRE_LOG_ERROR,
				      .pool = "p",
				      .worker = 2,
				      .pid = 33,
				      .job = 4,
				      .text = "hello" };

Test(sink, standard_error_gets_a_whole_line)
{
	struct cadre_sink sink;
	char text[400];
	ssize_t length;
	int pair[2];

	cr_assert_eq(pipe(pair), 0);
	cadre_sink_init(&sink, CADRE_LOG_TO_STDERR, NULL, NULL);
	sink.stderr_fd = pair[1];
	cadre_sink_put(&sink, &line);
	length = read(pair[0], text, sizeof(text) - 1);
	cr_assert_gt(length, 0);
	text[length] = '\0';
	cr_assert_str_eq(text,
			 "1970-01-01T00:00:00.000000Z error p worker 2 (pid 33) job 4: "
			 "hello\n");
	cadre_sink_fini(&sink);
	close(pair[0]);
	close(pair[1]);
}

/* Were it to wait, this test would not end. */
Test(sink, a_pipe_that_nobody_reads_stops_nobody_and_is_told_how_much_it_missed)
{
	struct cadre_sink sink;
	static char text[1 << 20];
	size_t length = 0;
	ssize_t got;
	int pair[2], put = 0;

	cr_assert_eq(pipe(pair), 0);
	cadre_sink_init(&sink, CADRE_LOG_TO_STDERR, NULL, NULL);
	sink.stderr_fd = pair[1];
	for (; put < 5000; put++)
		cadre_sink_put(&sink, &line);
	cr_assert_gt(sink.dropped[0], 0);

	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	while (read(pair[0], text, sizeof(text)) > 0) {
	}
	cadre_sink_put(&sink, &line);
	while ((got = read(pair[0], text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)got;
	text[length] = '\0';
	cr_assert_not_null(strstr(text, " dropped here\n"), "%s", text);
	cr_assert_not_null(strstr(text, ": hello\n"));
	cr_assert_eq(sink.dropped[0], 0);
	cadre_sink_fini(&sink);
	close(pair[0]);
	close(pair[1]);
}

static int listen_at(struct sockaddr_un *address)
{
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path), "/tmp/cadre-test-log.%d",
		 (int)getpid());
	unlink(address->sun_path);
	cr_assert_eq(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
	return fd;
}

Test(sink, syslog_gets_priority_ident_and_text_and_a_daemon_that_comes_back_is_found)
{
	struct sockaddr_un address;
	struct cadre_sink sink;
	char text[1000];
	ssize_t length;
	int fd = listen_at(&address);

	cadre_sink_init(&sink, CADRE_LOG_TO_SYSLOG, NULL, NULL);
	sink.syslog_path = address.sun_path;
	cadre_sink_put(&sink, &line);
	length = recv(fd, text, sizeof(text) - 1, 0);
	cr_assert_gt(length, 0);
	text[length] = '\0';
	/* daemon is 3, error is 3. */
	cr_assert_eq(strncmp(text, "<27>", 4), 0, "%s", text);
	cr_assert_not_null(strstr(text, " cadre[33]: p worker 2 job 4: hello"), "%s",
			   text);

	close(fd);
	unlink(address.sun_path);
	cadre_sink_put(&sink, &line);
	cadre_sink_put(&sink, &line);
	cr_assert_eq(sink.dropped[1], 2);
	fd = listen_at(&address);
	cadre_sink_put(&sink, &line);
	length = recv(fd, text, sizeof(text) - 1, 0);
	cr_assert_gt(length, 0);
	text[length] = '\0';
	cr_assert_not_null(strstr(text, "2 lines were dropped here"), "%s", text);
	cr_assert_eq(sink.dropped[1], 0);
	cadre_sink_fini(&sink);
	close(fd);
	unlink(address.sun_path);
}

Test(sink, a_daemon_that_does_not_read_stops_nobody)
{
	struct sockaddr_un address;
	struct cadre_sink sink;
	const int fd = listen_at(&address);

	cadre_sink_init(&sink, CADRE_LOG_TO_SYSLOG, NULL, NULL);
	sink.syslog_path = address.sun_path;
	for (int i = 0; i < 5000; i++)
		cadre_sink_put(&sink, &line);
	cr_assert_gt(sink.dropped[1], 0);
	cadre_sink_fini(&sink);
	close(fd);
	unlink(address.sun_path);
}
