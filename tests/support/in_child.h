/*
 * in_child.h - a claim whose whole story happens in a child of the test, for Criterion.
 *
 *	TestInChild(pool, a_program_may_have_two_at_once)
 *	{
 *		CHILD_CHECK(...);
 *	}
 *
 * The child has no second thread, as the test has, so that it may start pools; and what it
 * closes, limits or gives up is its own. It never says cr_assert, which is the parent's. When it
 * comes to its end all was well.
 */
#ifndef IN_CHILD_H
#define IN_CHILD_H

#include "child.h"

#include <criterion/criterion.h>

#define TestInChild(suite_, name_)               \
	static void name_##_in_child(void);      \
	Test(suite_, name_)                      \
	{                                        \
		in_child_tell(name_##_in_child); \
	}                                        \
	static void name_##_in_child(void)

static inline int in_child_body(void *context)
{
	void (*const *const story)(void) = context;

	(*story)();
	return CHILD_FINE;
}

static inline void in_child_tell(void (*story)(void))
{
	const int status = child_run(in_child_body, &story);

	if (status == CHILD_SKIPPED)
		cr_skip_test("the child said why");
	cr_assert_eq(status, CHILD_FINE, "the child ended with %d", status);
}

#endif
