/*
 * errors.h - what tests share that read what a pool says on standard error, for Criterion.
 *
 *	TestSuite(log, HEARD);
 */
#ifndef ERRORS_H
#define ERRORS_H

#include "claims.h"

#include <sys/mman.h>
#include <unistd.h>

static int errors = -1;
static char said[1 << 18];

static inline void start_and_hear(const struct cadre_service *service,
				  struct cadre_pool_options options)
{
	const int usual = dup(STDERR_FILENO);
	int r;

	errors = memfd_create("errors", MFD_CLOEXEC);
	dup2(errors, STDERR_FILENO);
	r = troupe_start(&troupe, service, options);
	dup2(usual, STDERR_FILENO);
	close(usual);
	cr_assert_eq(r, 0, "%d: %s", r, troupe.diag.text);
}

#define START_AND_HEAR(service, ...) \
	start_and_hear(service, (struct cadre_pool_options){ __VA_ARGS__ })

/* What it has said by now, until the next look. */
static inline const char *read_errors(void)
{
	const ssize_t length = pread(errors, said, sizeof(said) - 1, 0);

	said[length > 0 ? length : 0] = '\0';
	return said;
}

static inline unsigned count_of(const char *words)
{
	unsigned count = 0;

	for (const char *at = read_errors(); (at = strstr(at, words)); at++)
		count++;
	return count;
}

static inline void leave(void)
{
	if (errors >= 0)
		close(errors);
	troupe_leave();
}

#define HEARD .init = troupe_enter, .fini = leave, .timeout = 60

#endif
