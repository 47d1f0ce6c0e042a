/*
 * write_counters.c - writes the source of cadre-counters(7) from the library's catalogue, so
 * that the page cannot lack a counter, or describe it differently.
 */
#include <cadre/report.h>

#include <stdio.h>
#include <string.h>

/* What scdoc would take for markup. */
static void print_plain(const char *text)
{
	for (; *text; text++) {
		if (strchr("_*\\", *text))
			putchar('\\');
		putchar(*text);
	}
}

static void print_field(const struct cadre_field *field)
{
	printf("*");
	print_plain(field->name);
	printf("*");
	printf(" (%s", cadre_counter_kind_name(field->kind));
	if (field->unit[0]) {
		printf(", ");
		print_plain(field->unit);
	}
	printf(")\n\t");
	print_plain(field->sentence);
	printf("\n\n");
}

static void print_scope(enum cadre_field_scope scope, const char *heading,
			const char *sentence)
{
	size_t count;
	const struct cadre_field *const fields = cadre_fields(scope, &count);

	printf("# %s\n\n%s\n\n", heading, sentence);
	for (size_t i = 0; i < count; i++)
		print_field(&fields[i]);
}

static void print_measures(void)
{
	printf("# MEASURES OF THE HEALTH CHECK\n\n"
	       "What *cadre stat --check* compares with the limits of *--limit*.\n\n");
	for (int i = 0; i < CADRE_HEALTH_MEASURES; i++) {
		const struct cadre_health_measure *const measure = cadre_health_describe(
			(enum cadre_health_measure_id)i);

		printf("*%s* (%s)\n\t", measure->name, measure->unit);
		print_plain(measure->sentence);
		if (measure->warning >= 0)
			printf("; by default a warning at %g", measure->warning);
		if (measure->critical >= 0)
			printf("; by default critical at %g", measure->critical);
		printf("\n\n");
	}
}

int main(void)
{
	puts("cadre-counters(7)\n\n"
	     "# NAME\n\n"
	     "cadre-counters - what the counters and fields of a Cadre pool mean\n\n"
	     "# DESCRIPTION\n\n"
	     "*cadre stat* shows these, by these names: in its JSON a dot in a name is a "
	     "nested object, for *--fields* a counter may also be named without "
	     "\"counters.\". Those of kind counter only grow while the pool lives, over the "
	     "restarts of its workers and supervisors; a level goes up and down; a peak is "
	     "the highest level so far; a limit does not change; a label says what "
	     "something is.\n\n"
	     "In Prometheus text the names are made of \"cadre\\_\", the scope unless it is the "
	     "pool, the name, the base unit, and \"\\_total\" for counters: ns become seconds, "
	     "ppm a ratio, mjobs/s jobs per second.\n");
	print_scope(CADRE_FIELDS_POOL, "POOL", "One for each pool.");
	print_scope(CADRE_FIELDS_WORKER, "WORKER",
		    "One for each place of a worker. They belong to the place: a restart "
		    "changes pid and incarnation, and no total.");
	print_scope(CADRE_FIELDS_CLIENT, "CLIENT",
		    "One for each window that ever had a client.");
	print_scope(CADRE_FIELDS_OPERATION, "OPERATION",
		    "One for each operation, over all workers.");
	print_scope(CADRE_FIELDS_RATES, "RATES",
		    "What happened between two reads: of the pool, of each worker, and of "
		    "each operation.");
	print_scope(CADRE_FIELDS_GUEST, "GUEST",
		    "One for each place of a local worker, which serves a service inside of "
		    "another process. Its operations are those of its owner, so they are "
		    "counted under none of the pool's.");
	print_measures();
	puts("# SEE ALSO\n\n*cadre-stat*(1), *cadre*(7)");
	return ferror(stdout) || fflush(stdout) == EOF;
}
