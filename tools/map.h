/*
 * map.h - many jobs from many inputs: keeps a bounded number under way, and prints their
 * replies in the order of the inputs or as they come. The work behind `cadre map`.
 *
 * Memory is bounded by what is under way: an input is read when there is room for its job,
 * and a reply is kept only while an earlier one is awaited.
 */
#ifndef CADRE_MAP_H
#define CADRE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cadre/client.h>

struct cadre_map_command {
	const char *pool;
	const char *operation;
	char *const *files; /* one job each; none: one job per record of standard input */
	size_t file_count;
	char separator;  /* of records */
	char terminator; /* of printed results */
	bool unordered;
	bool with_input; /* print the input behind the reply */
	bool once;       /* never run a job again */
	bool progress;
	bool summary;
	uint32_t retries;   /* 1 .. 15; 0: the library's default */
	uint32_t in_flight; /* jobs under way at once; 0: as many as the window holds */
	int64_t timeout_ns; /* of each job; 0: none */
};

/* Runs to the end of the inputs, or until a signal or a broken pipe ends it. Prints
 * results on standard output, everything else on standard error; returns the exit
 * status. */
int cadre_map_run(const struct cadre_map_command *options, struct cadre_client *client,
		  int32_t operation);

#endif
