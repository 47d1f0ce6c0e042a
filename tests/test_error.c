/*
 * test_error.c - claims about the list of errors in error.h: each is produced by a test
 * that expects exactly it, and no public function promises another one.
 *
 * The headers and tests are read where they lie, so an error that is added to the list
 * without a test, or a test that is renamed, fails here.
 */
#include "tree.h"

#include <cadre/error.h>

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct witness {
	const char *error;
	const char *file;
	const char *test;
} witnesses[] = {
	{ "EINVAL", "proc_refusal.c",
	  "options_that_cannot_be_are_refused_each_with_its_sentence" },
	{ "EAGAIN", "proc_client.c",
	  "a_full_window_refuses_those_who_try_and_times_out_those_who_wait" },
	{ "ETIMEDOUT", "proc_client.c",
	  "a_job_that_runs_is_not_taken_and_goes_on_after_a_wait_that_ran_out" },
	{ "ENOBUFS", "proc_payload.c", "blocks_that_are_all_in_use_come_back" },
	{ "EMSGSIZE", "proc_payload.c",
	  "a_payload_longer_than_payload_max_is_refused_and_takes_nothing" },
	{ "ENOENT", "proc_refusal.c", "a_pool_that_does_not_exist_lets_nobody_in" },
	{ "EEXIST", "proc_refusal.c", "the_name_of_a_living_pool_is_taken" },
	{ "EMFILE", "proc_task.c",
	  "a_client_with_every_counter_named_gets_no_more_but_finds_the_old_ones" },
	{ "EUSERS", "proc_refusal.c",
	  "a_pool_whose_windows_are_all_taken_lets_nobody_in_until_one_is_vacant" },
	{ "EPROTONOSUPPORT", "proc_refusal.c", "a_pool_of_another_layout_lets_nobody_in" },
	{ "EBADMSG", "proc_refusal.c", "a_segment_that_is_damaged_lets_nobody_in" },
	{ "ENOMEM", "proc_refusal.c", "a_process_without_memory_does_not_get_in" },
	{ "ENOSPC", "proc_refusal.c",
	  "a_pool_that_is_larger_than_what_is_free_does_not_start" },
	{ "EACCES", "proc_refusal.c", "the_pool_of_another_user_lets_nobody_in" },
	{ "ECONNREFUSED", "proc_refusal.c",
	  "a_pool_whose_supervisor_is_dead_lets_nobody_in" },
	{ "ESHUTDOWN", "proc_pool.c",
	  "stop_runs_what_was_accepted_and_refuses_what_is_new" },
	{ "EOWNERDEAD", "proc_supervision.c",
	  "the_workers_of_a_dead_server_leave_and_its_clients_are_told" },
	{ "ESTALE", "proc_client.c", "a_ticket_is_stale_once_its_result_was_released" },
	{ "EBUSY", "proc_client.c", "a_second_taker_is_told_that_the_ticket_is_busy" },
	{ "ECANCELED", "proc_token.c",
	  "submitting_with_one_that_has_ended_is_refused_and_no_worker_is_asked" },
	{ "EPERM", "proc_token_refusals.c",
	  "only_a_cancellable_token_can_be_cancelled_by_hand" },
	{ "EXDEV", "proc_token_refusals.c",
	  "a_token_of_another_pool_is_refused_everywhere" },
	{ "EMFILE", "proc_token_refusals.c",
	  "when_each_token_of_the_pool_is_in_use_no_other_can_be_made" },
	{ "EMLINK", "proc_token_refusals.c",
	  "composites_of_nothing_of_too_many_and_of_too_deep_ones_are_refused" },
	{ "ELOOP", "proc_token_refusals.c",
	  "composites_of_nothing_of_too_many_and_of_too_deep_ones_are_refused" },
	{ "EALREADY", "proc_worker.c",
	  "a_second_reply_is_refused_and_leaves_a_short_first_one_alone" },
	{ "ENOSTR", "proc_stream_refusals.c",
	  "emits_in_a_job_that_is_no_stream_are_refused" },
	{ "ECANCELED", "proc_stream_ends.c",
	  "a_consumer_that_leaves_wakes_a_producer_that_waits" },
	{ "ECHILD", "proc_loss.c",
	  "a_forked_child_can_use_its_copy_of_a_client_for_nothing_but_to_free_it" },
	{ "ENOTSUP", "proc_refusal.c", "a_program_that_has_threads_starts_no_pool" },
	{ "EBADF", "proc_descriptors.c",
	  "a_submission_that_is_refused_leaves_them_with_the_caller" },
	{ "EMFILE", "proc_descriptors.c",
	  "a_worker_that_may_open_no_more_says_so_and_nothing_leaks" },
	{ "ECANCELED", "proc_descriptors.c",
	  "a_job_that_was_cancelled_while_it_ran_does_not_get_them_any_more" },
	{ "ENOTSUP", "proc_fork_server_refusals.c",
	  "a_program_that_has_threads_starts_none" },
	{ "ECONNREFUSED", "proc_fork_server_deaths.c",
	  "a_pool_is_refused_when_it_is_dead_until_there_is_another_or_none" },
	{ "EPERM", "proc_fork_server_refusals.c",
	  "a_program_with_other_rights_than_it_gets_no_pool_of_it" },
	{ "EMFILE", "proc_fork_server_refusals.c",
	  "without_descriptors_neither_a_server_nor_a_pool_starts" },
	{ "ETIMEDOUT", "proc_fork_server_deaths.c",
	  "one_that_is_stopped_starts_no_pool_and_none_later" },
	{ "EINVAL", "proc_fork_server_refusals.c",
	  "a_service_that_was_loaded_after_it_is_refused_by_name" },
	{ "ENOEXEC", "kill_fork_server.c", "one_that_dies_before_it_is_ready_is_none" },
	{ "EHOSTDOWN", "proc_channel.c",
	  "one_to_a_worker_that_is_gone_is_refused_though_its_place_is_taken_again" },
	{ "EDEADLK", "proc_cooperation.c",
	  "a_worker_that_would_wait_for_itself_is_told_so_at_once" },
	{ "ENOEXEC", "proc_worker.c",
	  "an_init_that_fails_is_heard_by_who_starts_the_pool_in_its_own_words" },
};

