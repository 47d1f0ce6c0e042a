/*
 * sweep - kills and freezes each operation of the pool at every instruction that
 * matters.
 *
 *   sweep [quick|full] [NAME]   all operations, or those whose names contain NAME
 *   sweep mutants               only the broken variants, of which each must be found
 *   sweep list                  the names of the operations
 *
 * Prints a row per operation. Exit status: 0 no violation, 1 some, 2 bad usage, 77 when
 * this machine does not permit ptrace. README.md says what a row means.
 */
#include "clock.h"
#include "fate.h"
#include "film.h"
#include "mutants.h"
#include "trouble.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	EXIT_VIOLATIONS = 1,
	EXIT_USAGE = 2,
	EXIT_SKIPPED = 77,
};

#define QUICK_EVERY 3u /* quick: of so many kills and stops, one */
#define TICK_LATER_NS (20 * CADRE_NS_PER_MS)

enum heir {
	HEIR_SUPERVISOR, /* it lives, and hears of the death */
	HEIR_SUCCESSOR,  /* it died too */
};

struct row {
	uint64_t instructions;
	uint64_t recovery_instructions; /* during which there were second deaths */
	uint32_t images;                /* distinct ones */
	uint32_t recoveries;
	uint32_t second_deaths;
	uint32_t kills;
	uint32_t stops;
	uint32_t left_out; /* positions */
	unsigned violations;
};

static bool full;

/* ---- recovery ---- */

/* Who took a window, or left one, during the supervisor's last moments dies now. */
static void bury_leaver(unsigned client)
{
	const uint64_t state = cadre_place_look(&world.view.client_places[client]);

	if (!world.client_away[client] || cadre_place_state_of(state) != CADRE_PLACE_UP ||
	    cadre_place_pid_of(state) != world.self.pid)
		return;
	world_seat_client(client, world.corpse);
	world_supervise(&world.corpse);
	cadre_lease_client_died(&world.supervisor, client);
}

static void recover(enum heir heir, const struct world_person *dead)
{
	if (heir == HEIR_SUCCESSOR) {
		operation_succeed();
	} else {
		world_supervise(dead);
		for (unsigned worker = 0; worker < WORLD_WORKERS; worker++) {
			if (world.worker_away[worker])
				cadre_staff_died(&world.supervisor, worker);
		}
		for (unsigned client = 0; client < WORLD_CLIENTS; client++) {
			if (world.client_away[client])
				cadre_lease_client_died(&world.supervisor, client);
		}
	}
	world.supervisor_away = false;
}

/* What the scene deserves, where that is more than what an image tells: a supervisor
 * begins no jobs, so what they deserved before it began, they deserve still. */
static const struct fates *scene_of(const struct operation *operation,
				    struct fates *ret_scene)
{
	if (operation->subject != SUBJECT_SUPERVISOR)
		return NULL;
	operation_set_scene(operation);
	*ret_scene = fates_tell(operation, false);
	return ret_scene;
}

/* Everything after the last moment of those who are dead. */
static void recover_and_check(const struct operation *operation, enum heir heir,
			      const struct world_person *dead, const struct fates *scene)
{
	const struct fates fates = fates_tell(operation, false);

	recover(heir, dead);
	fates_check_recovery(&fates, heir == HEIR_SUCCESSOR);
	for (unsigned client = 0; client < WORLD_CLIENTS; client++)
		bury_leaver(client);
	world_finish_all();
	fates_check_end(&fates);
	if (scene)
		fates_check_end(scene);
	fates_check_rest();
	world_go_on();
	fates_check_rest();
}

static enum heir first_heir(const struct operation *operation)
{
	return operation->subject == SUBJECT_SUPERVISOR ? HEIR_SUCCESSOR : HEIR_SUPERVISOR;
}

static const char *heir_name(enum heir heir)
{
	return heir == HEIR_SUPERVISOR ? "supervisor" : "successor";
}

/* ---- one: images ---- */

