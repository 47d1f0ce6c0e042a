/*
 * reload.c - a new version of the service, worker by worker, without losing a job.
 *
 *   step        what is awaited                     and then
 *   ----------  ----------------------------------  -----------------------------------------
 *   PROBING     a child that loads the new version  its table is compared            TRYING
 *               and names its operations
 *   TRYING      the first worker of it starts, in   the version counts from now on   REPLACING
 *               the spare place
 *   REPLACING   relief.c replaces the others; the   new operations are named, those  NONE
 *               last old one has left               that are gone are not any more
 *
 * Until TRYING has succeeded nothing has changed: a version that cannot be loaded, whose
 * table contradicts the one that is served, or whose first worker does not start, is left
 * alone. This process never loads a service itself, so each fork finds what stands in the
 * file at that moment.
 *
 * The table: clients may hold on to ids for as long as they like, so an id keeps its name,
 * and a name its id; what contradicts that is refused. An operation that is new gets its
 * name when every worker knows it; one that is gone is unknown to the new workers at once.
 * Lines of the table in the segment are never used for another name.
 *
 * A successor that finds workers of several versions begins anew: that ends in one version,
 * whatever its predecessor was about to do.
 */
#include "clock.h"
#include "diag.h"
#include "supervisor.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRIES_MAX 3 /* newcomers in a row that do not start, and whoever asked is told */

static uint32_t version_now(const struct cadre_supervisor *supervisor)
{
	return atomic_load_explicit(&supervisor->view.header->version,
				    memory_order_relaxed);
}

void cadre_reload_init(struct cadre_supervisor *supervisor)
{
	supervisor->reload = (struct cadre_reload){
		.probe = { .pidfd = -1, .start_fd = -1 },
		.asker = CADRE_NOBODY,
	};
}

/* The child has told all that it will tell. */
static void end_probe(struct cadre_supervisor *supervisor, siginfo_t *ret_end)
{
	struct cadre_child *const probe = &supervisor->reload.probe;

	memset(ret_end, 0, sizeof(*ret_end));
	if (probe->start_fd >= 0)
		close(probe->start_fd);
	if (probe->pidfd >= 0) {
		if (waitid(P_PIDFD, (id_t)probe->pidfd, ret_end, WEXITED | WNOHANG) < 0 ||
		    ret_end->si_pid == 0) {
			/* Its end is at hand: it runs nothing of the service's any more, or hangs. */
			cadre_process_kill(probe->pidfd, SIGKILL);
			waitid(P_PIDFD, (id_t)probe->pidfd, ret_end, WEXITED);
		}
		close(probe->pidfd);
	}
	probe->start_fd = -1;
	probe->pidfd = -1;
}

void cadre_reload_fini(struct cadre_supervisor *supervisor)
{
	siginfo_t end;

	end_probe(supervisor, &end);
	free(supervisor->reload.operations);
	supervisor->reload.operations = NULL;
}

static void answer(struct cadre_supervisor *supervisor, const struct cadre_control *text)
{
	struct cadre_reload *const reload = &supervisor->reload;

	cadre_supervisor_say(supervisor, "%s", text->text);
	if (reload->asker != CADRE_NOBODY)
		cadre_lease_answer(supervisor, reload->asker, text);
	reload->asker = CADRE_NOBODY;
}

static void finish(struct cadre_supervisor *supervisor, const struct cadre_control *text)
{
	answer(supervisor, text);
	cadre_reload_fini(supervisor);
	supervisor->reload.step = CADRE_RELOAD_NONE;
}

/* The new version is left alone. */
CADRE_PRINTF(2, 3)
static void undo(struct cadre_supervisor *supervisor, const char *format, ...)
{
	struct cadre_control no;
	char why[400];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	no = cadre_order_no(-ENOEXEC, "not reloaded, version %u goes on: %s",
			    version_now(supervisor), why);
	cadre_count_add(&supervisor->view.header->counters.reloads_undone, 1);
	finish(supervisor, &no);
}

