#include "beanstalk.h"
#include "broker.h"
#include "pools.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PUT "put 0 0 60 0\r\n\r\n" /* priority, delay, seconds to run, bytes */

struct line {
	int fd;
	FILE *in;
};

struct client {
	struct line puts, takes; /* one that reserves hears nothing else meanwhile */
	uint32_t outstanding;
	bool deletes; /* a reply was deleted, which has not been confirmed */
};

static int open_line(struct line *ret_line, uint16_t port)
{
	const struct timeval patience = { .tv_sec = 10 };
	const int on = 1;

	ret_line->fd = server_connect(port);
	if (ret_line->fd < 0)
		return ret_line->fd;
	setsockopt(ret_line->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(ret_line->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	ret_line->in = fdopen(ret_line->fd, "r");
	return ret_line->in ? 0 : -errno;
}

static int say(const struct line *line, const char *text)
{
	const size_t length = strlen(text);

	return write(line->fd, text, length) == (ssize_t)length ? 0 : -EPIPE;
}

/* The next line begins with `word`; what follows is a number or nothing. 0, or -EPROTO. */
static int hear(const struct line *line, const char *word, unsigned long *ret_number)
{
	char text[128];

	if (!fgets(text, sizeof(text), line->in)) {
		fprintf(stderr, "cadre-bench: beanstalkd says nothing for 10 s\n");
		return -EPROTO;
	}
	if (strncmp(text, word, strlen(word)) != 0) {
		fprintf(stderr, "cadre-bench: beanstalkd says %s", text);
		return -EPROTO;
	}
	if (ret_number)
		*ret_number = strtoul(text + strlen(word), NULL, 10);
	return 0;
}

/* A job or a reply, which is empty. */
static int hear_reserved(const struct line *line, unsigned long *ret_id)
{
	const int r = hear(line, "RESERVED ", ret_id);

	return r < 0 ? r : hear(line, "\r\n", NULL);
}

/* Takes from this tube alone, and begins to wait. */
static int watch(const struct line *line, const char *command)
{
	int r = say(line, command);

	if (r == 0)
		r = hear(line, "WATCHING ", NULL);
	if (r == 0)
		r = hear(line, "WATCHING ", NULL);
	return r < 0 ? r : say(line, "reserve\r\n");
}

static int use(const struct line *line, const char *command)
{
	const int r = say(line, command);

	return r < 0 ? r : hear(line, "USING ", NULL);
}

/* ---- worker ---- */

static int reply(const struct line *line, unsigned long id)
{
	char text[128];
	int r;

	snprintf(text, sizeof(text), PUT "delete %lu\r\nreserve\r\n", id);
	r = say(line, text);
	if (r == 0)
		r = hear(line, "INSERTED ", NULL);
	return r < 0 ? r : hear(line, "DELETED", NULL);
}

static void work(void *shared)
{
	const struct server *const server = shared;
	struct line line;
	unsigned long id;
	int r = open_line(&line, server->port);

	if (r == 0)
		r = use(&line, "use replies\r\n");
	if (r == 0)
		r = watch(&line, "watch jobs\r\nignore default\r\n");
	while (r == 0) {
		r = hear_reserved(&line, &id);
		if (r == 0)
			r = reply(&line, id);
	}
	_exit(1);
}

/* ---- client ---- */

static int put(const struct line *line, uint32_t count)
{
	char text[POOLS_MOST * sizeof(PUT)] = "";

	for (uint32_t i = 0; i < count; i++)
		memcpy(text + i * (sizeof(PUT) - 1), PUT, sizeof(PUT));
	return say(line, text);
}

static int take(struct client *client)
{
	unsigned long id;
	char text[64];
	int r = client->deletes ? hear(&client->takes, "DELETED", NULL) : 0;

	if (r == 0)
		r = hear_reserved(&client->takes, &id);
	if (r < 0)
		return r;
	client->deletes = true;
	snprintf(text, sizeof(text), "delete %lu\r\nreserve\r\n", id);
	return say(&client->takes, text);
}

static int turn(void *context, uint32_t in_flight)
{
	struct client *const client = context;
	const uint32_t count = in_flight - client->outstanding;
	int r = put(&client->puts, count);

	if (r == 0)
		r = take(client);
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = hear(&client->puts, "INSERTED ", NULL);
	client->outstanding = in_flight - 1;
	return r < 0 ? r : 1;
}

static int open_lines(struct client *client, uint16_t port)
{
	int r = open_line(&client->puts, port);

	if (r == 0)
		r = open_line(&client->takes, port);
	if (r == 0)
		r = use(&client->puts, "use jobs\r\n");
	return r < 0 ? r : watch(&client->takes, "watch replies\r\nignore default\r\n");
}

static void close_lines(struct client *client)
{
	if (client->puts.in)
		fclose(client->puts.in);
	if (client->takes.in)
		fclose(client->takes.in);
}

static int ask(const struct server *server, double *ret_values)
{
	struct client client = { .outstanding = 0 };
	int r = open_lines(&client, server->port);

	if (r == 0)
		r = pools_measure(server->bench, turn, &client, ret_values);
	close_lines(&client);
	return r;
}

static int run(struct server *server)
{
	return server_run(server, "package beanstalkd",
			  (const char *[]){ "beanstalkd", "-l", "127.0.0.1", "-p",
					    server->port_text, NULL });
}

int beanstalk_pools(const struct bench *bench, const void *with, double *ret_values)
{
	static const struct broker beanstalkd = { run, work, ask };

	(void)with;
	return broker_pools(bench, &beanstalkd, ret_values);
}
