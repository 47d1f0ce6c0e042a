/*
 * server.h - servers of others: started, with a directory of their own, and ended.
 *
 * Nothing of them outlives the measurement, nor this process: each is told to end when we die,
 * and the directory has a guard, a child that removes it when we close it or die.
 */
#ifndef SERVER_H
#define SERVER_H

#include "bench.h"

#include <sys/types.h>

struct server {
	const struct bench *bench;
	char directory[32];
	char socket[48];   /* in the directory; the server may listen there */
	uint16_t port;     /* was free when this was opened; or it listens there */
	char port_text[8]; /* the same, for command lines */
	pid_t pid;         /* 0: none was started. It leads a process group */
	pid_t guard;
	int leash; /* the guard waits for its end */
};

/* Starts it (server_run) and measures, as measure_fn says. */
typedef int server_use(struct server *server, const void *with, double *ret_values);

/* Makes the directory and lets `use` measure there; then ends the program and whoever belongs
 * to it, and removes the directory. What that returned, or negative errno after saying why. */
int server_measure(const struct bench *bench, server_use *use, const void *with,
		   double *ret_values);

/* Writes a file into the directory. 0, or negative errno after saying why. */
int server_write(const struct server *server, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What the server said last, on standard output or error; "" when nothing. */
void server_last_words(const struct server *server, char *ret_text, size_t size);

/* Starts argv[0], which stays in the foreground, on any CPU, and waits until it accepts
 * connections at `socket` or `port`. 0, or -ENOTSUP when it is not there or does not start. */
int server_run(struct server *server, const char *source, const char *const argv[]);

/* A connection to the port of 127.0.0.1, or negative errno. */
int server_connect(uint16_t port);

#endif
