/*
 * test_control.c - claims about the messages of the control socket: whole or not at all,
 * from a sender that the kernel names, and nobody waits longer than he said.
 */
#include "child.h"
#include "clock.h"
#include "control.h"
#include "scene.h"
#include "segment.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define GENEROUS cadre_clock_in_ns(20 * CADRE_NS_PER_S)
#define BRIEF cadre_clock_in_ns(20 * CADRE_NS_PER_MS)

static struct scene scene;
static int listener;
static int pair[2];

static void begin(void)
{
	scene_begin(&scene);
	listener = cadre_control_listen(scene.pool, 0600, NULL);
	cr_assert_geq(listener, 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static void end(void)
{
	close(listener);
	close(pair[0]);
	close(pair[1]);
	cadre_segment_remove(scene.pool);
	scene_end(&scene);
}

TestSuite(control, .init = begin, .fini = end, .timeout = 60);

static struct cadre_control message(enum cadre_control_kind kind, const char *text)
{
	struct cadre_control made = cadre_control_message(kind);

	snprintf(made.text, sizeof(made.text), "%s", text);
	return made;
}

static void await_readable(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };

	cr_assert_eq(poll(&look, 1, 20000), 1);
}

/* ---- messages ---- */

Test(control, a_message_arrives_as_it_was_sent)
{
	struct cadre_control sent = message(CADRE_CONTROL_ANSWER, "a sentence"), got;

	sent.nonce = UINT64_MAX;
	sent.start_time = 7;
	sent.error = -EUSERS;
	sent.place = 3;
	sent.incarnation = 4;
	cr_assert_eq(cadre_control_send(pair[0], &sent), 0);
	cr_assert_eq(cadre_control_receive(pair[1], &got, NULL), 1);
	cr_assert_arr_eq(&got, &sent, sizeof(sent));
}

Test(control, with_no_message_there_receive_does_not_wait)
{
	struct cadre_control got;

	cr_assert_eq(cadre_control_receive(pair[1], &got, NULL), -EAGAIN);
}

Test(control, the_end_of_a_conversation_is_told_from_a_message)
{
	struct cadre_control sent = message(CADRE_CONTROL_KNOCK, ""), got;

	cadre_control_send(pair[0], &sent);
	shutdown(pair[0], SHUT_WR);
	cr_assert_eq(cadre_control_receive(pair[1], &got, NULL), 1);
	cr_assert_eq(cadre_control_receive(pair[1], &got, NULL), 0);
}

Test(control, a_message_of_another_length_is_refused)
{
	char bytes[sizeof(struct cadre_control) + 1] = "";
	struct cadre_control sent = message(CADRE_CONTROL_KNOCK, ""), got;

	memcpy(bytes, &sent, sizeof(sent));
	cr_assert_eq(send(pair[0], bytes, sizeof(sent) - 1, 0), sizeof(sent) - 1);
	cr_assert_eq(send(pair[0], bytes, sizeof(sent) + 1, 0), sizeof(sent) + 1);
	cr_assert_eq(send(pair[0], bytes, 1, 0), 1);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(cadre_control_receive(pair[1], &got, NULL), -EBADMSG);
	cr_assert_eq(cadre_control_receive(pair[1], &got, NULL), -EAGAIN);
}

Test(control, a_message_of_another_version_is_refused)
{
	struct cadre_control sent = message(CADRE_CONTROL_KNOCK, ""), got;

	sent.version++;
	cadre_control_send(pair[0], &sent);
	cr_assert_eq(cadre_control_receive(pair[1], &got, NULL), -EBADMSG);
}

Test(control, a_text_without_an_end_gets_one)
{
	struct cadre_control sent = message(CADRE_CONTROL_FAILED, ""), got;

	memset(sent.text, 'x', sizeof(sent.text));
	cadre_control_send(pair[0], &sent);
	cr_assert_eq(cadre_control_receive(pair[1], &got, NULL), 1);
	cr_assert_eq(strlen(got.text), sizeof(got.text) - 1);
}

Test(control, a_peer_that_does_not_read_stops_nobody)
{
	const struct cadre_control sent = message(CADRE_CONTROL_KNOCK, "");
	int r = 0;

	for (int i = 0; i < 100000 && r == 0; i++)
		r = cadre_control_send(pair[0], &sent);
	cr_assert_eq(r, -EAGAIN);
}

/* A signal would end the test. */
Test(control, a_peer_that_is_gone_is_an_error_and_no_signal)
{
	const struct cadre_control sent = message(CADRE_CONTROL_KNOCK, "");

	close(pair[1]);
	cr_assert_eq(cadre_control_send(pair[0], &sent), -EPIPE);
	pair[1] = dup(pair[0]);
}

/* ---- asking ---- */

/* A supervisor for one conversation. */
struct script {
	bool reads;
	bool answers;
	enum cadre_control_kind kind; /* of the answer */
};

static int play(void *context)
{
	const struct script *const script = context;
	struct cadre_control question = { 0 },
			     answer = cadre_control_message(script->kind);
	struct pollfd look = { .fd = listener, .events = POLLIN };
	pid_t sender = 0;
	int fd;

	CHILD_CHECK(poll(&look, 1, 20000) == 1);
	fd = cadre_control_accept(listener);
	CHILD_CHECK(fd >= 0);
	look.fd = fd;
	if (script->reads) {
		CHILD_CHECK(poll(&look, 1, 20000) == 1);
		CHILD_CHECK(cadre_control_receive(fd, &question, &sender) == 1);
		CHILD_CHECK(sender == getppid());
	}
	answer.nonce = question.nonce;
	if (script->answers)
		CHILD_CHECK(cadre_control_send(fd, &answer) == 0);
	return CHILD_FINE;
}

static struct cadre_control hello(void)
{
	struct cadre_control question = message(CADRE_CONTROL_HELLO, "");

	question.nonce = 42;
	return question;
}

/* Asks the player of the script; what came of it. */
static int ask(struct script script, struct cadre_control *ret_answer)
{
	const struct cadre_control question = hello();
	const pid_t player = child_start(play, &script);
	const int r = cadre_control_ask(scene.pool, &question, GENEROUS, ret_answer);

	cr_assert_eq(child_end(player), CHILD_FINE);
	return r;
}

Test(control, a_question_gets_its_answer_and_the_kernel_names_who_asked)
{
	struct cadre_control answer;

	cr_assert_eq(ask((struct script){ true, true, CADRE_CONTROL_ANSWER }, &answer), 0);
	cr_assert_eq(answer.nonce, 42);
}

Test(control, an_answer_that_is_none_is_refused)
{
	struct cadre_control answer;

	cr_assert_eq(ask((struct script){ true, true, CADRE_CONTROL_KNOCK }, &answer),
		     -EBADMSG);
}

Test(control, a_supervisor_that_goes_away_without_an_answer_counts_as_dead)
{
	struct cadre_control answer;

	cr_assert_eq(ask((struct script){ .reads = true }, &answer), -ECONNREFUSED);
	cr_assert_eq(ask((struct script){ .reads = false }, &answer), -ECONNREFUSED);
}

Test(control, a_supervisor_that_does_not_answer_is_waited_for_no_longer_than_asked)
{
	const struct cadre_control question = hello();
	struct cadre_control answer;

	cr_assert_eq(cadre_control_ask(scene.pool, &question, BRIEF, &answer), -ETIMEDOUT);
}

Test(control, a_question_without_an_answer_is_left_and_not_waited_for)
{
	const struct cadre_control knock = message(CADRE_CONTROL_KNOCK, "");
	struct cadre_control got;
	pid_t sender = 0;
	int fd;

	cr_assert_eq(cadre_control_ask(scene.pool, &knock, 0, NULL), 0);
	fd = cadre_control_accept(listener);
	cr_assert_geq(fd, 0);
	await_readable(fd);
	cr_assert_eq(cadre_control_receive(fd, &got, &sender), 1);
	cr_assert_eq(got.kind, CADRE_CONTROL_KNOCK);
	cr_assert_eq(sender, getpid());
	cr_assert_eq(cadre_control_receive(fd, &got, &sender), 0);
	close(fd);
}

Test(control, where_nobody_listens_the_question_is_refused)
{
	const struct cadre_control question = hello();
	struct cadre_control answer;
	char name[CADRE_NAME_MAX + 1];

	scene_name(name);
	cr_assert_eq(cadre_control_ask(name, &question, GENEROUS, &answer), -ECONNREFUSED);

	/* A socket that a dead supervisor left is there, and nobody behind it. */
	close(listener);
	cr_assert_eq(cadre_control_ask(scene.pool, &question, GENEROUS, &answer),
		     -ECONNREFUSED);
	listener = dup(pair[0]);
}

/* ---- listening ---- */

Test(control, a_successor_listens_where_its_predecessor_did)
{
	const struct cadre_control knock = message(CADRE_CONTROL_KNOCK, "");
	int successor = cadre_control_listen(scene.pool, 0600, NULL), fd;

	cr_assert_geq(successor, 0);
	cr_assert_eq(cadre_control_ask(scene.pool, &knock, 0, NULL), 0);
	cr_assert_eq(cadre_control_accept(listener), -EAGAIN);
	fd = cadre_control_accept(successor);
	cr_assert_geq(fd, 0);
	close(fd);
	close(successor);
}

Test(control, the_socket_has_the_mode_that_was_asked_for)
{
	char path[CADRE_PATH_SIZE];
	struct stat status;

	cadre_path(scene.pool, CADRE_FILE_SOCKET, path);
	cr_assert_eq(stat(path, &status), 0);
	cr_assert(S_ISSOCK(status.st_mode));
	cr_assert_eq(status.st_mode & 0777, 0600);
}

Test(control, a_socket_that_cannot_be_made_is_said_with_its_path)
{
	struct cadre_diag diag = { "" };
	char path[CADRE_PATH_SIZE], name[CADRE_NAME_MAX + 1];

	scene_name(name);
	cadre_path(name, CADRE_FILE_SOCKET, path);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(cadre_control_listen(name, 0600, &diag), -EADDRINUSE);
	cr_assert_not_null(strstr(diag.text, path), "%s", diag.text);
	cr_assert_eq(rmdir(path), 0);
}
