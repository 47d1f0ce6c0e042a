/*
 * Claims about perf.c: a line is what its one client made of it, and whatever bytes stand
 * there are read as a name that ends and numbers.
 */
#include "perf.h"

#include <criterion/criterion.h>
#include <string.h>

static struct cadre_perf_table table;
static struct cadre_perf perf;

TestSuite(perf, .timeout = 60);

Test(perf, a_line_without_a_name_is_unused)
{
	cr_assert_not(cadre_perf_read(&table.lines[0], &perf));
}

Test(perf, a_line_adds_up_and_keeps_the_longest)
{
	cadre_perf_name(&table.lines[1], "a");
	cadre_perf_add(&table.lines[1], false, 5);
	cadre_perf_add(&table.lines[1], true, 9);
	cadre_perf_add(&table.lines[1], false, -3);
	cr_assert(cadre_perf_read(&table.lines[1], &perf));
	cr_assert_str_eq(perf.name, "a");
	cr_assert_eq(perf.count, 3);
	cr_assert_eq(perf.errors, 1);
	cr_assert_eq(perf.total_ns, 14);
	cr_assert_eq(perf.max_ns, 9);
	cadre_perf_clear(&table);
	cr_assert_not(cadre_perf_read(&table.lines[1], &perf));
	cadre_perf_name(&table.lines[1], "b");
	cr_assert(cadre_perf_read(&table.lines[1], &perf));
	cr_assert_eq(perf.count + perf.errors + perf.total_ns + perf.max_ns, 0);
}

Test(perf, a_name_of_any_bytes_ends)
{
	memset(&table, 0xff, sizeof(table));
	cr_assert(cadre_perf_read(&table.lines[2], &perf));
	cr_assert_eq(strlen(perf.name), CADRE_PERF_NAME_MAX);
}
