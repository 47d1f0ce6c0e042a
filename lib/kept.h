/*
 * kept.h - the requests of the last jobs that were refused, for whoever wants to know what
 * kills workers.
 *
 * Kept in the segment: they are gone with it, belong to nobody's slot, and are never more
 * than CADRE_KEPT. A long request is cut; its length is told all the same. The supervisor
 * copies a request before it buries the job, since afterwards the client may free it.
 */
#ifndef CADRE_KEPT_H
#define CADRE_KEPT_H

#include "annals.h"

#include <cadre/service.h>

#define CADRE_KEPT 8
#define CADRE_KEPT_BYTES_MAX (UINT32_C(128) << 10)

/* In front of the bytes. S: the supervisor. */
struct cadre_kept {
	uint64_t job; /* as cadre_job_id */
	uint64_t length;
	int64_t when_unix_ns;
	uint32_t kept_length; /* bytes that follow */
	int32_t operation;
	uint32_t attempt;
	int32_t window;
	int32_t client_pid;
	int32_t worker; /* place of the last worker that died of it */
	int32_t worker_pid;
	int32_t code; /* how it died, as struct cadre_result.code */
};

static_assert(sizeof(struct cadre_kept) == 56, "the bytes begin on a line of their own");

/* Bytes that are kept of one request, at most. */
static inline uint32_t cadre_kept_bytes(uint64_t payload_max)
{
	const uint64_t wish = payload_max > CADRE_KEPT_BYTES_MAX ? CADRE_KEPT_BYTES_MAX :
								   payload_max;

	return (uint32_t)(wish + CADRE_CACHE_LINE - 1) / CADRE_CACHE_LINE *
	       CADRE_CACHE_LINE;
}

/* Size of the body of a record in which so many bytes fit. */
static inline uint32_t cadre_kept_body_size(uint64_t payload_max)
{
	return (uint32_t)sizeof(struct cadre_kept) + cadre_kept_bytes(payload_max);
}

/* Keeps a request, cut to what fits, unless that of this job is kept already. Returns its
 * number. */
uint64_t cadre_kept_write(const struct cadre_annals *kept, const struct cadre_kept *head,
			  const void *request);

/* Reads the head, bounded, and, unless `bytes` is NULL, what was kept of the request:
 * there must be room for cadre_kept_bytes. False when it is not there. */
bool cadre_kept_read(const struct cadre_annals *kept, uint64_t number,
		     struct cadre_kept *ret_head, void *bytes);

#endif
