/*
 * batch.c - many tickets at once.
 */
#include "client.h"

#include <cadre/map.h>

/* Takes what has ended. How many; or the error of a ticket that is none of ours. */
static int take_ended(struct cadre_client *client, struct cadre_ticket *tickets,
		      size_t count, struct cadre_result *results, size_t *indices,
		      size_t taken, size_t *ret_out)
{
	*ret_out = 0;
	for (size_t i = 0; i < count; i++) {
		int r;

		if (tickets[i].id == 0)
			continue;
		r = cadre_try_take(client, tickets[i], &results[taken]);
		if (r == -EAGAIN) {
			++*ret_out;
			continue;
		}
		if (r < 0)
			return taken ? (int)taken : r;
		tickets[i].id = 0;
		if (indices)
			indices[taken] = i;
		taken++;
	}
	return (int)taken;
}

int cadre_await_some(struct cadre_client *client, struct cadre_ticket *tickets,
		     size_t count, size_t least, int64_t until_ns,
		     struct cadre_result *ret_results, size_t *ret_indices)
{
	size_t taken = 0;

	if (count > INT32_MAX)
		return -EINVAL;
	for (;;) {
		size_t out;
		int r = take_ended(client, tickets, count, ret_results, ret_indices,
				   taken, &out);

		if (r < 0)
			return r;
		taken = (size_t)r;
		if (out == 0)
			return taken ? (int)taken : -ENOENT;
		if (taken >= least)
			return taken ? (int)taken : -EAGAIN;
		r = cadre_await_any(client, tickets, count, until_ns, &ret_results[taken]);
		if (r < 0)
			return taken ? (int)taken : r;
		tickets[r].id = 0;
		if (ret_indices)
			ret_indices[taken] = (size_t)r;
		taken++;
	}
}

int cadre_release_batch(struct cadre_client *client, const struct cadre_result *results,
			size_t count)
{
	int first = 0;

	for (size_t i = 0; i < count; i++) {
		const int r = cadre_release(client, &results[i]);

		if (first == 0)
			first = r;
	}
	return first;
}
