#include "trouble.h"

#include <stdarg.h>
#include <stdio.h>

#define SHOWN_MAX 20

static char where[160];
static char first[400];
static unsigned count;
static bool expected;

void trouble_where(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(where, sizeof(where), format, arguments);
	va_end(arguments);
}

void complain(const char *format, ...)
{
	char sentence[200];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	if (count++ == 0)
		snprintf(first, sizeof(first), "%s: %s", where, sentence);
	if (!expected && count <= SHOWN_MAX)
		printf("  VIOLATION: %s: %s\n", where, sentence);
}

unsigned trouble_count(void)
{
	return count;
}

void trouble_expect(bool is_expected)
{
	expected = is_expected;
	count = 0;
	first[0] = '\0';
}

const char *trouble_first(void)
{
	return first;
}
