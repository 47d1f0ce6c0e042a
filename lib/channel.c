#include "channel.h"
#include "client.h"
#include "diag.h"

#include <stdio.h>
#include <string.h>

static_assert(sizeof(struct cadre_channel) <= CADRE_INLINE_MAX, "it fits a slot");

void cadre_channel_name_pool(struct cadre_channel *channel, const char *pool,
			     int64_t created_ns)
{
	*channel = (struct cadre_channel){
		.magic = CADRE_CHANNEL_MAGIC,
		.kind = CADRE_CHANNEL_POOL,
		.created_ns = created_ns,
	};
	snprintf(channel->pool, sizeof(channel->pool), "%s", pool);
}

void cadre_channel_name_worker(struct cadre_channel *channel, const char *pool,
			       int64_t created_ns, unsigned seat, uint32_t incarnation)
{
	cadre_channel_name_pool(channel, pool, created_ns);
	channel->kind = CADRE_CHANNEL_WORKER;
	channel->worker = (uint16_t)seat;
	channel->incarnation = incarnation;
}

void cadre_channel_of_pool(const struct cadre_client *client,
			   struct cadre_channel *ret_channel)
{
	cadre_channel_name_pool(ret_channel, client->pool, client->created_ns);
}

int cadre_channel_of_worker(const struct cadre_client *client, uint32_t place,
			    struct cadre_channel *ret_channel)
{
	uint64_t state;

	if (place >= client->view.seat_count)
		return -EINVAL;
	state = cadre_place_look(&client->view.worker_places[place]);
	if (cadre_place_state_of(state) != CADRE_PLACE_UP)
		return -EHOSTDOWN;
	cadre_channel_name_worker(ret_channel, client->pool, client->created_ns, place,
				  cadre_place_incarnation_of(state));
	return 0;
}

int cadre_channel_of_name(const char *pool, struct cadre_channel *ret_channel,
			  struct cadre_diag *diag)
{
	struct cadre_view view;
	const int r = cadre_layout_open(pool, false, &view, diag);

	if (r < 0)
		return r;
	cadre_channel_name_pool(ret_channel, pool,
				CADRE_READ_ONCE(view.header->created_ns));
	cadre_layout_close(&view);
	return 0;
}

/* Of a private copy. */
static bool is_channel(const struct cadre_channel *channel)
{
	return channel->magic == CADRE_CHANNEL_MAGIC &&
	       (channel->kind == CADRE_CHANNEL_POOL ||
		channel->kind == CADRE_CHANNEL_WORKER) &&
	       channel->worker < CADRE_MASK_BITS && channel->spare == 0 &&
	       memchr(channel->pool, '\0', sizeof(channel->pool)) &&
	       cadre_name_check(channel->pool, NULL) == 0;
}

int cadre_channel_check(const struct cadre_channel *channel, struct cadre_diag *diag)
{
	struct cadre_channel copy;

	memcpy(&copy, channel, sizeof(copy));
	if (is_channel(&copy))
		return 0;
	return cadre_refuse(diag, -EINVAL,
			    "these %zu bytes are not a channel (was it copied whole?)",
			    sizeof(copy));
}

int cadre_channel_aim(const struct cadre_channel *channel, const struct cadre_view *view,
		      const char *pool, int64_t created_ns, struct cadre_aim *ret_aim)
{
	struct cadre_channel copy;

	/* It may lie in a payload, where another process can still write. */
	memcpy(&copy, channel, sizeof(copy));
	if (copy.created_ns != created_ns || !is_channel(&copy) ||
	    strcmp(copy.pool, pool) != 0)
		return -EINVAL;
	*ret_aim = (struct cadre_aim){ .owner = CADRE_OWNER_NONE };
	if (copy.kind == CADRE_CHANNEL_POOL)
		return 0;
	if (copy.worker >= view->seat_count)
		return -EINVAL;
	*ret_aim = (struct cadre_aim){
		.owner = copy.worker + 1u,
		.incarnation = copy.incarnation,
	};
	return 0;
}

bool cadre_aim_stands(const struct cadre_view *view, struct cadre_aim aim)
{
	const uint64_t place = cadre_place_look(&view->worker_places[aim.owner - 1]);
	const enum cadre_place_state state = cadre_place_state_of(place);

	return cadre_place_incarnation_of(place) == aim.incarnation &&
	       (state == CADRE_PLACE_UP || state == CADRE_PLACE_STARTING);
}

void cadre_aim_wake(const struct cadre_view *view, unsigned seat)
{
	if (cadre_mask_has(&cadre_view_crew(view, seat)->sleepers, seat))
		cadre_crew_rouse(&view->worker_bells[seat]);
}

bool cadre_aim_tell(const struct cadre_view *view, struct cadre_aim aim, unsigned window)
{
	struct cadre_mask *const aims = &view->worker_aims[aim.owner - 1];

	atomic_thread_fence(memory_order_seq_cst); /* F2, pairs with F3, F5 and F6 */
	/* A1. What the worker cleared before it saw the job it looks for behind F3. */
	if (!cadre_mask_has(aims, window))
		cadre_mask_set(aims, window);
	CADRE_KILL_POINT("A1");
	cadre_aim_wake(view, aim.owner - 1);
	return cadre_aim_stands(view, aim);
}
