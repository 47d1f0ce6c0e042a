/*
 * map.h - many inputs through one operation: a bounded number under way, results in the order
 * of the inputs or as they come.
 *
 *	static int next(uint64_t index, struct cadre_map_input *input, void *context)
 *	{
 *		struct files *files = context;
 *
 *		if (index == files->count)
 *			return 0;
 *		input->request = (struct cadre_request){ .operation = 1,
 *			.data = files->names[index], .length = strlen(files->names[index]) };
 *		return 1;
 *	}
 *
 *	cadre_map(client, next, show, &files, &options, NULL);
 */
#ifndef CADRE_MAP_API_H
#define CADRE_MAP_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cadre/api.h>
#include <cadre/client.h>

CADRE_BEGIN_DECLS

/* One input. Zero when `next` gets it. */
struct cadre_map_input {
	/* Its data must stay until `next` is called again or cadre_map returns. It may have a
	 * deadline, a counter, descriptors; but neither `ended` nor CADRE_DETACHED. */
	struct cadre_request request;
	/* With an id: the payload is what was written there, its first request.length bytes;
	 * the draft is then the map's. */
	struct cadre_draft draft;
	void *item; /* handed to `result` with its result */
};

/* Fills in input number `index`, counted from 0. 1: there it is; 0: there are no more (it is
 * not called again); -EAGAIN: there is none yet; another negative value ends the map. Called in
 * the thread of cadre_map, when there is room for another job, so inputs need not be ready
 * before. */
typedef int cadre_map_next_fn(uint64_t index, struct cadre_map_input *input,
			      void *context);

/* Gets the result of input number `index`, whatever its outcome, with the item that came with
 * the input; reply and result live until it returns. 0: go on; another value ends the map. May
 * use the client, also to submit. */
typedef int cadre_map_result_fn(uint64_t index, void *item,
				const struct cadre_result *result, void *context);

/* Called now and then while the map waits and works: 0: go on; another value ends it. */
typedef int cadre_map_tick_fn(void *context);

/* Zero means the default, given behind each. */
struct cadre_map_options {
	size_t size;        /* sizeof(struct cadre_map_options) */
	uint32_t in_flight; /* jobs under way at once: as many as the window holds */
	bool ordered; /* results in the order of the inputs; one that ended early keeps its
		       * slot until its turn: as they come */
	int64_t until_ns; /* then the map ends with -ETIMEDOUT: never */
	/* What to wait for when `next` says -EAGAIN: a descriptor that polls readable when it
	 * would say something else: ask again every 5 ms. */
	bool has_input_fd;
	int input_fd;
	cadre_map_tick_fn *tick; /* none */
	int64_t tick_ns;         /* at least this time between two of them: 100 ms */
};

/* What became of the inputs. */
struct cadre_map_sums {
	uint64_t accepted;  /* jobs */
	uint64_t delivered; /* results that were handed out */
	uint64_t cancelled; /* the rest, when the map ended early */
};

/* Submits a job for each input and hands out each result. Returns 0 when each input's result
 * was handed out; else what ended it early: what one of the functions returned, -ETIMEDOUT,
 * or what the submission of an input was refused with (-EMSGSIZE, -EINVAL, -EOWNERDEAD; -EAGAIN
 * and -ENOBUFS are waited out). Of a pool that is being stopped, what was accepted is handed
 * out, and then -ESHUTDOWN is returned. Otherwise everything that is under way is
 * cancelled and let go of, and nothing is handed out any more: when it returns no slot is in
 * its hands, but those of handlers that have not come back yet. ret_sums may be NULL. Any
 * thread; several maps may run over one client. -EINVAL (options), -ENOMEM, -ECHILD. */
CADRE_API int cadre_map(struct cadre_client *client, cadre_map_next_fn *next,
			cadre_map_result_fn *result, void *context,
			const struct cadre_map_options *options,
			struct cadre_map_sums *ret_sums);

/* ---- batches: submitted by cadre_try_submit_batch, reaped here ---- */

/* Waits until at least `least` of the jobs have ended, and takes all that have: their results
 * are ret_results[0 ..], their places among the tickets ret_indices[0 ..] (unless NULL), and
 * their tickets are set to 0, so that the same array can be waited for again. Tickets whose id
 * is 0 are passed over. Both arrays need room for `count`. Returns how many it took, which is
 * fewer than `least` when fewer are left or the time was over; -ETIMEDOUT when none ended
 * until then (with `least` 0: -EAGAIN, without a wait); -ENOENT when there are no tickets;
 * -ESTALE, -EBUSY, -ECHILD as cadre_await. */
CADRE_API int cadre_await_some(struct cadre_client *client, struct cadre_ticket *tickets,
			       size_t count, size_t least, int64_t until_ns,
			       struct cadre_result *ret_results, size_t *ret_indices);

/* Releases results; 0, or the error of the first that could not be. */
CADRE_API int cadre_release_batch(struct cadre_client *client,
				  const struct cadre_result *results, size_t count);

CADRE_END_DECLS
#endif
