/*
 * check.c - does what stands in a segment fit together?
 *
 * Each look goes once over places, slots, books and blocks, and suspects whatever could not
 * stay like that. Nobody stops for it: what it sees may be the middle of somebody's step.
 * So a suspicion becomes a finding only when look after look finds the same thing wrong with
 * the same evidence, for a while that depends on what it is:
 *
 *   - what the order of steps forbids at any instant, for a tenth of a second, and only
 *     because two words cannot be read at once;
 *   - what a living supervisor or worker is about to mend, for longer than they may take.
 *     On a dead pool that is no finding: the next supervisor does it.
 *
 * Which rules there are, and which file asks for each, stands in check.h.
 */
#include "check.h"
#include "clock.h"
#include "diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LOOKS_LEAST 3
#define LOOK_EVERY_NS (20 * CADRE_NS_PER_MS)
#define NEVER_NS (100 * CADRE_NS_PER_MS)
#define DUE_NS (2 * CADRE_NS_PER_S)
#define FRESH_LISTS_MAX 4

/* ---- suspicions ---- */

static struct cadre_suspicion *find(struct cadre_check *check, enum cadre_rule rule,
				    uint32_t subject, uint64_t evidence)
{
	for (uint32_t i = 0; i < check->count; i++) {
		struct cadre_suspicion *const suspicion = &check->suspicions[i];

		if (suspicion->subject == subject && suspicion->rule == rule &&
		    suspicion->evidence == evidence)
			return suspicion;
	}
	return NULL;
}

static struct cadre_suspicion *add(struct cadre_check *check, enum cadre_rule rule,
				   uint32_t subject, uint64_t evidence)
{
	struct cadre_suspicion *const suspicion = &check->suspicions[check->count];

	if (check->count == CADRE_SUSPICIONS_MAX) {
		check->left_out++;
		return NULL;
	}
	check->count++;
	suspicion->rule = rule;
	suspicion->subject = subject;
	suspicion->evidence = evidence;
	return suspicion;
}

void cadre_check_suspect(struct cadre_check *check, enum cadre_rule rule,
			 uint32_t subject, uint64_t evidence, const char *format, ...)
{
	struct cadre_suspicion *suspicion = find(check, rule, subject, evidence);
	va_list arguments;

	if (!suspicion && check->first)
		suspicion = add(check, rule, subject, evidence);
	if (!suspicion)
		return;
	suspicion->seen = true;
	va_start(arguments, format);
	vsnprintf(suspicion->sentence, sizeof(suspicion->sentence), format, arguments);
	va_end(arguments);
}

/* Keeps those that were seen again. */
static void drop_unseen(struct cadre_check *check)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < check->count; i++) {
		if (!check->suspicions[i].seen)
			continue;
		if (kept != i)
			check->suspicions[kept] = check->suspicions[i];
		check->suspicions[kept++].seen = false;
	}
	check->count = kept;
}

static int64_t patience_ns(const struct cadre_check *check)
{
	for (uint32_t i = 0; i < check->count; i++) {
		if (check->suspicions[i].rule >= CADRE_RULE_DUE)
			return DUE_NS;
	}
	return NEVER_NS;
}

/* ---- looks ---- */

static void look(struct cadre_check *check, bool first)
{
	check->first = first;
	check->left_out = 0;
	check->now_ns = cadre_clock_ns();
	check->supervisor = cadre_lock_holder(check->pool);
	check->balance = (struct cadre_balance){
		.slots = check->view.slot_count,
		.blocks = check->view.plan.total,
		.alive = check->supervisor != 0,
	};
	cadre_check_places(check);
	cadre_check_windows(check);
	cadre_check_owners(check);
	cadre_check_records(check);
	drop_unseen(check);
}

/* Looks until what is suspicious has been so for long enough. Returns how much found no
 * room in the list. */
static uint32_t look_for_long(struct cadre_check *check)
{
	const struct timespec nap = cadre_clock_timespec(LOOK_EVERY_NS);
	const int64_t begin_ns = cadre_clock_ns();
	uint32_t left_out;

	look(check, true);
	left_out = check->left_out;
	for (unsigned looks = 1; check->count > 0; looks++) {
		if (looks >= LOOKS_LEAST &&
		    cadre_clock_ns() - begin_ns >= patience_ns(check))
			break;
		nanosleep(&nap, NULL);
		look(check, false);
	}
	return left_out;
}

/* A list that was full, and none of which was true, kept others out: a fresh one. */
static uint32_t look_at_all(struct cadre_check *check)
{
	uint32_t left_out = 0;

	for (unsigned list = 0; list < FRESH_LISTS_MAX; list++) {
		left_out = look_for_long(check);
		if (left_out == 0 || check->count > 0)
			break;
	}
	return left_out;
}

static int tell(const struct cadre_check *check, uint32_t left_out,
		cadre_notice_fn *finding, void *context)
{
	char sentence[100];

	for (uint32_t i = 0; finding && i < check->count; i++)
		finding(check->suspicions[i].sentence, context);
	if (left_out == 0)
		return (int)check->count;
	snprintf(sentence, sizeof(sentence),
		 "%u more things looked wrong and were not looked at again", left_out);
	if (finding)
		finding(sentence, context);
	return (int)check->count + 1;
}

int cadre_check_balance(const char *pool, struct cadre_balance *ret_balance,
			cadre_notice_fn *finding, void *context, struct cadre_diag *diag)
{
	struct cadre_check *const check = calloc(1, sizeof(*check));
	uint32_t left_out;
	int r;

	if (!check)
		return cadre_refuse(diag, -ENOMEM,
				    "cannot check pool \"%s\": no memory left", pool);
	r = cadre_layout_open(pool, false, &check->view, diag);
	if (r < 0) {
		free(check);
		return r;
	}
	check->pool = pool;
	left_out = look_at_all(check);
	r = tell(check, left_out, finding, context);
	if (ret_balance)
		*ret_balance = check->balance;
	cadre_layout_close(&check->view);
	free(check);
	return r;
}

int cadre_check(const char *pool, cadre_notice_fn *finding, void *context,
		struct cadre_diag *diag)
{
	return cadre_check_balance(pool, NULL, finding, context, diag);
}