void cadre_reload_cancel(struct cadre_supervisor *supervisor, const char *why)
{
	struct cadre_control no;

	if (supervisor->reload.step == CADRE_RELOAD_NONE)
		return;
	no = cadre_order_no(-ESHUTDOWN, "the reload was given up: %s", why);
	finish(supervisor, &no);
}

/* ---- the table ---- */

static bool is_named(const struct cadre_operation_line *lines, uint32_t count, int32_t id)
{
	for (uint32_t i = 0; i < count; i++) {
		if (lines[i].id == id)
			return true;
	}
	return false;
}

static uint32_t table_length(const struct cadre_header *header)
{
	const uint32_t count = atomic_load(&header->operation_count);

	return count < CADRE_OPERATIONS_MAX ? count : CADRE_OPERATIONS_MAX;
}

/* The line of the segment's table with that name: its index, or the table's length. */
static uint32_t find_name(const struct cadre_header *header, const char *name)
{
	const uint32_t count = table_length(header);
	uint32_t i = 0;

	while (i < count && strncmp(header->operations[i].name, name,
				    sizeof(header->operations[i].name)) != 0)
		i++;
	return i;
}

/* True when the new table can follow the old one; else it is undone with a sentence. */
static bool check_table(struct cadre_supervisor *supervisor)
{
	const struct cadre_header *const header = supervisor->view.header;
	const struct cadre_reload *const reload = &supervisor->reload;
	const uint32_t count = table_length(header);
	uint32_t fresh = 0;

	for (uint32_t i = 0; i < reload->operation_count; i++) {
		const struct cadre_operation_line *const line = &reload->operations[i];

		fresh += find_name(header, line->name) == count;
		for (uint32_t j = 0; j < count; j++) {
			const struct cadre_operation_line *const old =
				&header->operations[j];
			const bool same_name = strncmp(old->name, line->name,
						       sizeof(old->name)) == 0;

			if (old->id != 0 && (old->id == line->id) != same_name) {
				undo(supervisor,
				     "operation %d \"%.47s\" was %d \"%.47s\" until now, and "
				     "an id keeps its name",
				     (int)line->id, line->name, (int)old->id, old->name);
				return false;
			}
		}
	}
	if (count + fresh > CADRE_OPERATIONS_MAX) {
		undo(supervisor,
		     "over all versions there would be %u names of operations, more than %d",
		     count + fresh, CADRE_OPERATIONS_MAX);
		return false;
	}
	return true;
}

/* Each step can be repeated. A line is whole before the count says that it is there, and
 * its name never changes: who reads it meanwhile sees the id or 0. */
static void write_table(struct cadre_supervisor *supervisor)
{
	struct cadre_header *const header = supervisor->view.header;
	const struct cadre_reload *const reload = &supervisor->reload;

	for (uint32_t i = 0; i < reload->operation_count; i++) {
		const uint32_t count = table_length(header);
		const uint32_t at = find_name(header, reload->operations[i].name);

		if (at >= CADRE_OPERATIONS_MAX)
			continue;
		if (at == count)
			memcpy(header->operations[at].name, reload->operations[i].name,
			       sizeof(header->operations[at].name));
		/* H3: release, pairs with H4: who sees the id sees the name. */
		__atomic_store_n(&header->operations[at].id, reload->operations[i].id,
				 __ATOMIC_RELEASE);
		if (at == count)
			atomic_store(&header->operation_count, count + 1);
	}
	for (uint32_t i = 0; i < table_length(header); i++) {
		if (!is_named(reload->operations, reload->operation_count,
			      header->operations[i].id))
			/* Relaxed: the name stays. */
			__atomic_store_n(&header->operations[i].id, 0, __ATOMIC_RELAXED);
	}
}

/* ---- the steps ---- */