#define WITNESSES (sizeof(witnesses) / sizeof(witnesses[0]))

/* ---- files of the source tree ---- */

static char *texts[64];
static size_t text_count;

static void forget(void)
{
	while (text_count > 0)
		free(texts[--text_count]);
}

TestSuite(error, .fini = forget);

/* The whole file; freed when the test ends. */
static const char *text_of(const char *path)
{
	cr_assert_lt(text_count, sizeof(texts) / sizeof(texts[0]));
	texts[text_count] = tree_read(path);
	return texts[text_count++];
}

/* Copies the name of an error that begins here; false when none does. */
static bool read_error(const char *text, char name[32])
{
	size_t length = 0;

	while (length < 31 && isupper((unsigned char)text[length]))
		length++;
	if (length < 4 || text[0] != 'E' || text[length] == '_')
		return false;
	memcpy(name, text, length);
	name[length] = '\0';
	return true;
}

/* The list stands in the first comment, a line for each. */
static bool is_listed(const char *error)
{
	char line[64];
	const char *const text = text_of("include/cadre/error.h");
	const char *found;

	snprintf(line, sizeof(line), "\n *   %s ", error);
	found = strstr(text, line);
	return found && found < strstr(text, "*/");
}

static const struct witness *witness_of(const char *error)
{
	for (size_t i = 0; i < WITNESSES; i++) {
		if (strcmp(witnesses[i].error, error) == 0)
			return &witnesses[i];
	}
	return NULL;
}

/* ---- claims ---- */

Test(error, each_error_of_the_list_has_a_test_that_produces_it)
{
	const char *const text = text_of("include/cadre/error.h");
	const char *const end = strstr(text, "*/");
	const char *line = text;
	char name[32], again[40];

	while ((line = strstr(line, "\n *   ")) && line < end) {
		line += 6;
		if (!read_error(line, name))
			continue;
		cr_assert_not_null(witness_of(name), "%s has no test", name);
		snprintf(again, sizeof(again), "\n *   %s ", name);
		cr_assert_null(strstr(line, again), "%s is listed twice", name);
	}
	for (size_t i = 0; i < WITNESSES; i++)
		cr_assert(is_listed(witnesses[i].error), "%s is not in the list",
			  witnesses[i].error);
}

/* In the test itself, or in what stands between it and the test before. */
static void expect_named(const struct witness *witness)
{
	const char *text, *before, *begin, *found, *named;
	char path[80], head[128], error[40];

	snprintf(path, sizeof(path), "tests/%s", witness->file);
	before = begin = text = text_of(path);
	snprintf(head, sizeof(head), ", %s)\n{", witness->test);
	found = strstr(text, head);
	cr_assert_not_null(found, "%s has no test %s", witness->file, witness->test);
	for (const char *at = text; (at = strstr(at, "\nTest")) && at < found; at++) {
		before = begin;
		begin = at;
	}
	snprintf(error, sizeof(error), "-%s", witness->error);
	named = strstr(before, error);
	cr_assert(named && named < strstr(found, "\n}\n"), "%s of %s never names %s",
		  witness->test, witness->file, error);
}

Test(error, each_test_of_the_table_exists_and_names_its_error)
{
	for (size_t i = 0; i < WITNESSES; i++)
		expect_named(&witnesses[i]);
}

Test(error, no_public_header_promises_an_error_that_is_not_in_the_list)
{
	glob_t headers = tree_files("include/cadre/*.h");
	unsigned read = 0;
	char name[32];

	for (size_t i = 0; i < headers.gl_pathc; i++) {
		const char *const path = headers.gl_pathv[i];
		const char *at;

		/* Those of libcadre-http say what theirs mean. */
		if (strncmp(strrchr(path, '/'), "/http", 5) == 0)
			continue;
		read++;
		at = text_of(path);
		while ((at = strstr(at, "-E"))) {
			at++;
			if (read_error(at, name))
				cr_assert(is_listed(name), "%s promises %s", path, name);
		}
		forget();
	}
	globfree(&headers);
	cr_assert_gt(read, 15);
}

Test(error, each_outcome_has_a_name_of_its_own)
{
	for (int outcome = 0; outcome < CADRE_OUTCOME_COUNT; outcome++) {
		const char *const name = cadre_outcome_name((enum cadre_outcome)outcome);

		cr_assert_gt(strlen(name), 0);
		cr_assert_str_neq(name, "impossible");
		for (int other = 0; other < outcome; other++)
			cr_assert_str_neq(name,
					  cadre_outcome_name((enum cadre_outcome)other));
	}
	cr_assert_str_eq(cadre_outcome_name((enum cadre_outcome) - 1), "impossible");
	cr_assert_str_eq(cadre_outcome_name(CADRE_OUTCOME_COUNT), "impossible");
}
