/*
 * order.c - the orders of whoever may talk to the control socket: its owner, and its group
 * if the pool's mode says so. Each has an answer that tells what was done.
 */
#include "diag.h"
#include "supervisor.h"

#include <stdarg.h>
#include <stdio.h>

struct cadre_control cadre_order_no(int error, const char *format, ...)
{
	struct cadre_control answer = cadre_control_message(CADRE_CONTROL_ANSWER);
	va_list arguments;

	answer.error = error;
	va_start(arguments, format);
	vsnprintf(answer.text, sizeof(answer.text), format, arguments);
	va_end(arguments);
	return answer;
}

struct cadre_control cadre_order_yes(const char *format, ...)
{
	struct cadre_control answer = cadre_control_message(CADRE_CONTROL_ANSWER);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(answer.text, sizeof(answer.text), format, arguments);
	va_end(arguments);
	return answer;
}

static struct cadre_control stop(struct cadre_supervisor *supervisor)
{
	const unsigned long long left = supervisor->survey.queued +
					supervisor->survey.running;

	cadre_supervisor_stop(supervisor);
	return cadre_order_yes("stopping: %llu accepted jobs are left to run", left);
}

static struct cadre_control drain(struct cadre_supervisor *supervisor)
{
	if (!cadre_supervisor_drain(supervisor))
		return cadre_order_no(-ESHUTDOWN, "the pool is about to end");
	if (supervisor->phase == CADRE_STOPPED)
		return cadre_order_yes("stopped: it has no workers and waits for a start");
	return cadre_order_yes("draining: new jobs are refused, accepted ones are run");
}

static struct cadre_control start(struct cadre_supervisor *supervisor)
{
	const bool was_open = supervisor->phase == CADRE_SERVING;

	if (!cadre_supervisor_start(supervisor))
		return cadre_order_no(-ESHUTDOWN, "the pool is about to end");
	return was_open ? cadre_order_yes("it is open already") :
			  cadre_order_yes("open: jobs are accepted");
}

static struct cadre_control scale(struct cadre_supervisor *supervisor,
				  const struct cadre_control *order)
{
	const struct cadre_size size = { .min = order->place, .max = order->incarnation };
	struct cadre_diag diag;

	if (supervisor->phase > CADRE_STOPPED)
		return cadre_order_no(-ESHUTDOWN, "the pool is about to end");
	if (cadre_size_set(supervisor, size, &diag) < 0)
		return cadre_order_no(-EINVAL, "%s", diag.text);
	cadre_supervisor_say(supervisor, "scaled to %u..%u workers", size.min, size.max);
	return cadre_order_yes("scaled to %u..%u workers", size.min, size.max);
}

static struct cadre_control cancel(struct cadre_supervisor *supervisor)
{
	const uint32_t count = cadre_cancel_jobs(&supervisor->view);
	struct cadre_control answer = cadre_order_yes("cancelled %u job%s", count,
						      cadre_plural(count));

	answer.count = count;
	return answer;
}

static struct cadre_control set_log_level(struct cadre_supervisor *supervisor,
					  uint32_t level)
{
	if (level > CADRE_LOG_TRACE)
		return cadre_order_no(-EINVAL, "there is no log level %u", level);
	/* Relaxed: workers read it at each message. */
	atomic_store_explicit(&supervisor->view.header->log_level, (int32_t)level,
			      memory_order_relaxed);
	return cadre_order_yes("the log level is \"%s\"",
			       cadre_log_level_name((enum cadre_log_level)level));
}

static struct cadre_control stop_idle(struct cadre_supervisor *supervisor,
				      const struct cadre_control *order)
{
	int r = -ESRCH;

	if (supervisor->phase == CADRE_SERVING &&
	    order->place < supervisor->view.limits.workers)
		r = cadre_size_stop_idle(supervisor, order->place, order->incarnation);
	switch (r) {
	case 0:
		return cadre_order_yes("worker %u leaves", order->place);
	case -EBUSY:
		return cadre_order_no(r, "worker %u does not idle", order->place);
	case -ERANGE:
		return cadre_order_no(r, "the pool has no more than %u worker%s",
				      supervisor->size.min,
				      cadre_plural(supervisor->size.min));
	default:
		return cadre_order_no(r, "worker %u is not there any more", order->place);
	}
}

bool cadre_order_obey(struct cadre_supervisor *supervisor, unsigned connection,
		      const struct cadre_control *order, struct cadre_control *ret_answer)
{
	struct cadre_diag diag;
	int r;

	switch (order->kind) {
	case CADRE_CONTROL_STOP:
		*ret_answer = stop(supervisor);
		break;
	case CADRE_CONTROL_TERMINATE:
		cadre_supervisor_terminate(supervisor);
		*ret_answer = cadre_order_yes("terminated");
		break;
	case CADRE_CONTROL_DRAIN:
		*ret_answer = drain(supervisor);
		break;
	case CADRE_CONTROL_START:
		*ret_answer = start(supervisor);
		break;
	case CADRE_CONTROL_SCALE:
		*ret_answer = scale(supervisor, order);
		break;
	case CADRE_CONTROL_STOP_IDLE:
		*ret_answer = stop_idle(supervisor, order);
		break;
	case CADRE_CONTROL_LOG_LEVEL:
		*ret_answer = set_log_level(supervisor, order->place);
		break;
	case CADRE_CONTROL_CANCEL:
		*ret_answer = cancel(supervisor);
		break;
	case CADRE_CONTROL_RELOAD:
		r = cadre_reload_begin(supervisor, connection, &diag);
		if (r == 0)
			return false;
		*ret_answer = cadre_order_no(r, "not reloaded: %s", diag.text);
		break;
	default:
		*ret_answer = cadre_order_no(-EBADMSG, "message of unknown kind %u",
					     order->kind);
		break;
	}
	return true;
}
