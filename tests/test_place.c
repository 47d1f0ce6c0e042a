/*
 * Claims about place.h: a place changes hands by its whole state word, so that a process
 * of an earlier incarnation can never take it back.
 */
#include "place.h"

#include <criterion/criterion.h>
#include <string.h>

static struct cadre_place place;

static void fresh(void)
{
	memset(&place, 0, sizeof(place));
}

TestSuite(place, .init = fresh);

static void put(enum cadre_place_state state, uint32_t incarnation)
{
	atomic_store(&place.state, cadre_place_pack(state, incarnation));
}

/* What a worker does when it has started. */
static bool sit_down(uint32_t incarnation)
{
	if (!cadre_place_move(&place, cadre_place_pack(CADRE_PLACE_STARTING, incarnation),
			      cadre_place_pack_owned(CADRE_PLACE_UP, incarnation, 42)))
		return false;
	cadre_place_set_start_time(&place, 4242);
	return true;
}

Test(place, a_state_survives_packing_with_any_incarnation)
{
	static const uint32_t incarnations[] = { 0, 1, 255, 256, UINT32_MAX };

	for (unsigned state = 0; state < CADRE_PLACE_STATES; state++) {
		for (unsigned i = 0; i < CADRE_COUNT_OF(incarnations); i++) {
			const uint64_t bits = cadre_place_pack(
				(enum cadre_place_state)state, incarnations[i]);

			cr_assert_eq(cadre_place_state_of(bits), state);
			cr_assert_eq(cadre_place_incarnation_of(bits), incarnations[i]);
		}
	}
}

Test(place, zeroed_memory_is_a_vacant_place_that_nobody_ever_had)
{
	cr_assert_eq(cadre_place_state_of(cadre_place_look(&place)), CADRE_PLACE_VACANT);
	cr_assert_eq(cadre_place_incarnation_of(cadre_place_look(&place)), 0);
}

Test(place, a_worker_that_is_up_has_said_who_it_is)
{
	put(CADRE_PLACE_STARTING, 3);

	cr_assert(sit_down(3));

	cr_assert_eq(cadre_place_state_of(cadre_place_look(&place)), CADRE_PLACE_UP);
	cr_assert_eq(cadre_place_who(&place).pid, 42);
	cr_assert_eq(cadre_place_who(&place).start_time, 4242);
}

Test(place, a_worker_whose_supervisor_died_before_recording_it_does_not_come_back)
{
	/* A successor has turned STARTING(3) into DEAD(3) ... */
	put(CADRE_PLACE_DEAD, 3);
	cr_assert_not(sit_down(3));
	cr_assert_eq(cadre_place_look(&place), cadre_place_pack(CADRE_PLACE_DEAD, 3));

	/* ... and started another one. */
	put(CADRE_PLACE_STARTING, 4);
	cr_assert_not(sit_down(3));
	cr_assert_eq(cadre_place_look(&place), cadre_place_pack(CADRE_PLACE_STARTING, 4));
}

Test(place, a_late_worker_cannot_put_its_name_over_that_of_its_successor)
{
	put(CADRE_PLACE_STARTING, 4);
	cr_assert(sit_down(4));
	cr_assert_not(sit_down(3));
	cr_assert_eq(cadre_place_who(&place).pid, 42);
	cr_assert_eq(cadre_place_incarnation_of(cadre_place_look(&place)), 4);
}

Test(place, the_largest_pid_and_incarnation_fit_beside_each_other)
{
	const uint64_t bits = cadre_place_pack_owned(CADRE_PLACE_DISABLED, UINT32_MAX,
						     CADRE_PLACE_PID_MAX);

	cr_assert_eq(cadre_place_pid_of(bits), CADRE_PLACE_PID_MAX);
	cr_assert_eq(cadre_place_incarnation_of(bits), UINT32_MAX);
	cr_assert_eq(cadre_place_state_of(bits), CADRE_PLACE_DISABLED);
}

Test(place, only_one_of_two_moves_from_the_same_state_is_made)
{
	const uint64_t up = cadre_place_pack(CADRE_PLACE_UP, 1);

	put(CADRE_PLACE_UP, 1);

	cr_assert(cadre_place_move(&place, up, cadre_place_pack(CADRE_PLACE_DRAINING, 1)));
	cr_assert_not(cadre_place_move(&place, up, cadre_place_pack(CADRE_PLACE_DEAD, 1)));
	cr_assert_eq(cadre_place_state_of(cadre_place_look(&place)), CADRE_PLACE_DRAINING);
}

Test(place, an_impossible_state_equals_none_that_is_known)
{
	atomic_store(&place.state, UINT64_MAX);

	cr_assert_geq((unsigned)cadre_place_state_of(cadre_place_look(&place)),
		      CADRE_PLACE_STATES);
}
