/*
 * submit.h - a berth: a slot on its way to its next job.
 *
 * take, write, publish, announce: steps S1 to S4 of the life of a job, in this order, by one
 * thread. Until it is published a berth is given back by abandoning it. How requests and
 * drafts go this way is told in submit.c and draft.c.
 */
#ifndef CADRE_LIB_SUBMIT_H
#define CADRE_LIB_SUBMIT_H

#include "client.h"
#include "request.h"

struct cadre_berth {
	uint64_t position;
	uint64_t generation; /* of that job, once the slot was prepared */
	void *data;          /* where its payload goes, likewise */
	uint32_t index;
};

/* 0, or why nothing is accepted at all: -ECHILD, -EOWNERDEAD, -ESHUTDOWN. */
int cadre_client_check_open(struct cadre_client *client);

/* Holds the next slot that is not in use, and prepares it. -EAGAIN when each is in use, else
 * as below. */
int cadre_berth_take(struct cadre_client *client, size_t length, uint32_t inline_max,
		     struct cadre_berth *ret_berth);

/* S1: prepares a held slot for a payload of so many bytes, of which so many fit it.
 * -ENOBUFS: no block is free. -EBADMSG: the segment is damaged. */
int cadre_berth_prepare(struct cadre_client *client, size_t length, uint32_t inline_max,
			struct cadre_berth *berth);

/* The same for a stream. */
int cadre_berth_prepare_stream(struct cadre_client *client,
			       const struct cadre_request *request,
			       struct cadre_berth *berth);

/* S2: lays its descriptors by and writes the request, its payload unless that stands in the
 * berth already. Fails as cadre_courier_pack does. */
int cadre_berth_write(struct cadre_client *client, const struct cadre_berth *berth,
		      const struct cadre_request *request, const struct cadre_aim *aim,
		      int64_t now_ns);

/* S3, and tells the worker that the job is aimed at. -EHOSTDOWN: that went meanwhile, and the
 * job was taken back. */
int cadre_berth_publish(struct cadre_client *client, const struct cadre_berth *berth,
			const struct cadre_request *request, const struct cadre_aim *aim);

/* S4 for a single job. -ESHUTDOWN: the pool stopped meanwhile, and the job was taken back. */
int cadre_berth_announce(struct cadre_client *client, const struct cadre_berth *berth,
			 bool for_anyone, int64_t now_ns);

/* Gives back a slot that was prepared. */
void cadre_berth_abandon(struct cadre_client *client, uint32_t index);

#endif
