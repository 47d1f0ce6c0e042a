/*
 * fetch.c - the worker's side of descriptors: asks the courier of the job's client for them.
 *
 * Connections are made through the supervisor (courier.c draws it) and kept for later jobs
 * of the same client. A connection serves one question at a time, so handlers on several
 * threads have one each. Every wait is bounded: a client may be stopped, or the supervisor
 * dead.
 */
#include "clock.h"
#include "control.h"
#include "job.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define FETCH_MOST_NS (5 * CADRE_NS_PER_S)
#define SLICE_NS (50 * CADRE_NS_PER_MS)
#define AGAIN_NS (2 * CADRE_NS_PER_MS)

void cadre_fetcher_init(struct cadre_fetcher *fetcher)
{
	pthread_mutex_init(&fetcher->lock, NULL);
	fetcher->count = 0;
}

void cadre_fetcher_fini(struct cadre_fetcher *fetcher)
{
	while (fetcher->count > 0)
		close(fetcher->lines[--fetcher->count].fd);
	pthread_mutex_destroy(&fetcher->lock);
}

/* ---- lines to couriers ---- */

/* An idle connection to the courier of that client, or -1. */
static int pick(struct cadre_fetcher *fetcher, uint32_t window, uint64_t client)
{
	int fd = -1;

	pthread_mutex_lock(&fetcher->lock);
	for (uint32_t i = fetcher->count; i-- > 0 && fd < 0;) {
		if (fetcher->lines[i].window != window)
			continue;
		if (fetcher->lines[i].client == client)
			fd = fetcher->lines[i].fd;
		else /* A client that has left. */
			close(fetcher->lines[i].fd);
		fetcher->lines[i] = fetcher->lines[--fetcher->count];
	}
	pthread_mutex_unlock(&fetcher->lock);
	return fd;
}

static void put_back(struct cadre_fetcher *fetcher, struct cadre_line line)
{
	pthread_mutex_lock(&fetcher->lock);
	if (fetcher->count == CADRE_LINES_MAX) {
		close(fetcher->lines[0].fd);
		fetcher->lines[0] = fetcher->lines[--fetcher->count];
	}
	fetcher->lines[fetcher->count++] = line;
	pthread_mutex_unlock(&fetcher->lock);
}

/* A new connection; whoever answers at its other end, the first question follows at once. */
static int open_line(const struct cadre_job_host *host, uint32_t window, int64_t until_ns)
{
	struct cadre_control message = cadre_control_message(CADRE_CONTROL_MEET);
	const int fd = cadre_control_connect(host->pool, until_ns);
	int r;

	if (fd < 0)
		return fd;
	message.place = window;
	r = cadre_control_send(fd, &message);
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

/* ---- one question ---- */

/* 0 with descriptors in the job, -EAGAIN: try again, or why there are none. */
static int ask(struct cadre_job *job, int fd, int64_t until_ns)
{
	struct cadre_control message = cadre_control_message(CADRE_CONTROL_FETCH);
	size_t count = 0;
	int r;

	message.place = job->number;
	message.nonce = job->claimed;
	if (cadre_control_send(fd, &message) < 0)
		return -EAGAIN;
	for (;;) {
		const int64_t left_ns = cadre_clock_left_ns(until_ns, SLICE_NS);

		if (cadre_job_cancelled(job))
			return -ECANCELED;
		if (cadre_control_await(fd, cadre_clock_in_ns(left_ns)) == 0)
			break;
		if (left_ns == 0)
			return -ETIMEDOUT;
	}
	r = cadre_control_receive_with(fd, &message, NULL, job->fds,
				       CADRE_DESCRIPTORS_MAX, &count);
	if (r == -EMFILE)
		return r;
	/* Its other end is gone: the supervisor's, before it handed it on, or the courier's. */
	if (r != 1 || message.kind != CADRE_CONTROL_ANSWER)
		return -EAGAIN;
	job->fd_count = (uint8_t)count;
	if (message.error == 0 && message.place == count) {
		CADRE_KILL_POINT("G2");
		return 0;
	}
	/* No honest courier refuses and sends some, or sends others than it says. */
	cadre_job_close_descriptors(job);
	return message.error < 0 ? message.error : -EMFILE;
}

static int fetch_once(struct cadre_job *job, int64_t until_ns)
{
	struct cadre_job_host *const host = job->host;
	const uint32_t window = cadre_view_window_of(host->view, job->number);
	const struct cadre_line line = {
		.window = window,
		.client = cadre_place_look(&host->view->client_places[window]),
	};
	int fd = pick(&host->fetcher, window, line.client);
	int r;

	if (fd < 0)
		fd = open_line(host, window, until_ns);
	if (fd == -EMFILE || fd == -ENFILE)
		return -EMFILE;
	if (fd < 0)
		return -EAGAIN;
	r = ask(job, fd, until_ns);
	if (r == 0 || r == -EOWNERDEAD)
		put_back(&host->fetcher,
			 (struct cadre_line){ fd, line.window, line.client });
	else
		close(fd);
	return r;
}

static int64_t fetch_until(const struct cadre_job *job)
{
	const int64_t until_ns = cadre_clock_in_ns(FETCH_MOST_NS);

	return job->deadline_ns && job->deadline_ns < until_ns ? job->deadline_ns :
								 until_ns;
}

static int fetch(struct cadre_job *job)
{
	const struct timespec nap = cadre_clock_timespec(AGAIN_NS);
	const int64_t until_ns = fetch_until(job);

	for (;;) {
		const int r = fetch_once(job, until_ns);

		if (r != -EAGAIN)
			return r;
		if (cadre_job_cancelled(job))
			return -ECANCELED;
		if (cadre_clock_left_ns(until_ns, 1) == 0)
			return -ETIMEDOUT;
		nanosleep(&nap, NULL);
	}
}

/* ---- what handlers see ---- */

int cadre_job_descriptors(struct cadre_job *job, int *ret_fds, size_t most)
{
	int count;

	if (atomic_load_explicit(&job->ended, memory_order_relaxed))
		return -EALREADY;
	if (!(CADRE_READ_ONCE(job->slot->request.with) & CADRE_WITH_DESCRIPTORS))
		return 0;
	if (!job->fetched) {
		const int r = fetch(job);

		if (r < 0)
			return r;
		job->fetched = true;
	}
	if (job->fd_count > most)
		return -EINVAL;
	count = job->fd_count;
	memcpy(ret_fds, job->fds, (size_t)count * sizeof(*ret_fds));
	job->fd_count = 0;
	return count;
}

void cadre_job_close_descriptors(struct cadre_job *job)
{
	while (job->fd_count > 0)
		close(job->fds[--job->fd_count]);
}
