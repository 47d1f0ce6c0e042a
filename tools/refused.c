#include "refused.h"
#include "commands.h"

#include <cadre/client.h>
#include <cadre/report.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Opens and reads a report; an exit status when that fails. */
static int open_report(const char *command, const char *pool,
		       struct cadre_report **ret_report)
{
	struct cadre_diag diag = { "" };
	const int r = cadre_report_open(pool, ret_report, &diag);

	if (r == 0) {
		cadre_report_read(*ret_report);
		return CADRE_EXIT_OK;
	}
	fprintf(stderr, "%s: %s\n", command, diag.text);
	return cadre_open_status(r);
}

static int flush(const char *command)
{
	if (fflush(stdout) != EOF && !ferror(stdout))
		return CADRE_EXIT_OK;
	fprintf(stderr, "%s: cannot write: %s\n", command, strerror(errno));
	return CADRE_EXIT_FAILED;
}

static void print_time(int64_t unix_ns)
{
	const time_t seconds = (time_t)(unix_ns / 1000000000);
	struct tm utc;
	char text[40];

	if (gmtime_r(&seconds, &utc) && strftime(text, sizeof(text), "%FT%TZ", &utc) > 0)
		printf("%s", text);
	else
		printf("?");
}

static void print_operation(const struct cadre_report *report, int32_t id)
{
	const char *const name = cadre_report_operation(report, id);

	if (name)
		printf("%s", name);
	else
		printf("operation %d", (int)id);
}

static void print_end(const struct cadre_refused_info *refused)
{
	if (refused->code > 0)
		printf("signal %d (SIG%s)", (int)refused->code,
		       sigabbrev_np(refused->code) ? sigabbrev_np(refused->code) : "?");
	else if (refused->code != CADRE_STATUS_UNKNOWN)
		printf("exit status %d", -(int)refused->code);
	else
		printf("unknown");
}

static void print_line(const struct cadre_report *report,
		       const struct cadre_refused_info *refused)
{
	printf("%" PRIu64 ": ", refused->id);
	print_time(refused->unix_ns);
	printf(" job %" PRIu64 " (", refused->job);
	print_operation(report, refused->operation);
	printf(") of window %d, client pid %d; tried %u times, last in worker %d (pid %d): ",
	       (int)refused->window, (int)refused->client_pid, refused->attempts,
	       (int)refused->worker, (int)refused->worker_pid);
	print_end(refused);
	printf("; %" PRIu64 " bytes", refused->length);
	if (refused->kept_length < refused->length)
		printf(", the first %" PRIu64 " kept", refused->kept_length);
	printf("\n");
}

int cadre_list_refused(const char *command, const char *pool)
{
	const struct cadre_refused_info *refused;
	struct cadre_report *report;
	const int status = open_report(command, pool, &report);

	if (status != CADRE_EXIT_OK)
		return status;
	for (uint32_t i = 0; (refused = cadre_report_refused(report, i)); i++)
		print_line(report, refused);
	cadre_report_close(report);
	return flush(command);
}

static const struct cadre_refused_info *find(const struct cadre_report *report,
					     uint64_t id)
{
	const struct cadre_refused_info *refused;

	for (uint32_t i = 0; (refused = cadre_report_refused(report, i)); i++) {
		if (refused->id == id)
			return refused;
	}
	return NULL;
}

static int write_request(const char *command, const struct cadre_report *report,
			 const struct cadre_refused_info *refused)
{
	unsigned char *const bytes = malloc(refused->kept_length + 1);
	const int64_t length = bytes ? cadre_report_refused_request(report, refused->id,
								    bytes,
								    refused->kept_length) :
				       -ENOMEM;

	if (length < 0)
		fprintf(stderr, "%s: cannot read request %" PRIu64 ": %s\n", command,
			refused->id, strerror((int)-length));
	else
		fwrite(bytes, 1, (size_t)length, stdout);
	free(bytes);
	if (length < 0)
		return CADRE_EXIT_FAILED;
	if (refused->kept_length < refused->length)
		fprintf(stderr,
			"%s: request %" PRIu64 " had %" PRIu64
			" bytes, of which the first %" PRIu64 " were kept\n",
			command, refused->id, refused->length, refused->kept_length);
	return flush(command);
}

int cadre_write_refused(const char *command, const char *pool, uint64_t id)
{
	const struct cadre_refused_info *refused;
	struct cadre_report *report;
	int status = open_report(command, pool, &report);

	if (status != CADRE_EXIT_OK)
		return status;
	refused = find(report, id);
	if (refused) {
		status = write_request(command, report, refused);
	} else {
		fprintf(stderr,
			"%s: pool \"%s\" keeps no refused request %" PRIu64
			" (--refused alone lists them)\n",
			command, pool, id);
		status = CADRE_EXIT_FAILED;
	}
	cadre_report_close(report);
	return status;
}
