/*
 * map.c - keeps a bounded number of jobs under way, over the public calls of the client.
 *
 * Its jobs stand in the order of their inputs; one whose result is taken leaves the line. In
 * order means to wait for the first only: those behind it keep their results where they are,
 * in their slots, so nothing is copied.
 */
#include "client.h"
#include "clock.h"

#include <cadre/map.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define TICK_NS (100 * CADRE_NS_PER_MS)
#define NAP_NS CADRE_NS_PER_MS /* while others have the room that we need */
#define ASK_AGAIN_NS (5 * CADRE_NS_PER_MS)

struct map {
	struct cadre_client *client;
	cadre_map_next_fn *next;
	cadre_map_result_fn *result;
	void *context;
	struct cadre_map_options options;
	struct cadre_map_sums sums;

	struct cadre_map_input input; /* that is not accepted yet */
	bool has_input;
	bool ended; /* there are no more inputs */
	bool dry;   /* there is none yet */
	int64_t tick_due_ns;

	/* Jobs under way, oldest input first: tickets[i] is of input indices[i]. */
	uint32_t count;
	struct cadre_ticket *tickets;
	uint64_t *indices;
	void **items;
	int refused; /* the pool takes no more; what it has accepted it runs */
};

/* ---- inputs ---- */

static bool is_of_ours(const struct cadre_request *request)
{
	return !request->ended && !(request->flags & CADRE_DETACHED);
}

/* 1 with an input at hand; 0 with none, now or for ever. */
static int fetch(struct map *map)
{
	int r;

	if (map->has_input)
		return 1;
	if (map->ended)
		return 0;
	map->input = (struct cadre_map_input){ .draft = { .id = 0 } };
	r = map->next(map->sums.accepted, &map->input, map->context);
	map->dry = r == -EAGAIN;
	if (r == 0)
		map->ended = true;
	if (r == 0 || r == -EAGAIN)
		return 0;
	if (r < 0)
		return r;
	map->has_input = true;
	return is_of_ours(&map->input.request) ? 1 : -EINVAL;
}

static int submit(struct map *map, struct cadre_ticket *ret_ticket)
{
	struct cadre_map_input *const input = &map->input;

	if (input->draft.id)
		return cadre_draft_submit(map->client, &input->draft, &input->request,
					  ret_ticket);
	return cadre_try_submit(map->client, &input->request, ret_ticket);
}

/* Submits until there is no input, no room, or as much under way as may be. `*ret_crowded`:
 * somebody else has the room. */
static int fill(struct map *map, bool *ret_crowded)
{
	int r = 1;

	*ret_crowded = false;
	while (map->count < map->options.in_flight && (r = fetch(map)) == 1) {
		struct cadre_ticket ticket;

		r = submit(map, &ticket);
		if (r == -EAGAIN || r == -ENOBUFS) {
			*ret_crowded = true;
			return 0;
		}
		if (r == -ESHUTDOWN) {
			map->refused = r;
			map->has_input = false;
			map->ended = true;
			return 0;
		}
		if (r < 0)
			return r;
		map->tickets[map->count] = ticket;
		map->items[map->count] = map->input.item;
		map->indices[map->count++] = map->sums.accepted++;
		map->has_input = false;
	}
	return r < 0 ? r : 0;
}

/* ---- results ---- */

static void forget(struct map *map, uint32_t at)
{
	const uint32_t behind = map->count - at - 1;

	memmove(&map->tickets[at], &map->tickets[at + 1], behind * sizeof(*map->tickets));
	memmove(&map->indices[at], &map->indices[at + 1], behind * sizeof(*map->indices));
	memmove(&map->items[at], &map->items[at + 1], behind * sizeof(*map->items));
	map->count--;
}

static int hand_out(struct map *map, uint32_t at, const struct cadre_result *result)
{
	const uint64_t index = map->indices[at];
	void *const item = map->items[at];
	int r;

	forget(map, at);
	map->sums.delivered++;
	r = map->result(index, item, result, map->context);
	cadre_release(map->client, result);
	return r;
}

/* Hands out what has ended and whose turn it is, and waits for the first of them. -ETIMEDOUT
 * when none came. */
static int await_results(struct map *map, int64_t until_ns)
{
	const uint32_t candidates = map->options.ordered ? 1 : map->count;
	struct cadre_result result;
	int r = cadre_await_any(map->client, map->tickets, candidates, until_ns, &result);

	if (r >= 0)
		r = hand_out(map, (uint32_t)r, &result);
	return r;
}

