/*
 * options.h - what the commands' arguments have in common: numbers, sizes, durations, and
 * how a wrong one is refused. The options themselves stand with their commands.
 *
 * A refusal is one line, "cadre serve: --slots ten: must be a number from 1 to 65536", and
 * ends the program with status 64; functions that take the argp state therefore return
 * only what can be used.
 */
#ifndef CADRE_OPTIONS_H
#define CADRE_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cadre/client.h>

/* ---- what a text says: true, or false with nothing written ---- */

/* A decimal number from `least` to `most`; no sign, no blank, no other base. */
bool cadre_parse_number(const char *text, uint64_t least, uint64_t most,
			uint64_t *ret_number);

/* Bytes: a number, with k, M or G behind it for powers of 1024. */
bool cadre_parse_size(const char *text, size_t *ret_size);

/* Nanoseconds: a number and its unit, one of ns, us, ms, s, m, h; fractions are allowed
 * ("1.5s"). 0 needs no unit. */
bool cadre_parse_duration(const char *text, int64_t *ret_ns);

/* ---- the same for the option of that name: a text that says nothing is refused ---- */

uint32_t cadre_option_number(const struct argp_state *state, const char *option,
			     const char *text, uint32_t least, uint32_t most);
size_t cadre_option_size(const struct argp_state *state, const char *option,
			 const char *text);

/* From 1 ns up: zero would mean "the default" to the library. */
int64_t cadre_option_duration(const struct argp_state *state, const char *option,
			      const char *text);

/* "MIN..MAX", or one number for both, from 1 to CADRE_WORKERS_MAX; MIN may be 0. */
void cadre_option_workers(const struct argp_state *state, const char *option,
			  const char *text, uint32_t *ret_min, uint32_t *ret_max);

/* Prints "COMMAND: SENTENCE" and exits with status 64. */
void cadre_refuse_usage(const struct argp_state *state, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* ---- a pool and its operation, as several commands name them ---- */

/* Takes POOL, the only argument there is: a second one is refused. */
void cadre_take_pool(const struct argp_state *state, const char **pool, const char *text);

/* Attaches; returns an exit status, having printed why when it is not 0. */
int cadre_attach_to(const char *command, const char *pool,
		    struct cadre_client **ret_client);

/* The id of an operation given by name or number; prints why not, and -ENOENT. */
int32_t cadre_find_operation(const char *command, const char *pool,
			     const struct cadre_client *client, const char *operation);

/* A level by its name or number. */
enum cadre_log_level cadre_option_log_level(const struct argp_state *state,
					    const char *option, const char *text);

#endif
