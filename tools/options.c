#include "options.h"
#include "commands.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cadre/pool.h>
#include <cadre/service.h>

/* strtoull would take "-1", " 1" and "0x1". Returns where the digits end, NULL if there
 * are none or too many. */
static const char *scan_digits(const char *text, uint64_t *ret_number)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return NULL;
	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	return errno == 0 ? end : NULL;
}

bool cadre_parse_number(const char *text, uint64_t least, uint64_t most,
			uint64_t *ret_number)
{
	uint64_t number = 0;
	const char *const end = scan_digits(text, &number);

	if (!end || *end != '\0' || number < least || number > most)
		return false;
	*ret_number = number;
	return true;
}

bool cadre_parse_size(const char *text, size_t *ret_size)
{
	static const char units[] = "kMG";
	uint64_t number = 0;
	unsigned shift = 0;
	const char *end = scan_digits(text, &number);

	if (!end)
		return false;
	if (*end != '\0') {
		const char *const unit = strchr(units, *end == 'K' ? 'k' : *end);

		if (!unit || end[1] != '\0')
			return false;
		shift = 10 * (unsigned)(unit - units + 1);
	}
	if (number > SIZE_MAX >> shift)
		return false;
	*ret_size = (size_t)number << shift;
	return true;
}

bool cadre_parse_duration(const char *text, int64_t *ret_ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = { { "ns", 1 },  { "us", 1e3 }, { "ms", 1e6 },
		      { "s", 1e9 }, { "m", 60e9 }, { "h", 3600e9 } };
	const double century_ns = 100 * 365.25 * 86400e9;
	char *end;
	double number;

	/* The first character decides: strtod knows "inf", "nan" and signs as well. */
	if (!isdigit((unsigned char)text[0]) || text[1] == 'x' || text[1] == 'X')
		return false;
	number = strtod(text, &end);
	if (*end == '\0' && number == 0) {
		*ret_ns = 0;
		return true;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		number *= units[i].ns;
		if (number > century_ns)
			return false;
		*ret_ns = number > 0 && number < 1 ? 1 : (int64_t)number;
		return true;
	}
	return false;
}

uint32_t cadre_option_number(const struct argp_state *state, const char *option,
			     const char *text, uint32_t least, uint32_t most)
{
	uint64_t number = 0;

	if (!cadre_parse_number(text, least, most, &number))
		cadre_refuse_usage(state, "%s %s: must be a number from %u to %u", option,
				   text, least, most);
	return (uint32_t)number;
}

size_t cadre_option_size(const struct argp_state *state, const char *option,
			 const char *text)
{
	size_t size = 0;

	if (!cadre_parse_size(text, &size) || size == 0)
		cadre_refuse_usage(state,
				   "%s %s: must be a size such as 4096, 64k, 1M or 2G",
				   option, text);
	return size;
}

int64_t cadre_option_duration(const struct argp_state *state, const char *option,
			      const char *text)
{
	int64_t ns = 0;

	if (!cadre_parse_duration(text, &ns) || ns == 0)
		cadre_refuse_usage(state,
				   "%s %s: must be a duration such as 250ms, 30s or 5m",
				   option, text);
	return ns;
}

void cadre_refuse_usage(const struct argp_state *state, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", state->name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(CADRE_EXIT_USAGE);
}

void cadre_option_workers(const struct argp_state *state, const char *option,
			  const char *text, uint32_t *ret_min, uint32_t *ret_max)
{
	char low[16];
	const char *const dots = strstr(text, "..");
	const size_t length = dots ? (size_t)(dots - text) : strlen(text);
	uint64_t least = 0, most = 0;

	snprintf(low, sizeof(low), "%.*s", (int)length, text);
	if (length >= sizeof(low) ||
	    !cadre_parse_number(low, 0, CADRE_WORKERS_MAX, &least) ||
	    !cadre_parse_number(dots ? dots + 2 : low, 1, CADRE_WORKERS_MAX, &most))
		cadre_refuse_usage(state,
				   "%s %s: must be MIN..MAX or one number, from 1 to %d "
				   "(MIN may be 0)",
				   option, text, CADRE_WORKERS_MAX);
	if (least > most)
		cadre_refuse_usage(state, "%s %s: the first number is the smaller one",
				   option, text);
	*ret_min = (uint32_t)least;
	*ret_max = (uint32_t)most;
}

void cadre_take_pool(const struct argp_state *state, const char **pool, const char *text)
{
	if (*pool)
		cadre_refuse_usage(state, "\"%s\" is one argument too many", text);
	*pool = text;
}

int cadre_attach_to(const char *command, const char *pool,
		    struct cadre_client **ret_client)
{
	struct cadre_diag diag = { .text = "" };
	const int r = cadre_client_attach(pool, NULL, ret_client, &diag);

	if (r == 0)
		return CADRE_EXIT_OK;
	fprintf(stderr, "%s: %s\n", command, diag.text);
	return cadre_open_status(r);
}

int32_t cadre_find_operation(const char *command, const char *pool,
			     const struct cadre_client *client, const char *operation)
{
	uint64_t number = 0;
	int32_t id;

	if (cadre_parse_number(operation, 1, CADRE_OPERATION_ID_MAX, &number))
		return (int32_t)number;

	id = cadre_client_operation(client, operation);
	if (id < 0)
		fprintf(stderr, "%s: pool \"%s\" has no operation \"%s\"\n", command,
			pool, operation);
	return id;
}

enum cadre_log_level cadre_option_log_level(const struct argp_state *state,
					    const char *option, const char *text)
{
	const int level = cadre_log_level_of(text);

	if (level < 0)
		cadre_refuse_usage(state,
				   "%s %s: must be off, emergency, alert, critical, error, "
				   "warning, notice, info, debug or trace",
				   option, text);
	return (enum cadre_log_level)level;
}