int cadre_reload_begin(struct cadre_supervisor *supervisor, unsigned asker,
		       struct cadre_diag *diag)
{
	struct cadre_reload *const reload = &supervisor->reload;
	struct cadre_operation_line *operations;
	int r;

	if (supervisor->phase != CADRE_SERVING)
		return cadre_refuse(diag, -ESHUTDOWN, "the pool is not open");
	if (reload->step != CADRE_RELOAD_NONE)
		return cadre_refuse(diag, -EBUSY, "a reload is under way");
	operations = calloc(CADRE_OPERATIONS_MAX, sizeof(*operations));
	if (!operations)
		return cadre_refuse(diag, -ENOMEM, "out of memory");
	cadre_reload_init(supervisor);
	r = cadre_spawn_probe(supervisor->source, supervisor->pool, &reload->probe);
	if (r < 0) {
		free(operations);
		return cadre_refuse(diag, r, "cannot fork: %s", strerror(-r));
	}
	reload->operations = operations;
	reload->step = CADRE_RELOAD_PROBING;
	reload->until_ns = cadre_clock_in_ns(supervisor->options.start_timeout_ns);
	reload->asker = asker;
	cadre_supervisor_watch(supervisor, reload->probe.start_fd, CADRE_HEARD_PROBE, 0);
	cadre_supervisor_say(supervisor, "reloading the service");
	return 0;
}

static void try_version(struct cadre_supervisor *supervisor)
{
	struct cadre_reload *const reload = &supervisor->reload;

	/* Not one that a predecessor tried: its worker may still be there. */
	reload->version = version_now(supervisor) + 1;
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		const struct cadre_member *const member = &supervisor->members[worker];

		if (member->post != CADRE_POST_EMPTY && member->version >= reload->version)
			reload->version = member->version + 1;
	}
	reload->step = CADRE_RELOAD_TRYING;
	cadre_reload_step(supervisor, cadre_clock_ns());
}

static void note_operation(struct cadre_reload *reload,
			   const struct cadre_control *message)
{
	struct cadre_operation_line *const line =
		&reload->operations[reload->operation_count];

	if (reload->operation_count >= CADRE_OPERATIONS_MAX)
		return;
	line->id = (int32_t)message->place;
	snprintf(line->name, sizeof(line->name), "%.47s", message->text);
	reload->operation_count++;
}

void cadre_reload_probe_spoke(struct cadre_supervisor *supervisor)
{
	struct cadre_reload *const reload = &supervisor->reload;
	struct cadre_control message;
	siginfo_t end;
	char how[64];
	int r;

	if (reload->step != CADRE_RELOAD_PROBING || reload->probe.start_fd < 0)
		return;
	while ((r = cadre_control_receive(reload->probe.start_fd, &message, NULL)) == 1 &&
	       message.kind == CADRE_CONTROL_OPERATION)
		note_operation(reload, &message);
	if (r == -EAGAIN)
		return;
	end_probe(supervisor, &end);
	cadre_spawn_say_end(&end, how, sizeof(how));
	if (r == 1 && message.kind == CADRE_CONTROL_FAILED)
		undo(supervisor, "%.300s", message.text);
	else if (r != 1)
		undo(supervisor, "it %s before it named its operations", how);
	else if (check_table(supervisor))
		try_version(supervisor);
}

/* Of the workers that do not run the new version: one that is up. */
static unsigned find_old(const struct cadre_supervisor *supervisor)
{
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		const struct cadre_member *const member = &supervisor->members[worker];

		if (member->post == CADRE_POST_UP &&
		    member->version != supervisor->reload.version)
			return worker;
	}
	return CADRE_NOBODY;
}

/* Those that wait or asked not to be started again may fare better with the new version. */
static void give_another_chance(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		struct cadre_member *const member = &supervisor->members[worker];

		member->failures = 0;
		if (member->post == CADRE_POST_WAITING)
			member->retry_ns = now_ns;
		else if (member->post == CADRE_POST_DISABLED)
			cadre_staff_vacate(supervisor, worker);
	}
}

