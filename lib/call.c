/*
 * call.c - a handler that calls: it says who it is, waits for another's job, and no longer than
 * anybody waits for its own.
 */
#include "channel.h"
#include "client.h"
#include "clock.h"
#include "job.h"

#include <string.h>

#include <cadre/channel.h>

#define LOOK_AT_JOB_NS (20 * CADRE_NS_PER_MS)
#define CALL_MOST_NS (30 * CADRE_NS_PER_S)

void cadre_channel_of_job(const struct cadre_job *job, struct cadre_channel *ret_channel)
{
	*ret_channel = *job->host->channel;
}

/* Is the request for the pool that `job` runs in? */
static bool is_own_pool(const struct cadre_job *job, const struct cadre_client *client)
{
	const struct cadre_channel *const own = job->host->channel;

	return client->created_ns == own->created_ns &&
	       strcmp(client->pool, own->pool) == 0;
}

/* Could only this worker run it? */
static bool is_for_itself(const struct cadre_job *job, const struct cadre_client *client,
			  const struct cadre_request *request)
{
	const struct cadre_channel *const own = job->host->channel;
	struct cadre_aim aim = { .owner = CADRE_OWNER_NONE };

	if (!is_own_pool(job, client))
		return false;
	if (request->to && cadre_channel_aim(request->to, &client->view, client->pool,
					     client->created_ns, &aim) < 0)
		return false; /* submitting it says what is wrong */
	if (aim.owner != CADRE_OWNER_NONE)
		return aim.owner == own->worker + 1u &&
		       aim.incarnation == own->incarnation;
	/* As the pool is now: it may be scaled while we wait. */
	return own->worker < client->view.limits.workers &&
	       cadre_view_size(&client->view).max == 1;
}

/* The deadline of the call: the earliest of the request's and the job's. */
static int64_t bound(const struct cadre_job *job, const struct cadre_request *request)
{
	int64_t deadline_ns = request->deadline_ns;

	if (job->deadline_ns && (!deadline_ns || job->deadline_ns < deadline_ns))
		deadline_ns = job->deadline_ns;
	return deadline_ns ? deadline_ns : cadre_clock_in_ns(CALL_MOST_NS);
}

/* Nobody waits for the job any more. */
static bool is_in_vain(const struct cadre_job *job)
{
	return cadre_job_cancelled(job) ||
	       (job->deadline_ns && cadre_clock_ns() >= job->deadline_ns);
}

static int submit(const struct cadre_job *job, struct cadre_client *client,
		  const struct cadre_request *request, struct cadre_ticket *ret_ticket)
{
	for (;;) {
		int64_t until_ns = cadre_clock_in_ns(LOOK_AT_JOB_NS);
		int r;

		if (is_in_vain(job))
			return -ECANCELED;
		if (request->deadline_ns < until_ns)
			until_ns = request->deadline_ns;
		r = cadre_submit(client, request, until_ns, ret_ticket);
		if (r != -ETIMEDOUT || cadre_clock_ns() >= request->deadline_ns)
			return r;
	}
}

/* Lets the ticket go, whoever still runs its job. */
static void abandon(struct cadre_client *client, struct cadre_ticket ticket)
{
	struct cadre_result result;

	cadre_cancel(client, ticket);
	if (cadre_await(client, ticket, CADRE_FOREVER, &result) == 0)
		cadre_release(client, &result);
}

static int call(struct cadre_job *job, struct cadre_client *client,
		const struct cadre_request *request, struct cadre_result *ret_result)
{
	struct cadre_ticket ticket;
	int r = submit(job, client, request, &ticket);

	if (r < 0)
		return r;
	for (;;) {
		r = cadre_await(client, ticket, cadre_clock_in_ns(LOOK_AT_JOB_NS),
				ret_result);
		if (r != -ETIMEDOUT)
			return r;
		if (is_in_vain(job)) {
			abandon(client, ticket);
			return -ECANCELED;
		}
	}
}

/* When each handler that may run here waits for another that would have to run here, none
 * of them ever will. */
static int call_itself(struct cadre_job *job, struct cadre_client *client,
		       const struct cadre_request *request,
		       struct cadre_result *ret_result)
{
	struct cadre_job_host *const host = job->host;
	int r = -EDEADLK;

	/* Relaxed: it only counts. */
	if (atomic_fetch_add_explicit(&host->waiting_for_itself, 1, memory_order_relaxed) +
		    1 <
	    host->rooms)
		r = call(job, client, request, ret_result);
	atomic_fetch_sub_explicit(&host->waiting_for_itself, 1, memory_order_relaxed);
	return r;
}

int cadre_job_call(struct cadre_job *job, struct cadre_client *client,
		   const struct cadre_request *request, struct cadre_result *ret_result)
{
	struct cadre_request bounded = *request;
	const int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	if (request->ended || request->flags & (CADRE_DETACHED | CADRE_STREAM) ||
	    request->deadline_ns < 0)
		return -EINVAL;
	bounded.deadline_ns = bound(job, request);
	return is_for_itself(job, client, request) ?
		       call_itself(job, client, &bounded, ret_result) :
		       call(job, client, &bounded, ret_result);
}
