/*
 * request.h - what can be said of a request before it has a slot.
 */
#ifndef CADRE_LIB_REQUEST_H
#define CADRE_LIB_REQUEST_H

#include <cadre/client.h>

#include "channel.h"

/* Whom it is for, or the first reason to refuse it: -EINVAL, -EMSGSIZE, -EHOSTDOWN, or what
 * cadre_handle_check and cadre_channel_aim say. */
int cadre_request_check(const struct cadre_client *client,
			const struct cadre_request *request, struct cadre_aim *ret_aim);

/* True when somebody can learn how the job ended, or nobody wants to. */
static inline bool cadre_request_is_heard(const struct cadre_request *request,
					  const struct cadre_ticket *ret_ticket)
{
	return ret_ticket || request->ended || request->flags & CADRE_DETACHED;
}

/* What it has besides its payload (CADRE_WITH_...); whom it is aimed at is added later. */
unsigned cadre_request_has(const struct cadre_request *request);

#endif