static void sweep_image(const struct film *film, uint32_t image, struct row *row)
{
	const struct operation *const operation = film->subject.operation;
	struct fates of_scene;
	const struct fates *const scene = scene_of(operation, &of_scene);

	for (enum heir heir = first_heir(operation); heir <= HEIR_SUCCESSOR; heir++) {
		trouble_where("%s: image %u (%u instructions, 0x%llx), %s",
			      operation->name, image, film->images[image].position,
			      (unsigned long long)film_address(film, image),
			      heir_name(heir));
		film_show(film, image);
		recover_and_check(operation, heir, &film->subject.who, scene);
		row->recoveries++;
	}
}

static void check_images(const struct film *film)
{
	struct fates before;

	for (uint32_t image = 0; image < film->count; image++) {
		trouble_where("%s: image %u (%u instructions, 0x%llx)",
			      film->subject.operation->name, image,
			      film->images[image].position,
			      (unsigned long long)film_address(film, image));
		film_show(film, image);
		fates_check_image();
		if (image > 0)
			fates_check_step(&before);
		before = fates_tell(film->subject.operation, false);
	}
}

static void sweep_images(const struct film *film, struct row *row)
{
	check_images(film);
	for (uint32_t image = 0; image < film->count; image++) {
		if (!film->images[image].again)
			sweep_image(film, image, row);
	}
	row->images += film->distinct;
}

/* ---- two: true kills ---- */

/* The same run as the film's: the requests are the same. A reply names a pid. */
static void check_same(const struct film *film, uint32_t position)
{
	const struct cadre_slot *slots;
	uint32_t image = film->count - 1;

	while (film->images[image].position > position)
		image--;
	slots = film_slots(film, image);
	for (uint32_t number = 0; number < WORLD_SLOTS_ALL; number++) {
		const struct cadre_request_lines *const then = &slots[number].request;
		const struct cadre_request_lines *const now =
			&world.view.slots[number].request;

		if (then->word != now->word || then->length != now->length ||
		    then->block != now->block || then->operation != now->operation ||
		    memcmp(then->payload, now->payload, sizeof(now->payload)) != 0)
			complain("slot %u is not as it was in another run", number);
	}
}

static void kill_at(const struct film *film, uint32_t position, enum heir heir,
		    struct row *row)
{
	const struct operation *const operation = film->subject.operation;
	struct fates of_scene;
	const struct fates *const scene = scene_of(operation, &of_scene);
	struct subject subject;

	trouble_where("%s: killed after %u instructions, %s", operation->name, position,
		      heir_name(heir));
	subject = subject_start(operation);
	if (!subject_run_to(&subject, &film->trace, position))
		complain("another run does not come there");
	else if (!operation->desk)
		check_same(film, position);
	subject_kill(&subject);
	world.lost_code = heir == HEIR_SUPERVISOR ? SIGKILL : 0;
	recover_and_check(operation, heir, &subject.who, scene);
	subject_reap(&subject);
	close(subject.who.pidfd);
	row->kills++;
}

/* ---- three: stops ---- */

/* The others come to their ends while the subject is frozen: under the eyes of the
 * supervisor that knows it, or of a successor that finds it. */
static void let_others_finish(const struct operation *operation,
			      const struct fates *fates, enum heir heir)
{
	const int64_t now_ns = cadre_clock_ns() + TICK_LATER_NS;

	if (heir == HEIR_SUCCESSOR) {
		operation_succeed();
	} else if (operation->subject != SUBJECT_SUPERVISOR) {
		cadre_survey(&world.view, now_ns, &world.supervisor.survey);
		cadre_staff_tick(&world.supervisor, now_ns);
	}
	if (operation->subject != SUBJECT_SUPERVISOR)
		fates_check_sleepers(fates);
	world_finish_all();
}

/* From where it is frozen to its end. */
static void resume(struct subject *subject, bool at_mark)
{
	int status = 0;

	if (!at_mark && subject_go_on(subject, &status) != SUBJECT_MARKED) {
		complain("it did not come to the end of its operation (status %#x)",
			 status);
		subject_kill(subject);
		return;
	}
	world_finish_all();
	if (subject_go_on(subject, &status) != SUBJECT_ENDED || status != 0) {
		complain("it did not come to its own end (status %#x)", status);
		subject_kill(subject);
	}
}

