#include "stage.h"
#include "child.h"
#include "clock.h"
#include "ledger.h"
#include "scene.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STORY_SECONDS 60
#define PATIENCE_NS (20 * CADRE_NS_PER_S)

char stage_pool[CADRE_NAME_MAX + 1];

/* ---- processes ---- */

static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool stage_has_ended(pid_t pid, int *ret_status)
{
	int status;

	if (waitpid(pid, &status, WNOHANG) != pid)
		return false;
	*ret_status = status_of(status);
	return true;
}

int stage_await_end(pid_t pid)
{
	const int64_t late_ns = cadre_clock_in_ns(PATIENCE_NS);
	int status = -1;

	while (!stage_has_ended(pid, &status)) {
		if (cadre_clock_ns() > late_ns) {
			ledger_complain("process %d does not end", (int)pid);
			kill(pid, SIGKILL);
			return child_end(pid);
		}
		child_pause_ms(1);
	}
	return status;
}

pid_t stage_fork(void (*part)(void *context), void *context)
{
	const pid_t story = getpid();
	const pid_t pid = fork();

	if (pid < 0)
		abort();
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != story)
		_exit(CHILD_FAILED);
	alarm(STORY_SECONDS);
	part(context);
	_exit(CHILD_FINE);
}

bool stage_is_gone(pid_t pid)
{
	return strchr("XZ", child_state(pid));
}

/* Everybody who is left is a child of the story by now, or will be soon. */
static void await_everybody(void)
{
	const int64_t late_ns = cadre_clock_in_ns(PATIENCE_NS);

	for (;;) {
		const pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 && errno == ECHILD)
			return;
		if (pid == 0 && cadre_clock_ns() > late_ns) {
			ledger_complain("%u processes were left behind", scene_children());
			return;
		}
		if (pid == 0)
			child_pause_ms(1);
	}
}

struct play {
	void (*story)(const void *context);
	const void *context;
};

static int perform(void *context)
{
	const struct play *const play = context;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	alarm(STORY_SECONDS);
	play->story(play->context);
	await_everybody();
	return ledger_complaint() ? CHILD_FAILED : CHILD_FINE;
}

const char *stage_play(void (*story)(const void *context), const void *context)
{
	struct play play = { .story = story, .context = context };
	struct scene scene;
	const char *leftovers;
	int status;

	ledger_open();
	scene_begin(&scene);
	memcpy(stage_pool, scene.pool, sizeof(stage_pool));
	status = child_run(perform, &play);
	leftovers = scene_leftovers(&scene);
	if (status == 128 + SIGALRM)
		ledger_complain("the story did not come to an end");
	else if (status != CHILD_FINE)
		ledger_complain("the story ended with status %d", status);
	if (leftovers)
		ledger_complain("%s", leftovers);
	return ledger_complaint();
}

bool stage_await(bool (*condition)(const void *context), const void *context,
		 const char *what)
{
	const int64_t late_ns = cadre_clock_in_ns(PATIENCE_NS);

	while (!condition(context)) {
		if (cadre_clock_ns() > late_ns) {
			ledger_complain("%s", what);
			return false;
		}
		child_pause_ms(1);
	}
	return true;
}

/* ---- the segment ---- */

struct cadre_view stage_view(void)
{
	struct cadre_view view = { 0 };
	struct cadre_diag diag = { "" };

	if (cadre_layout_open(stage_pool, false, &view, &diag) < 0) {
		ledger_complain("the segment cannot be looked at: %s", diag.text);
		_exit(CHILD_FAILED);
	}
	return view;
}

/* Where nobody sits, nobody is up, asleep or engaged. */
static void check_crew(const struct cadre_view *view)
{
	for (unsigned worker = 0; worker < view->seat_count; worker++) {
		const struct cadre_crew *const crew = cadre_view_crew(view, worker);
		const struct cadre_place *const place = &view->worker_places[worker];
		const uint64_t before = cadre_place_look(place);
		const enum cadre_place_state state = cadre_place_state_of(before);
		const bool any = cadre_mask_has(&crew->up, worker) ||
				 cadre_mask_has(&crew->sleepers, worker) ||
				 cadre_mask_has(&crew->engaged, worker);

		atomic_thread_fence(memory_order_acquire);
		if (any && (state == CADRE_PLACE_VACANT || state == CADRE_PLACE_WAITING) &&
		    cadre_place_look(place) == before)
			ledger_complain("worker %u is gone, its bits are not", worker);
	}
}

static void check_books(const struct cadre_view *view)
{
	for (uint32_t number = 0; number < view->slot_count; number++) {
		const uint64_t before = cadre_slot_look(&view->slots[number]);
		const uint64_t sum = cadre_books_sum(&view->books[number]);

		/* It moved on while we looked: another time. */
		if (cadre_slot_look(&view->slots[number]) != before)
			continue;
		if (!cadre_books_balance(before, sum))
			ledger_complain("slot %u: word %#llx beside a sum of %llu",
					number, (unsigned long long)before,
					(unsigned long long)sum);
	}
}

