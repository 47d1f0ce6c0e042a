/*
 * race_descriptors.c - descriptors of jobs under ThreadSanitizer.
 *
 * A worker on threads asks for them, threads of one client submit, cancel, take back and
 * release at the same time, and the client's courier, a thread as well, gives them away. The
 * supervisor's part, bringing the two together, is played by a thread of the test over the
 * real control socket.
 *
 * The sanitizer judges the orders, this file the rest: as many descriptors are open at the
 * end as at the beginning. Exit status 0, or 1 with a sentence.
 */
#include "clock.h"
#include "control.h"
#include "seating.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SUBMITTERS 3u
#define JOBS 400u /* of each submitter */
#define PARALLEL 3u
#define SLOTS 16u

static struct seating seating;
static int null_fd;
static atomic_bool over;
static atomic_uint taken, cancelled, taken_back;

static void take(struct cadre_job *job, void *state)
{
	int fds[CADRE_DESCRIPTORS_MAX];
	const int count = cadre_job_descriptors(job, fds, CADRE_DESCRIPTORS_MAX);

	(void)state;
	for (int i = 0; i < count; i++)
		close(fds[i]);
	if (count > 0)
		atomic_fetch_add(&taken, 1);
	cadre_job_reply(job, NULL, 0);
}

static void ignore(struct cadre_job *job, void *state)
{
	(void)state;
	cadre_job_reply(job, NULL, 0);
}

static const struct cadre_operation operations[] = {
	{ 1, "take", take },
	{ 2, "ignore", ignore },
};

static const struct cadre_service service = {
	.size = sizeof(service),
	.name = "taker",
	.operations = operations,
	.operation_count = CADRE_COUNT_OF(operations),
	.flags = CADRE_SERVICE_THREADS,
};

/* ---- the supervisor's part ---- */

static void introduce(int fd, int *courier)
{
	struct cadre_control message = { .kind = CADRE_CONTROL_ANSWER };
	const int64_t until_ns = cadre_clock_in_ns(5 * CADRE_NS_PER_S);

	seating_expect(cadre_control_await(fd, until_ns) == 0 &&
			       cadre_control_receive(fd, &message, NULL) == 1,
		       "somebody connects and says nothing");
	if (message.kind == CADRE_CONTROL_COURIER) {
		*courier = fd;
		message = cadre_control_message(CADRE_CONTROL_ANSWER);
		seating_expect(cadre_control_send(fd, &message) == 0, "no answer");
		return;
	}
	/* Knocks for more workers come as well, and are not heard. */
	if (message.kind == CADRE_CONTROL_MEET && *courier >= 0)
		cadre_control_send_with(*courier, &message, &fd, 1);
	close(fd);
}

static void *supervise(void *context)
{
	const int listener = *(const int *)context;
	int courier = -1;

	while (!atomic_load(&over)) {
		struct pollfd look = { .fd = listener, .events = POLLIN };

		if (poll(&look, 1, 10) > 0)
			introduce(cadre_control_accept(listener), &courier);
	}
	close(courier);
	return NULL;
}

/* ---- the client's threads ---- */

static void end(struct cadre_ticket ticket, bool wants_back)
{
	struct cadre_result result;
	int back;

	seating_expect(cadre_await(seating.client, ticket, CADRE_FOREVER, &result) == 0,
		       "a job was not taken");
	if (result.outcome == CADRE_CANCELLED)
		atomic_fetch_add(&cancelled, 1);
	if (wants_back && cadre_take_back(seating.client, &result, &back, 1) == 1) {
		close(back);
		atomic_fetch_add(&taken_back, 1);
	}
	cadre_release(seating.client, &result);
}

static void *submit(void *unused)
{
	(void)unused;
	for (uint32_t job = 0; job < JOBS; job++) {
		const int sent = fcntl(null_fd, F_DUPFD_CLOEXEC, 3);
		const struct cadre_request request = { .operation = 1 + (job % 4 == 0),
						       .descriptors = &sent,
						       .descriptor_count = 1 };
		struct cadre_ticket ticket;

		seating_expect(cadre_submit(seating.client, &request, CADRE_FOREVER,
					    &ticket) == 0,
			       "a job was not accepted");
		if (job % 5 == 0)
			cadre_cancel(seating.client, ticket);
		end(ticket, job % 2 == 0);
	}
	return NULL;
}

int main(void)
{
	pthread_t supervisor, submitters[SUBMITTERS];
	int listener;

	seating_open(&seating, 1, PARALLEL, SLOTS);
	listener = cadre_control_listen(seating.scene.pool, 0600, NULL);
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	seating_expect(listener >= 0 && null_fd >= 0, "cannot listen");
	supervisor = seating_start(supervise, &listener);
	seating_serve(&seating, &service);
	for (unsigned i = 0; i < SUBMITTERS; i++)
		submitters[i] = seating_start(submit, NULL);
	for (unsigned i = 0; i < SUBMITTERS; i++)
		pthread_join(submitters[i], NULL);
	seating_dismiss(&seating);
	atomic_store(&over, true);
	pthread_join(supervisor, NULL);
	close(listener);
	close(null_fd);
	printf("%u taken, %u taken back, %u cancelled\n", taken, taken_back, cancelled);
	/* A corner that was not reached proves nothing. */
	seating_expect(taken > 0 && taken_back > 0 && cancelled > 0,
		       "none was taken, taken back or cancelled");
	seating_close(&seating);
	return 0;
}
