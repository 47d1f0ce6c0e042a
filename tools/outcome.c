#include "outcome.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct details {
	char text[160];
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct details *details,
						      const char *format, ...)
{
	const size_t room = sizeof(details->text) - details->length;
	va_list arguments;
	int written;

	if (details->length > 0 && room > 2) {
		memcpy(details->text + details->length, ", ", 3);
		details->length += 2;
	}
	va_start(arguments, format);
	written = vsnprintf(details->text + details->length,
			    sizeof(details->text) - details->length, format, arguments);
	va_end(arguments);
	if (written > 0)
		details->length = strnlen(details->text, sizeof(details->text) - 1);
}

static void add_details(struct details *details, const struct cadre_result *result)
{
	if (result->code != 0)
		add(details, "code %d", result->code);
	if (result->worker >= 0)
		add(details, "worker %d", result->worker);
	if (result->worker_pid > 0)
		add(details, "pid %d", result->worker_pid);
	if (result->attempt > 0)
		add(details, "attempt %u", result->attempt + 1);
}

/* The sentence may be a handler's: whatever it holds, it stays one line of text. */
static void print_sentence(const char *sentence)
{
	for (; *sentence != '\0'; sentence++)
		fputc((unsigned char)*sentence < ' ' || *sentence == 127 ? '?' : *sentence,
		      stderr);
}

void cadre_print_outcome(const char *command, const char *job,
			 const struct cadre_result *result)
{
	struct details details = { .text = "" };

	/* The library's sentence about a lost job names all of it. */
	if (result->outcome != CADRE_LOST)
		add_details(&details, result);

	fprintf(stderr, "%s: %s %s", command, job, cadre_outcome_name(result->outcome));
	if (result->sentence[0] != '\0') {
		fputs(": ", stderr);
		print_sentence(result->sentence);
	}
	if (details.length > 0)
		fprintf(stderr, " (%s)", details.text);
	fputc('\n', stderr);
}