void stage_check(const struct cadre_view *view)
{
	check_books(view);
	check_crew(view);
}

static bool slots_rest(const struct cadre_view *view, char *why, size_t size)
{
	for (uint32_t number = 0; number < view->slot_count; number++) {
		const uint64_t word = cadre_slot_look(&view->slots[number]);
		const uint64_t sum = cadre_books_sum(&view->books[number]);

		if (cadre_word_is_vacant(word, sum) && cadre_word_generation(word) == sum)
			continue;
		snprintf(why, size,
			 "slot %u of window %u: word %#llx beside a sum of %llu",
			 number % view->limits.slots, cadre_view_window_of(view, number),
			 (unsigned long long)word, (unsigned long long)sum);
		return false;
	}
	return true;
}

static bool blocks_rest(const struct cadre_view *view, char *why, size_t size)
{
	const struct cadre_block_pool blocks = cadre_layout_blocks(view);
	uint32_t used[CADRE_BLOCK_CLASSES];

	cadre_block_count_used(&blocks, used);
	for (uint32_t class = 0; class < view->plan.classes; class ++) {
		if (used[class] == 0)
			continue;
		snprintf(why, size, "%u blocks of %llu bytes are in use", used[class],
			 (unsigned long long)view->plan.size[class]);
		return false;
	}
	return true;
}

/* Nobody here attaches twice, so a second window is one that its owner does not know of. */
static bool has_two_windows(const struct cadre_view *view, pid_t pid)
{
	unsigned windows = 0;

	for (unsigned client = 0; client < view->limits.clients; client++)
		windows += cadre_place_who(&view->client_places[client]).pid == pid;
	return windows > 1;
}

static bool clients_rest(const struct cadre_view *view, char *why, size_t size)
{
	for (unsigned client = 0; client < view->limits.clients; client++) {
		const struct cadre_place *const place = &view->client_places[client];
		const enum cadre_place_state state = cadre_place_state_of(
			cadre_place_look(place));
		const bool leased = cadre_mask_has(&view->header->leased, client);
		const pid_t pid = cadre_place_who(place).pid;

		if (state == CADRE_PLACE_UP && leased && kill(pid, 0) == 0 &&
		    !has_two_windows(view, pid))
			continue;
		if (state == CADRE_PLACE_VACANT && !leased)
			continue;
		snprintf(why, size, "window %u: state %d, %s, pid %d", client, (int)state,
			 leased ? "leased" : "not leased", (int)pid);
		return false;
	}
	return true;
}

static bool workers_rest(const struct cadre_view *view, char *why, size_t size)
{
	for (unsigned worker = 0; worker < view->seat_count; worker++) {
		const struct cadre_crew *const crew = cadre_view_crew(view, worker);
		const struct cadre_place *const place = &view->worker_places[worker];
		const enum cadre_place_state state = cadre_place_state_of(
			cadre_place_look(place));
		const bool up = cadre_mask_has(&crew->up, worker);
		const bool sleeps = cadre_mask_has(&crew->sleepers, worker);
		const bool engaged = cadre_mask_has(&crew->engaged, worker);
		const uint64_t workload = cadre_count_read(
			&view->worker_stats[worker].worker.workload);

		if (up == (state == CADRE_PLACE_UP) && (up || !sleeps) && !engaged &&
		    workload == 0)
			continue;
		snprintf(why, size, "worker %u: state %d,%s%s%s workload %llu", worker,
			 (int)state, up ? " up" : "", sleeps ? " asleep" : "",
			 engaged ? " engaged" : "", (unsigned long long)workload);
		return false;
	}
	return true;
}

static bool tokens_rest(const struct cadre_view *view, char *why, size_t size)
{
	const uint32_t count = cadre_token_count(&view->tokens);

	if (count == 0)
		return true;
	snprintf(why, size, "%u tokens are in use", count);
	return false;
}

void stage_await_rest(const struct cadre_view *view, struct ledger_party *resident)
{
	const int64_t late_ns = cadre_clock_in_ns(PATIENCE_NS);
	char why[200] = "";
	unsigned looks = 0;

	while (!slots_rest(view, why, sizeof(why)) ||
	       !blocks_rest(view, why, sizeof(why)) ||
	       !clients_rest(view, why, sizeof(why)) ||
	       !workers_rest(view, why, sizeof(why)) ||
	       !tokens_rest(view, why, sizeof(why))) {
		if (cadre_clock_ns() > late_ns) {
			ledger_complain("no rest: %s", why);
			return;
		}
		if (resident && ++looks % 16 == 0)
			ledger_party_call(resident);
		child_pause_ms(1);
	}
	if (cadre_count_read(&view->header->counters.impossible_words))
		ledger_complain("impossible words were seen");
}
