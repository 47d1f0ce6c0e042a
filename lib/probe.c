/*
 * probe.c - which operations does a source have? A child is forked that tells and ends.
 *
 * A child, because loading a service may crash or hang, and because a supervisor that never
 * loads one stays small.
 */
#include "clock.h"
#include "diag.h"
#include "supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Writes down one operation in the segment, where the tools and clients find its name. */
static void write_operation(const struct cadre_supervisor *supervisor,
			    const struct cadre_control *message)
{
	struct cadre_header *const header = supervisor->view.header;
	const uint32_t count = atomic_load(&header->operation_count);
	struct cadre_operation_line *line;

	if (count >= CADRE_OPERATIONS_MAX)
		return;
	line = &header->operations[count];
	snprintf(line->name, sizeof(line->name), "%.47s", message->text);
	line->id = (int32_t)message->place;
	atomic_store(&header->operation_count, count + 1);
}

/* Waits for the end of a child, until then at most, and kills it when it is late. */
static void collect(struct cadre_child *child, int64_t until_ns, siginfo_t *ret_end)
{
	const struct timespec nap = cadre_clock_timespec(CADRE_NS_PER_MS);

	memset(ret_end, 0, sizeof(*ret_end));
	while (waitid(P_PIDFD, (id_t)child->pidfd, ret_end, WEXITED | WNOHANG) == 0 &&
	       ret_end->si_pid == 0) {
		if (cadre_clock_left_ns(until_ns, 1) == 0)
			cadre_process_kill(child->pidfd, SIGKILL);
		nanosleep(&nap, NULL);
	}
	close(child->pidfd);
}

static int hear_probe(struct cadre_supervisor *supervisor, struct cadre_child *child,
		      int64_t until_ns)
{
	const struct timespec nap = cadre_clock_timespec(200 * CADRE_NS_PER_US);

	for (;;) {
		struct cadre_control message;
		const int r = cadre_control_receive(child->start_fd, &message, NULL);

		if (r == 1 && message.kind == CADRE_CONTROL_OPERATION)
			write_operation(supervisor, &message);
		else if (r == 1 && message.kind == CADRE_CONTROL_FAILED)
			return cadre_refuse(supervisor->diag, -ENOEXEC, "%.460s",
					    message.text);
		else if (r == 1)
			return 0;
		else if (r != -EAGAIN)
			return -ECONNRESET; /* it ended without a word */
		else
			nanosleep(&nap, NULL);
		/* Of one that never stops talking, too. */
		if (cadre_clock_left_ns(until_ns, 1) == 0)
			return -ETIMEDOUT;
	}
}

int cadre_probe_operations(struct cadre_supervisor *supervisor)
{
	const struct cadre_source *const source = supervisor->source;
	const int64_t until_ns = cadre_clock_in_ns(supervisor->options.start_timeout_ns);
	const char *const what = source->program ? source->program[0] :
				 source->file    ? source->file :
						   "the service";
	struct cadre_child child;
	char end_text[64];
	siginfo_t end;
	int r;

	r = cadre_spawn_probe(source, supervisor->pool, &child);
	if (r < 0)
		return cadre_refuse(supervisor->diag, r, "cannot fork: %s", strerror(-r));
	r = hear_probe(supervisor, &child, until_ns);
	close(child.start_fd);
	collect(&child, r == -ETIMEDOUT ? 0 : until_ns, &end);
	cadre_spawn_say_end(&end, end_text, sizeof(end_text));
	if (r == -ECONNRESET)
		return cadre_refuse(supervisor->diag, -ENOEXEC,
				    "%s %s before it named its operations (is it a worker of "
				    "Cadre?)",
				    what, end_text);
	if (r == -ETIMEDOUT)
		return cadre_refuse(supervisor->diag, -ENOEXEC,
				    "%s did not name its operations within %lld ms (is it a "
				    "worker of Cadre?)",
				    what,
				    (long long)(supervisor->options.start_timeout_ns /
						CADRE_NS_PER_MS));
	return r;
}
