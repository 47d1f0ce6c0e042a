/*
 * proc_local_places.c - claims about who gets a place for a local worker, who gives it back, and
 * what is refused.
 */
#include "locals.h"

#include "control.h"
#include "process.h"

#include <stdio.h>

TestSuite(local, LOCALS);

Test(local, a_pool_has_as_many_places_as_it_was_told)
{
	struct cadre_local *two[2], *more;

	START(ONE_WORKER, .locals_max = 2);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(cadre_local_open(troupe.scene.pool, &service, NULL, &two[i],
					      NULL),
			     0);
	cr_assert_eq(cadre_local_open(troupe.scene.pool, &service, NULL, &more,
				      &troupe.diag),
		     -EUSERS);
	cr_assert_not_null(strstr(troupe.diag.text, "all 2 places"), "%s",
			   troupe.diag.text);
	cadre_local_close(two[0]);
	cr_assert_eq(cadre_local_open(troupe.scene.pool, &service, NULL, &more, NULL), 0);
	cadre_local_close(more);
	cadre_local_close(two[1]);
	cr_assert_eq(inits, 3);
	cr_assert_eq(finis, 3);
}

/* However late the supervisor's answer comes, or how little of it was read. */
Test(local, who_gives_up_opening_keeps_no_place)
{
	START(ONE_WORKER, .locals_max = 1);
	for (unsigned i = 0; i < 300; i++) {
		const struct cadre_local_options hasty = { .size = sizeof(hasty),
							   .timeout_ns = 1 + i * 2000 };

		if (try_open(&hasty) == 0)
			cadre_local_close(local);
	}
	cr_assert(eventually(try_open(NULL) == 0), "%s", troupe.diag.text);
	cadre_local_close(local);
}

/* It was told which place it has, and never looked. */
Test(local, a_goodbye_of_whichever_place_gives_back_that_of_its_nonce)
{
	struct cadre_control question = cadre_control_message(CADRE_CONTROL_GUEST);
	struct cadre_control goodbye = cadre_control_message(CADRE_CONTROL_GUEST_GOODBYE);
	struct cadre_control answer;

	START(ONE_WORKER, .locals_max = 2);
	open_local(1);
	question.nonce = goodbye.nonce = 4711;
	question.start_time = cadre_process_self().start_time;
	goodbye.place = CADRE_CONTROL_ANY_PLACE;
	cr_assert_eq(cadre_control_ask(troupe.scene.pool, &question, GENEROUS, &answer),
		     0);
	cr_assert_eq(answer.error, 0, "%s", answer.text);
	cr_assert_neq(answer.place, channel.worker);
	goodbye.nonce++;
	cr_assert_eq(cadre_control_ask(troupe.scene.pool, &goodbye, GENEROUS, &answer), 0);
	cr_assert_eq(answer.error, -ESTALE);
	goodbye.nonce--;
	cr_assert_eq(cadre_control_ask(troupe.scene.pool, &goodbye, GENEROUS, &answer), 0);
	cr_assert_eq(answer.error, 0, "%s", answer.text);
	cr_assert_eq(cadre_control_ask(troupe.scene.pool, &goodbye, GENEROUS, &answer), 0);
	cr_assert_eq(answer.error, -ESTALE, "it has been given back");
	cr_assert_eq(cadre_local_start_thread(local), 0);
	call_ok(ASK(ADD, 1, .to = &channel));
	cadre_local_close(local);
}

Test(local, what_cannot_be_opened_is_refused_with_a_sentence)
{
	const struct cadre_local_options wrong_size = { .size = 1 },
					 many = { .size = sizeof(many), .parallel = 5000 },
					 nothing = { .size = sizeof(nothing),
						     .start_length = 5 };
	struct cadre_service empty = service;

	START(ONE_WORKER, .locals_max = CADRE_NONE);
	cr_assert_eq(try_open(NULL), -EUSERS);
	cr_assert_eq(try_open(&wrong_size), -EINVAL);
	cr_assert_eq(try_open(&many), -EINVAL);
	cr_assert_eq(try_open(&nothing), -EINVAL);
	cr_assert_not_null(strstr(troupe.diag.text, "start_data"), "%s", troupe.diag.text);
	empty.operation_count = 0;
	cr_assert_eq(cadre_local_open(troupe.scene.pool, &empty, NULL, &local, NULL),
		     -EINVAL);
	cr_assert_eq(cadre_local_open("no-such-pool", &service, NULL, &local, NULL),
		     -ENOENT);
}

static int fail_to_begin(const struct cadre_start *start, void **ret_state,
			 struct cadre_diag *diag)
{
	(void)start;
	(void)ret_state;
	snprintf(diag->text, sizeof(diag->text), "not today");
	return -EBUSY;
}

Test(local, an_init_that_fails_gives_the_place_back)
{
	struct cadre_service failing = service;

	failing.init = fail_to_begin;
	START(ONE_WORKER, .locals_max = 1);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(cadre_local_open(troupe.scene.pool, &failing, NULL, &local,
					      &troupe.diag),
			     -ENOEXEC);
		cr_assert_not_null(strstr(troupe.diag.text, "not today"), "%s",
				   troupe.diag.text);
	}
	open_local(1);
	cadre_local_close(local);
}

Test(local, init_is_told_the_start_arguments_that_its_owner_gave)
{
	const struct cadre_local_options options = { .size = sizeof(options),
						     .start_data = "hello",
						     .start_length = 5 };

	START(ONE_WORKER, .start_data = "others", .start_length = 6);
	cr_assert_eq(try_open(&options), 0);
	cr_assert_str_eq(start_text, "hello");
	cadre_local_close(local);
}