/* Its end is the death of those who have no more to do. */
static void end_and_check(const struct subject *subject, const struct fates *fates)
{
	world.supervisor_away = false;
	if (subject->operation->subject == SUBJECT_SUPERVISOR)
		world_supervise(NULL);
	else
		recover(HEIR_SUPERVISOR, &subject->who);
	for (unsigned client = 0; client < WORLD_CLIENTS; client++)
		bury_leaver(client);
	world_finish_all();
	fates_check_recovery(fates, false);
	fates_check_end(fates);
	fates_check_rest();
	world_go_on();
	fates_check_rest();
}

static void stop_at(const struct film *film, uint32_t position, enum heir heir,
		    struct row *row)
{
	const struct operation *const operation = film->subject.operation;
	struct subject subject;
	struct fates fates;

	trouble_where("%s: frozen after %u instructions, %s", operation->name, position,
		      heir_name(heir));
	subject = subject_start(operation);
	if (!subject_run_to(&subject, &film->trace, position))
		complain("another run does not come there");
	fates = fates_tell(operation, true);
	let_others_finish(operation, &fates, heir);
	resume(&subject, position >= film->trace.length);
	subject_reap(&subject);
	end_and_check(&subject, &fates);
	close(subject.who.pidfd);
	row->stops++;
}

/* A frozen supervisor holds its lock, so it has no successor: nobody recovers. */
static void sweep_position(const struct film *film, uint32_t position, struct row *row)
{
	const struct operation *const operation = film->subject.operation;
	const bool supervises = operation->subject == SUBJECT_SUPERVISOR;

	if (supervises) {
		kill_at(film, position, HEIR_SUCCESSOR, row);
		stop_at(film, position, HEIR_SUPERVISOR, row);
		return;
	}
	for (enum heir heir = HEIR_SUPERVISOR;
	     heir <= (full ? HEIR_SUCCESSOR : HEIR_SUPERVISOR); heir++) {
		kill_at(film, position, heir, row);
		stop_at(film, position, heir, row);
	}
}

/* Before each instruction that changes the segment, behind it, and one later. */
static void sweep_positions(const struct film *film, struct row *row)
{
	uint32_t done = 0, turn = 0;

	for (uint32_t image = 1; image < film->count; image++) {
		const uint32_t position = film->images[image].position;

		for (uint32_t p = position - 1; p <= position + 1; p++) {
			if (p < done || p > film->trace.length)
				continue;
			done = p + 1;
			if (full || turn++ % QUICK_EVERY == 0)
				sweep_position(film, p, row);
			else
				row->left_out++;
		}
	}
}

/* ---- four: deaths during the recovery from a death ---- */

static struct {
	const struct film *film;
	uint32_t image;
	enum heir heir;
} first_death;

static void set_first_death(void)
{
	film_show(first_death.film, first_death.image);
	world_supervise(&first_death.film->subject.who);
}

static int recover_from_first_death(void)
{
	recover(first_death.heir, &first_death.film->subject.who);
	return 0;
}

static void sweep_second_deaths(const struct film *film, struct row *row)
{
	for (uint32_t image = 0; image < film->count; image++) {
		for (enum heir heir = HEIR_SUPERVISOR; heir <= HEIR_SUCCESSOR; heir++) {
			const struct operation recovery = {
				.name = film->subject.operation->name,
				.subject = SUBJECT_SUPERVISOR,
				.setup = set_first_death,
				.act = recover_from_first_death,
			};
			struct row inner = { 0 };
			struct film second;

			if (film->images[image].again)
				continue;
			first_death.film = film;
			first_death.image = image;
			first_death.heir = heir;
			trouble_where("%s: image %u, then recovery by the %s",
				      recovery.name, image, heir_name(heir));
			if (film_shoot(&recovery, &second))
				sweep_images(&second, &inner);
			row->recovery_instructions += second.trace.length;
			row->second_deaths += inner.images;
			film_free(&second);
		}
	}
}

/* ---- all of it ---- */

static struct row sweep(const struct operation *operation)
{
	const unsigned before = trouble_count();
	struct row row = { 0 };
	struct film film;

	trouble_where("%s", operation->name);
	if (film_shoot(operation, &film)) {
		row.instructions = film.trace.length;
		sweep_images(&film, &row);
		sweep_positions(&film, &row);
		if (full && operation->subject != SUBJECT_SUPERVISOR)
			sweep_second_deaths(&film, &row);
	}
	film_free(&film);
	row.violations = trouble_count() - before;
	return row;
}

