/*
 * direct.c - telling a pool what to do: orders over its control socket, and the answers.
 *
 * Also which idle workers may leave: a report shows who idles, the caller's predicate
 * chooses, and the supervisor decides about each whether that still holds.
 */
#include <cadre/order.h>

#include "clock.h"
#include "control.h"
#include "diag.h"
#include "platform.h"
#include "segment.h"

#include <stdio.h>
#include <string.h>

#define ASK_NS (5 * CADRE_NS_PER_S)

static const enum cadre_control_kind kinds[] = {
	[CADRE_ORDER_DRAIN] = CADRE_CONTROL_DRAIN,
	[CADRE_ORDER_START] = CADRE_CONTROL_START,
	[CADRE_ORDER_STOP] = CADRE_CONTROL_STOP,
	[CADRE_ORDER_TERMINATE] = CADRE_CONTROL_TERMINATE,
	[CADRE_ORDER_SCALE] = CADRE_CONTROL_SCALE,
	[CADRE_ORDER_RELOAD] = CADRE_CONTROL_RELOAD,
	[CADRE_ORDER_CANCEL] = CADRE_CONTROL_CANCEL,
	[CADRE_ORDER_LOG_LEVEL] = CADRE_CONTROL_LOG_LEVEL,
};

static int refuse(struct cadre_diag *diag, const char *pool, int error)
{
	switch (error) {
	case -ECONNREFUSED:
		return cadre_refuse(diag, error,
				    "pool \"%s\" has no supervisor, or it ended before it "
				    "answered",
				    pool);
	case -ETIMEDOUT:
		return cadre_refuse(diag, error,
				    "the supervisor of pool \"%s\" has not answered in time; "
				    "what was begun goes on",
				    pool);
	case -EACCES:
		return cadre_refuse(diag, error,
				    "pool \"%s\" takes no orders from this user: its socket "
				    "cannot be written to",
				    pool);
	case -EBADMSG:
		return cadre_refuse(diag, error,
				    "the supervisor of pool \"%s\" speaks another version",
				    pool);
	default:
		return cadre_refuse(diag, error, "cannot ask pool \"%s\": %s", pool,
				    strerror(-error));
	}
}

/* 0 with the answer's sentence, or negative errno with a reason. */
static int ask(const char *pool, const struct cadre_control *question, int64_t until_ns,
	       struct cadre_diag *ret_said)
{
	struct cadre_control answer;
	const int r = cadre_control_ask(pool, question, until_ns, &answer);

	if (r < 0)
		return refuse(ret_said, pool, r);
	if (ret_said)
		snprintf(ret_said->text, sizeof(ret_said->text), "%s", answer.text);
	return answer.error < 0 ? answer.error : 0;
}

int cadre_order(const char *pool, const struct cadre_order *order, int64_t until_ns,
		struct cadre_diag *ret_said)
{
	struct cadre_control question;
	const int r = cadre_name_check(pool, ret_said);

	if (r < 0)
		return r;
	if (order->kind < CADRE_ORDER_DRAIN ||
	    (size_t)order->kind >= CADRE_COUNT_OF(kinds))
		return cadre_refuse(ret_said, -EINVAL, "there is no order %d",
				    (int)order->kind);
	question = cadre_control_message(kinds[order->kind]);
	question.place = order->workers_min;
	question.incarnation = order->workers_max;
	if (order->kind == CADRE_ORDER_LOG_LEVEL)
		question.place = (uint32_t)order->log_level;
	return ask(pool, &question, until_ns, ret_said);
}

int cadre_log_set_level(const char *pool, enum cadre_log_level level,
			struct cadre_diag *diag)
{
	const struct cadre_order order = { .kind = CADRE_ORDER_LOG_LEVEL,
					   .log_level = level };
	struct cadre_diag said;
	const int r = cadre_order(pool, &order, cadre_clock_in_ns(ASK_NS), &said);

	if (r < 0 && diag)
		*diag = said;
	return r;
}

static int stop_one(const char *pool, const struct cadre_worker_snapshot *worker,
		    struct cadre_diag *diag)
{
	struct cadre_control question = cadre_control_message(CADRE_CONTROL_STOP_IDLE);

	question.place = worker->place;
	question.incarnation = worker->incarnation;
	return ask(pool, &question, cadre_clock_in_ns(ASK_NS), diag);
}

int cadre_stop_idle(const char *pool, cadre_idle_fn *predicate, void *context,
		    struct cadre_diag *diag)
{
	struct cadre_report *report;
	int r = cadre_report_open(pool, &report, diag);
	const struct cadre_pool_snapshot *snapshot;
	int stopped = 0;

	if (r < 0)
		return r;
	snapshot = cadre_report_read(report);
	for (uint32_t i = 0; i < snapshot->worker_count; i++) {
		const struct cadre_worker_snapshot *const worker =
			cadre_report_worker(report, i);

		if (worker->letter != '_' || !predicate(worker, context))
			continue;
		r = stop_one(pool, worker, diag);
		if (r == 0)
			stopped++;
		/* It got busy, left by itself, or is one of the last: these are no errors. */
		else if (r == -EBUSY || r == -ESRCH || r == -ERANGE)
			r = 0;
		else
			break;
	}
	cadre_report_close(report);
	return stopped > 0 || r == 0 ? stopped : r;
}
