/*
 * program.c - a worker that is a program of its own: what the supervisor told it in its
 * environment, the segment that it was started for, how its start went.
 */
#include "control.h"
#include "diag.h"
#include "worker.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Exit status. */
#define NOT_STARTED_BY_SUPERVISOR 64

void cadre_worker_tell(int fd, enum cadre_control_kind kind, const char *text)
{
	struct cadre_control message = cadre_control_message(kind);

	snprintf(message.text, sizeof(message.text), "%s", text);
	/* Nobody reads it any more: then nobody wants to know. */
	(void)cadre_control_send(fd, &message);
}

/* The number in front of `end`, which it must have; NULL when there is none or it is too
 * large. Returns what follows. */
static const char *scan(const char *text, char end, uint64_t most, uint64_t *ret_number)
{
	char *behind;

	/* strtoull would take signs and blanks as well. */
	if (!isdigit((unsigned char)*text))
		return NULL;
	errno = 0;
	*ret_number = strtoull(text, &behind, 10);
	return errno == 0 && *ret_number <= most && *behind == end ? behind + 1 : NULL;
}

bool cadre_seat_parse(const char *text, char pool[CADRE_NAME_MAX + 1],
		      struct cadre_seat *ret_seat, bool *ret_probe)
{
	const size_t length = strcspn(text, ":");
	uint64_t worker = 0, incarnation, fd, created;

	if (length > CADRE_NAME_MAX || text[length] != ':')
		return false;
	memcpy(pool, text, length);
	pool[length] = '\0';
	text += length + 1;
	*ret_probe = text[0] == '-' && text[1] == ':';
	if (*ret_probe)
		text += 2;
	else
		text = scan(text, ':', CADRE_WORKERS_MAX - 1, &worker);
	if (text)
		text = scan(text, ':', UINT32_MAX, &incarnation);
	if (text)
		text = scan(text, ':', INT32_MAX, &fd);
	if (!text || !scan(text, '\0', INT64_MAX, &created) ||
	    cadre_name_check(pool, NULL) < 0)
		return false;
	*ret_seat = (struct cadre_seat){
		.pool = pool,
		.worker = (unsigned)worker,
		.incarnation = (uint32_t)incarnation,
		.start_fd = (int)fd,
		.created_ns = (int64_t)created,
	};
	return true;
}

/* What the supervisor that started this program told it. */
static bool read_environment(struct cadre_seat *seat, char pool[CADRE_NAME_MAX + 1],
			     bool *ret_probe)
{
	const char *const text = getenv("CADRE_WORKER");

	if (!text || !cadre_seat_parse(text, pool, seat, ret_probe))
		return false;
	unsetenv("CADRE_WORKER");
	return true;
}

void cadre_worker_describe(const struct cadre_service *service, int fd)
{
	struct cadre_diag diag;

	if (cadre_service_check(service, &diag) < 0) {
		cadre_worker_tell(fd, CADRE_CONTROL_FAILED, diag.text);
		return;
	}
	for (size_t i = 0; i < service->operation_count; i++) {
		struct cadre_control message = cadre_control_message(
			CADRE_CONTROL_OPERATION);

		message.place = (uint32_t)service->operations[i].id;
		snprintf(message.text, sizeof(message.text), "%s",
			 service->operations[i].name);
		(void)cadre_control_send(fd, &message);
	}
	cadre_worker_tell(fd, CADRE_CONTROL_STARTED, "");
}

/* The segment whose supervisor started us. One of the same name that a later supervisor made
 * may have our place and incarnation too. */
static int open_own_segment(const struct cadre_seat *seat, struct cadre_view *ret_view,
			    struct cadre_diag *diag)
{
	int r = cadre_layout_open(seat->pool, true, ret_view, diag);

	if (r < 0)
		return r;
	if (ret_view->header->created_ns != seat->created_ns)
		r = cadre_refuse(diag, -ECONNREFUSED,
				 "the pool that this worker was started for is gone");
	else if (seat->worker >= ret_view->limits.workers)
		r = cadre_refuse(diag, -EBADMSG, "worker %u: the pool has only %u places",
				 seat->worker, ret_view->limits.workers);
	if (r < 0)
		cadre_layout_close(ret_view);
	return r;
}

int cadre_worker_open(const struct cadre_service *service,
		      struct cadre_worker **ret_worker, struct cadre_diag *diag)
{
	struct cadre_diag own_diag = { "" };
	char pool[CADRE_NAME_MAX + 1];
	struct cadre_seat seat = { 0 };
	struct cadre_view view;
	bool probe;
	int r;

	if (!diag)
		diag = &own_diag;
	if (!read_environment(&seat, pool, &probe))
		return cadre_refuse(diag, -ENOENT,
				    "this program is a worker: \"cadre serve --name POOL -- "
				    "PROGRAM\" starts it");
	if (probe) {
		/* Only the table of operations is asked for. */
		cadre_worker_describe(service, seat.start_fd);
		exit(EXIT_SUCCESS);
	}
	r = open_own_segment(&seat, &view, diag);
	if (r < 0)
		cadre_worker_tell(seat.start_fd, CADRE_CONTROL_FAILED, diag->text);
	else
		r = cadre_worker_sit_down(service, &view, true, &seat, ret_worker, diag);
	close(seat.start_fd);
	return r;
}

int cadre_worker_main(const struct cadre_service *service)
{
	struct cadre_diag diag = { "" };
	struct cadre_worker *worker = NULL;
	const int r = cadre_worker_open(service, &worker, &diag);

	if (r == -ENOENT) {
		fprintf(stderr, "%s: %s\n", program_invocation_short_name, diag.text);
		return NOT_STARTED_BY_SUPERVISOR;
	}
	if (r < 0 || !worker)
		return CADRE_WORKER_START_FAILED;
	worker->may_migrate = true;
	cadre_worker_go_on(worker);
	cadre_worker_stand_up(worker);
	return EXIT_SUCCESS;
}