/* ---- waiting ---- */

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

/* Nothing of ours is under way that could end. */
static void nap(const struct map *map, int64_t until_ns)
{
	struct pollfd look = { .fd = map->options.input_fd, .events = POLLIN };
	const bool looks = map->dry && map->options.has_input_fd;
	const int64_t most_ns = looks ? CADRE_NS_PER_S : map->dry ? ASK_AGAIN_NS : NAP_NS;
	const struct timespec timeout = cadre_clock_timespec(
		cadre_clock_left_ns(until_ns, most_ns));

	ppoll(&look, looks, &timeout, NULL);
}

static bool has_new_input(const struct map *map)
{
	struct pollfd look = { .fd = map->options.input_fd, .events = POLLIN };

	return map->options.has_input_fd && poll(&look, 1, 0) != 0;
}

static int await_something(struct map *map, bool crowded)
{
	int64_t until_ns = earlier(map->tick_due_ns, map->options.until_ns);
	int r;

	if (map->count == 0) {
		nap(map, until_ns);
		return 0;
	}
	/* What else may happen rings no bell of ours. */
	if (map->dry && has_new_input(map))
		return 0;
	if (map->dry)
		until_ns = earlier(until_ns, cadre_clock_in_ns(ASK_AGAIN_NS));
	if (crowded)
		until_ns = earlier(until_ns, cadre_clock_in_ns(NAP_NS));
	r = await_results(map, until_ns);
	return r == -ETIMEDOUT ? 0 : r;
}

/* 0, or why the map ends. */
static int look_at_clock(struct map *map)
{
	const int64_t now_ns = cadre_clock_ns();

	if (now_ns >= map->options.until_ns)
		return -ETIMEDOUT;
	if (now_ns < map->tick_due_ns)
		return 0;
	map->tick_due_ns = now_ns + map->options.tick_ns;
	return map->options.tick(map->context);
}

static int work(struct map *map)
{
	for (;;) {
		bool crowded;
		int r = look_at_clock(map);

		if (r == 0)
			r = fill(map, &crowded);
		if (r == 0 && map->ended && !map->has_input && map->count == 0)
			return map->refused;
		if (r == 0)
			r = await_something(map, crowded);
		if (r != 0)
			return r;
	}
}

/* ---- begin and end ---- */

static void give_up(struct map *map)
{
	struct cadre_result result;

	if (map->has_input && map->input.draft.id)
		cadre_draft_discard(map->client, &map->input.draft);
	for (uint32_t i = 0; i < map->count; i++)
		cadre_cancel(map->client, map->tickets[i]);
	/* A job that is cancelled has ended for us at once. */
	for (uint32_t i = 0; i < map->count; i++) {
		if (cadre_await(map->client, map->tickets[i], CADRE_FOREVER, &result) == 0)
			cadre_release(map->client, &result);
	}
	map->sums.cancelled = map->count;
}

static int begin(struct map *map, const struct cadre_map_options *options)
{
	if (options)
		map->options = *options;
	if (options && (options->size != sizeof(*options) || options->tick_ns < 0 ||
			options->until_ns < 0))
		return -EINVAL;
	if (map->options.in_flight == 0 ||
	    map->options.in_flight > cadre_client_window(map->client))
		map->options.in_flight = cadre_client_window(map->client);
	if (map->options.until_ns == 0)
		map->options.until_ns = INT64_MAX;
	if (map->options.tick_ns == 0)
		map->options.tick_ns = TICK_NS;
	map->tick_due_ns = map->options.tick ? cadre_clock_in_ns(map->options.tick_ns) :
					       INT64_MAX;
	map->tickets = calloc(map->options.in_flight, sizeof(*map->tickets));
	map->indices = calloc(map->options.in_flight, sizeof(*map->indices));
	map->items = calloc(map->options.in_flight, sizeof(*map->items));
	return map->tickets && map->indices && map->items ? 0 : -ENOMEM;
}

int cadre_map(struct cadre_client *client, cadre_map_next_fn *next,
	      cadre_map_result_fn *result, void *context,
	      const struct cadre_map_options *options, struct cadre_map_sums *ret_sums)
{
	struct map map = {
		.client = client, .next = next, .result = result, .context = context
	};
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	r = begin(&map, options);
	if (r == 0)
		r = work(&map);
	if (r != 0)
		give_up(&map);
	if (ret_sums)
		*ret_sums = map.sums;
	free(map.tickets);
	free(map.indices);
	free(map.items);
	return r;
}
