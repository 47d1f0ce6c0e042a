#include "request.h"
#include "client.h"

#include <cadre/descriptors.h>

/* A stream that is delivered by callback has both of them; nobody reads a detached one. */
static int check_stream(const struct cadre_client *client,
			const struct cadre_request *request)
{
	if (!(request->flags & CADRE_STREAM) || request->flags & CADRE_DETACHED ||
	    !request->item != !request->ended ||
	    (request->stream_room && request->stream_room < CADRE_STREAM_ROOM_LEAST))
		return -EINVAL;
	if (request->stream_room > client->view.limits.payload_max ||
	    cadre_stream_bytes(request->length, cadre_client_stream_room(client, request)) >
		    client->view.limits.payload_max)
		return -EMSGSIZE;
	return 0;
}

/* Whom the request is for. */
static int find_aim(const struct cadre_client *client,
		    const struct cadre_request *request, struct cadre_aim *ret_aim)
{
	int r;

	if (!request->to) {
		ret_aim->owner = CADRE_OWNER_NONE;
		return client->view.limits.workers > 0 ? 0 : -EHOSTDOWN;
	}
	r = cadre_channel_aim(request->to, &client->view, client->pool,
			      client->created_ns, ret_aim);
	if (r < 0)
		return r;
	if (ret_aim->owner == CADRE_OWNER_NONE)
		return client->view.limits.workers > 0 ? 0 : -EHOSTDOWN;
	return cadre_aim_stands(&client->view, *ret_aim) ? 0 : -EHOSTDOWN;
}

/* A pool whose longest payload fits a slot has no blocks, and no room for more. */
static int check_token(const struct cadre_client *client,
		       const struct cadre_request *request)
{
	if (request->length > cadre_request_inline_max(CADRE_WITH_TOKEN) &&
	    client->view.plan.total == 0)
		return -EMSGSIZE;
	return cadre_handle_check(client, request->token);
}

int cadre_request_check(const struct cadre_client *client,
			const struct cadre_request *request, struct cadre_aim *ret_aim)
{
	if (request->operation < 1 || request->operation > CADRE_OPERATION_ID_MAX ||
	    request->retries > CADRE_ATTEMPT_MAX || (request->length && !request->data) ||
	    request->deadline_ns < 0 ||
	    request->flags & ~(unsigned)(CADRE_IDEMPOTENT | CADRE_DETACHED | CADRE_STREAM) ||
	    (request->flags & CADRE_DETACHED &&
	     (request->ended || request->descriptor_count || request->counter)) ||
	    (request->counter && request->counter->client != client) ||
	    request->descriptor_count > CADRE_DESCRIPTORS_MAX ||
	    (request->descriptor_count && !request->descriptors))
		return -EINVAL;
	if (request->length > client->view.limits.payload_max)
		return -EMSGSIZE;
	if (request->flags & CADRE_STREAM || request->item || request->stream_room) {
		const int r = check_stream(client, request);

		if (r < 0)
			return r;
	}
	if (request->token) {
		const int r = check_token(client, request);

		if (r < 0)
			return r;
	}
	return find_aim(client, request, ret_aim);
}

unsigned cadre_request_has(const struct cadre_request *request)
{
	return (request->deadline_ns ? CADRE_WITH_DEADLINE : 0u) |
	       (request->descriptor_count ? CADRE_WITH_DESCRIPTORS : 0u) |
	       (request->flags & CADRE_STREAM ? CADRE_WITH_STREAM : 0u) |
	       (request->token ? CADRE_WITH_TOKEN : 0u);
}