static void print_head(void)
{
	printf("%-28s %12s %6s %10s %11s %5s %5s %10s\n", "operation", "instructions",
	       "images", "recoveries", "2nd deaths", "kills", "stops", "violations");
}

static void print_row(const char *name, const struct row *row)
{
	printf("%-28s %12llu %6u %10u %11u %5u %5u %10u\n", name,
	       (unsigned long long)row->instructions, row->images, row->recoveries,
	       row->second_deaths, row->kills, row->stops, row->violations);
	fflush(stdout);
}

static void add_row(struct row *sum, const struct row *row)
{
	sum->instructions += row->instructions;
	sum->recovery_instructions += row->recovery_instructions;
	sum->images += row->images;
	sum->recoveries += row->recoveries;
	sum->second_deaths += row->second_deaths;
	sum->kills += row->kills;
	sum->stops += row->stops;
	sum->left_out += row->left_out;
	sum->violations += row->violations;
}

static bool sweep_all(const char *name)
{
	struct row sum = { 0 };

	print_head();
	for (size_t i = 0; i < operation_count; i++) {
		struct row row;

		if (name && !strstr(operations[i].name, name))
			continue;
		row = sweep(&operations[i]);
		print_row(operations[i].name, &row);
		add_row(&sum, &row);
	}
	print_row("total", &sum);
	if (full)
		printf("second deaths: during %llu instructions of recovery\n",
		       (unsigned long long)sum.recovery_instructions);
	else
		printf("left out by the quick round: kills and stops at %u more places, "
		       "successors for them, second deaths\n",
		       sum.left_out);
	return sum.violations == 0;
}

/* ---- mutants ---- */

/* Sweeps until the first violation; kills and stops only where images do not tell. */
static bool is_caught(const struct mutant *mutant)
{
	trouble_expect(true);
	mutant_choose(mutant);
	for (size_t i = 0; i < operation_count && trouble_count() == 0; i++) {
		struct row row = { 0 };
		struct film film;

		if (!mutant_concerns(mutant, operations[i].name))
			continue;
		trouble_where("%s", operations[i].name);
		if (film_shoot(&operations[i], &film)) {
			sweep_images(&film, &row);
			if (trouble_count() == 0)
				sweep_positions(&film, &row);
		}
		film_free(&film);
	}
	mutant_choose(NULL);
	return trouble_count() > 0;
}

static bool sweep_mutants(void)
{
	const bool was_full = full;
	unsigned caught = 0;

	full = true;
	for (size_t i = 0; i < mutant_count; i++) {
		const bool is = is_caught(&mutants[i]);

		caught += is;
		printf("mutant: %s\n    %s%s\n", mutants[i].what,
		       is ? "caught: " : "NOT CAUGHT", is ? trouble_first() : "");
		fflush(stdout);
	}
	full = was_full;
	trouble_expect(false);
	printf("%zu mutants, %u caught\n", mutant_count, caught);
	return caught == mutant_count;
}

static int list(void)
{
	for (size_t i = 0; i < operation_count; i++)
		printf("%s\n", operations[i].name);
	return 0;
}

int main(int argc, char *argv[])
{
	const char *const what = argc > 1 ? argv[1] : "quick";
	const bool only_mutants = strcmp(what, "mutants") == 0;
	bool fine = true;

	if (strcmp(what, "list") == 0)
		return list();
	if (argc > 3 ||
	    (strcmp(what, "quick") != 0 && strcmp(what, "full") != 0 && !only_mutants)) {
		fprintf(stderr, "usage: sweep [quick|full] [NAME] | mutants | list\n");
		return EXIT_USAGE;
	}
	full = strcmp(what, "full") == 0;
	if (!stepper_works()) {
		printf("ptrace is not permitted here\n");
		return EXIT_SKIPPED;
	}
	if (world_open() < 0)
		return EXIT_VIOLATIONS;
	if (!only_mutants)
		fine = sweep_all(argc > 2 ? argv[2] : NULL);
	if (argc < 3)
		fine = sweep_mutants() && fine;
	world_close();
	printf("%s\n", fine ? "0 violations" : "violations were found");
	return fine ? 0 : EXIT_VIOLATIONS;
}