void cadre_reload_tried(struct cadre_supervisor *supervisor, bool started, const char *why)
{
	struct cadre_reload *const reload = &supervisor->reload;
	const int64_t now_ns = cadre_clock_ns();
	struct cadre_control no;
	unsigned old;

	if (reload->step == CADRE_RELOAD_TRYING && !started) {
		undo(supervisor, "%.300s", why);
	} else if (reload->step == CADRE_RELOAD_TRYING) {
		atomic_store(&supervisor->view.header->version, reload->version);
		CADRE_KILL_POINT("U2");
		reload->step = CADRE_RELOAD_REPLACING;
		supervisor->relief.retry_ns = 0;
		give_another_chance(supervisor, now_ns);
		/* The newcomer is there already: one of the others may leave for it. */
		old = find_old(supervisor);
		if (old != CADRE_NOBODY)
			cadre_relief_dismiss(supervisor, old, CADRE_RELIEF_RELOAD);
	} else if (reload->step == CADRE_RELOAD_REPLACING && !started &&
		   supervisor->relief.failures == TRIES_MAX) {
		no = cadre_order_no(-ENOEXEC,
				    "version %u has replaced some of the workers; the others "
				    "go on as they are and are tried again: %.300s",
				    reload->version, why);
		answer(supervisor, &no);
	}
}

static bool is_replaced(const struct cadre_supervisor *supervisor)
{
	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		const struct cadre_member *const member = &supervisor->members[worker];

		if (member->child.pidfd >= 0 &&
		    member->version != supervisor->reload.version)
			return false;
	}
	return true;
}

void cadre_reload_step(struct cadre_supervisor *supervisor, int64_t now_ns)
{
	struct cadre_reload *const reload = &supervisor->reload;
	struct cadre_control yes;
	siginfo_t end;
	unsigned up;
	int r;

	switch (reload->step) {
	case CADRE_RELOAD_NONE:
		break;
	case CADRE_RELOAD_PROBING:
		if (now_ns < reload->until_ns)
			break;
		end_probe(supervisor, &end);
		undo(supervisor, "it did not name its operations within %lld ms",
		     (long long)(supervisor->options.start_timeout_ns / CADRE_NS_PER_MS));
		break;
	case CADRE_RELOAD_TRYING:
		if (supervisor->relief.newcomer != CADRE_NOBODY)
			break;
		r = cadre_relief_try(supervisor, reload->version, now_ns);
		/* No place: wait for one of those that are leaving. */
		if (r == -ENOSPC && cadre_staff_count(supervisor, CADRE_POST_LEAVING) == 0)
			undo(supervisor, "there is no place for a worker to try it with");
		break;
	case CADRE_RELOAD_REPLACING:
		if (!is_replaced(supervisor)) {
			cadre_relief_tick(supervisor, now_ns);
			break;
		}
		write_table(supervisor);
		cadre_count_add(&supervisor->view.header->counters.reloads, 1);
		up = cadre_staff_count(supervisor, CADRE_POST_UP);
		yes = cadre_order_yes("reloaded: version %u is served by %u worker%s",
				      reload->version, up, cadre_plural(up));
		finish(supervisor, &yes);
		break;
	}
}

void cadre_reload_adopt(struct cadre_supervisor *supervisor)
{
	const uint32_t version = version_now(supervisor);

	for (unsigned worker = 0; worker < supervisor->view.limits.workers; worker++) {
		const struct cadre_member *const member = &supervisor->members[worker];

		if (member->post != CADRE_POST_UP || member->version == version)
			continue;
		cadre_supervisor_say(supervisor,
				     "a reload was interrupted: it is done anew");
		(void)cadre_reload_begin(supervisor, CADRE_NOBODY, NULL);
		return;
	}
}
