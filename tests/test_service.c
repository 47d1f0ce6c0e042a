/*
 * test_service.c - claims about which tables of operations can be served.
 */
#include "diag.h"

#include <cadre/service.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct cadre_operation operations[CADRE_OPERATIONS_MAX + 1];
static char names[CADRE_OPERATIONS_MAX + 1][16];
static struct cadre_service service;
static struct cadre_diag diag;

static void handle(struct cadre_job *job, void *state)
{
	(void)job;
	(void)state;
}

/* A table that is right; tests spoil it. */
static void begin(void)
{
	for (int i = 0; i < CADRE_OPERATIONS_MAX + 1; i++) {
		snprintf(names[i], sizeof(names[i]), "op-%d", i + 1);
		operations[i] = (struct cadre_operation){ i + 1, names[i], handle };
	}
	service = (struct cadre_service){
		.size = sizeof(service),
		.name = "bakery",
		.operations = operations,
		.operation_count = 3,
	};
}

TestSuite(service, .init = begin);

static void refuse(const char *words)
{
	diag.text[0] = '\0';
	cr_assert_eq(cadre_service_check(&service, &diag), -EINVAL, "%s", words);
	cr_assert_not_null(strstr(diag.text, words), "\"%s\" is not in \"%s\"", words,
			   diag.text);
}

Test(service, a_table_of_operations_that_differ_can_be_served)
{
	strcpy(diag.text, "untouched");
	cr_assert_eq(cadre_service_check(&service, &diag), 0);
	cr_assert_str_eq(diag.text, "untouched");
	cr_assert_eq(cadre_service_check(&service, NULL), 0);

	operations[0].id = CADRE_OPERATION_ID_MAX;
	service.operation_count = CADRE_OPERATIONS_MAX;
	cr_assert_eq(cadre_service_check(&service, &diag), 0);
}

Test(service, an_empty_table_cannot_be_served)
{
	service.operation_count = 0;
	refuse("service \"bakery\" has no operations");
	service.operation_count = 1;
	service.operations = NULL;
	refuse("service \"bakery\" has no operations");
}

Test(service, a_table_that_is_too_long_cannot_be_served)
{
	service.operation_count = CADRE_OPERATIONS_MAX + 1;
	refuse("has 129 operations: at most 128");
}

Test(service, a_service_of_another_version_cannot_be_served)
{
	service.size--;
	refuse("built for another version of Cadre");
	cr_assert_eq(cadre_service_check(NULL, &diag), -EINVAL);
}

Test(service, an_id_is_positive_and_fits_a_slot)
{
	operations[1].id = 0;
	refuse("operation \"op-2\" has the id 0, not 1 to 65535");
	operations[1].id = -5;
	refuse("operation \"op-2\" has the id -5, not 1 to 65535");
	operations[1].id = CADRE_OPERATION_ID_MAX + 1;
	refuse("operation \"op-2\" has the id 65536, not 1 to 65535");
}

Test(service, an_id_is_used_once)
{
	operations[2].id = 1;
	refuse("the id 1 is used twice");
}

Test(service, a_name_is_used_once)
{
	operations[2].name = "op-1";
	refuse("the name \"op-1\" is used twice");
}

Test(service, a_name_has_1_to_47_bytes_without_blanks)
{
	static const char *const wrong[] = {
		NULL,    "",       "two words",
		"tab\t", "line\n", "123456789-123456789-123456789-123456789-12345678",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		operations[0].name = wrong[i];
		refuse("of operation 1 is not 1 to 47 bytes without blanks");
	}
	operations[0].name = "123456789-123456789-123456789-123456789-1234567";
	cr_assert_eq(cadre_service_check(&service, NULL), 0);
}

Test(service, an_operation_has_a_handler)
{
	operations[2].handler = NULL;
	refuse("operation \"op-3\" has no handler");
}

Test(service, all_that_is_wrong_is_listed)
{
	operations[0].id = 0;
	operations[1].handler = NULL;
	operations[2].name = "a b";
	refuse("\"op-1\" has the id 0");
	refuse("\"op-2\" has no handler");
	refuse("\"a b\" of operation 3");
}

Test(service, what_is_wrong_with_very_many_is_cut_not_overrun)
{
	service.operation_count = CADRE_OPERATIONS_MAX;
	for (int i = 0; i < CADRE_OPERATIONS_MAX; i++)
		operations[i].id = -1;
	refuse("operation \"op-1\" has the id -1");
	cr_assert_lt(strlen(diag.text), sizeof(diag.text));
}

Test(service, a_service_without_a_name_can_be_served)
{
	service.name = NULL;
	cr_assert_eq(cadre_service_check(&service, &diag), 0);
	operations[0].id = 0;
	refuse("service \"\": operation");
}
