/*
 * stories.h - how stories about kill points are told, for Criterion: one in which somebody dies
 * there, and the claim that none was left out.
 */
#ifndef STORIES_H
#define STORIES_H

#include "killing.h"
#include "stage.h"

#include <criterion/criterion.h>

/* The story's context is the killing, or a struct that begins with it. What there is to complain
 * about fails the test, which goes on to the next story. */
static inline void tell(void (*story)(const void *context), const struct killing *killing)
{
	const char *const complaint = stage_play(story, killing);

	cr_expect_null(complaint, "%s: %s", killing_describe(killing), complaint);
}

/* A file tells of exactly the points that this role passes. */
#define EXPECT_STORIES(told, role) \
	expect_stories(told, sizeof(told) / sizeof((told)[0]), role)

static inline void expect_stories(const char *const *told, size_t count, unsigned role)
{
	const char *const label = killing_missing_story(told, count, role);

	cr_assert_null(label, "%s", label);
}

#endif
