#include "call_stream.h"

#include "commands.h"
#include "outcome.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct printer {
	struct cadre_client *client;
	struct cadre_ticket ticket;
	enum cadre_item_format format;
	bool stop;
	unsigned long long items;
	unsigned long long errors;
	int broken; /* errno of standard output; 0: it takes what is written */
};

bool cadre_parse_item_format(const char *text, enum cadre_item_format *ret_format)
{
	static const char *const names[] = { "lines", "raw", "netstrings" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret_format = (enum cadre_item_format)i;
			return true;
		}
	}
	return false;
}

static void flush(struct printer *printer)
{
	if (!printer->broken && fflush(stdout) == EOF)
		printer->broken = errno;
}

static void print(struct printer *printer, const void *data, size_t length)
{
	if (printer->format == CADRE_ITEMS_NETSTRINGS)
		printf("%zu:", length);
	fwrite(data, 1, length, stdout);
	if (printer->format == CADRE_ITEMS_NETSTRINGS)
		putchar(',');
	else if (printer->format == CADRE_ITEMS_LINES)
		putchar('\n');
	if (ferror(stdout))
		printer->broken = errno;
}

static void print_item(struct printer *printer, const struct cadre_item *item)
{
	printer->items++;
	if (!item->is_error) {
		print(printer, item->data, item->length);
		return;
	}
	printer->errors++;
	/* In the order in which they came, where both are a terminal. */
	flush(printer);
	fprintf(stderr, "cadre call: item %llu failed: %.*s (code %d)\n", printer->items,
		(int)item->length, (const char *)item->data, (int)item->code);
}

/* What is there is written before we wait: who reads along sees each item when it comes. */
static int next(struct printer *printer, struct cadre_item *item)
{
	int r = cadre_stream_try_next(printer->client, printer->ticket, item);

	if (r != -EAGAIN)
		return r;
	flush(printer);
	if (printer->broken)
		return r;
	return cadre_stream_next(printer->client, printer->ticket, CADRE_FOREVER, item);
}

/* Standard output takes no more, or the first error was one too many. */
static int leave(struct printer *printer)
{
	cadre_stream_leave(printer->client, printer->ticket);
	flush(printer);
	if (printer->broken && printer->broken != EPIPE) {
		fprintf(stderr, "cadre call: cannot write the items: %s\n",
			strerror(printer->broken));
		return CADRE_EXIT_FAILED;
	}
	return printer->errors ? CADRE_EXIT_FAILED : CADRE_EXIT_OK;
}

static int end(struct printer *printer)
{
	struct cadre_result result;
	int status = printer->errors ? CADRE_EXIT_FAILED : CADRE_EXIT_OK;
	const int r = cadre_await(printer->client, printer->ticket, CADRE_FOREVER,
				  &result);

	if (r < 0) {
		fprintf(stderr, "cadre call: the stream has no outcome: %s\n",
			strerror(-r));
		return CADRE_EXIT_FAILED;
	}
	if (result.outcome == CADRE_OK && result.length > 0)
		print(printer, result.data, result.length);
	flush(printer);
	if (result.outcome != CADRE_OK) {
		cadre_print_outcome("cadre call", "job", &result);
		status = CADRE_EXIT_FAILED;
	}
	cadre_release(printer->client, &result);
	if (printer->broken && printer->broken != EPIPE) {
		fprintf(stderr, "cadre call: cannot write the items: %s\n",
			strerror(printer->broken));
		status = CADRE_EXIT_FAILED;
	}
	return status;
}

int cadre_print_stream(struct cadre_client *client, struct cadre_ticket ticket,
		       enum cadre_item_format format, bool stop)
{
	struct printer printer = {
		.client = client, .ticket = ticket, .format = format, .stop = stop
	};
	struct cadre_item item;

	/* A reader that leaves is an error of the write, not our death. */
	signal(SIGPIPE, SIG_IGN);
	while (next(&printer, &item) == 1) {
		print_item(&printer, &item);
		if (printer.broken || (printer.errors && stop))
			return leave(&printer);
	}
	if (printer.broken)
		return leave(&printer);
	return end(&printer);
}
