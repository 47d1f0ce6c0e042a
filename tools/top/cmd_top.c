/*
 * cadre top - watch a pool on a terminal.
 *
 * Read-only, as cadre stat: it maps the segment without write permission and asks no
 * process. When the pool ends it says so and waits for one of the same name.
 *
 * Exit status: 0 ended by a key or with its terminal, 1 there is no terminal to draw on,
 * 2 pool missing or unreadable, 64 wrong arguments.
 */
#include "../commands.h"
#include "../options.h"
#include "screen.h"
#include "top.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define NS_PER_MS INT64_C(1000000)
#define INTERVAL_NS (1000 * NS_PER_MS)
#define INTERVAL_LEAST_NS (100 * NS_PER_MS)
#define INTERVAL_MOST_NS (60000 * NS_PER_MS)
#define SCROLL_END (1 << 20)

struct options {
	const char *pool; /* NULL: the only one */
	int64_t interval_ns;
};

static const struct argp_option argp_options[] = {
	{ "interval", 'n', "TIME", 0, "From look to look, 100ms to 1m (1s)", 0 },
	{ 0 },
};

static const char documentation[] =
	"Watches POOL, or the only pool of this machine: a map of its workers, their load, "
	"idle time and latencies, operations, clients, the last events. The key h shows what "
	"the keys do; q ends it.\v"
	"On a slow line a longer --interval helps: only what changed is sent. NO_COLOR in the "
	"environment switches colours off.\n\n"
	"Exit status: 0 ended by a key, or with its terminal; 1 no terminal to draw on; 2 pool "
	"missing or unreadable; 64 wrong arguments.\n\n"
	"Example:\n"
	"  cadre top --interval 500ms orders";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *const options = state->input;

	switch (key) {
	case 'n':
		options->interval_ns = cadre_option_duration(state, "--interval", arg);
		if (options->interval_ns < INTERVAL_LEAST_NS ||
		    options->interval_ns > INTERVAL_MOST_NS)
			cadre_refuse_usage(state,
					   "--interval %s: must be from 100ms to 1m", arg);
		return 0;
	case ARGP_KEY_ARG:
		cadre_take_pool(state, &options->pool, arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.args_doc = "[POOL]",
	.doc = documentation,
};

/* ---- looking ---- */

/* Reads everything anew. Negative errno while there is nothing to show; the sentence is in
 * top->pools.diag. */
static int look(struct top *top)
{
	const int r = cadre_stat_pools_read(&top->pools);

	if (top->pools.count == 0 || r == -ENOMEM)
		return r;
	top->report = top->pools.pool[0].report;
	top->sampler = top->pools.pool[0].sampler;
	top->snapshot = top->pools.pool[0].pool;
	return 0;
}

/* ---- drawing ---- */

/* Returns the line behind what can be scrolled. */
static int draw_view(struct top *top, int line)
{
	switch (top->view) {
	case TOP_DETAIL:
		return top_draw_detail(top, line);
	case TOP_EVENT:
		return top_draw_event(top, line);
	case TOP_HELP:
		return top_draw_help(top, line);
	default:
		top_draw_table(top, top_tables[top->view], line);
		return line;
	}
}

/* Nobody scrolls farther than the end: true when somebody had. */
static bool limit_scroll(struct top *top, int end)
{
	const int below = screen_lines() - 1 - end;
	const int back = below < top->scroll ? below : top->scroll;

	if (back <= 0)
		return false;
	top->scroll -= back;
	return true;
}

static void draw(struct top *top)
{
	int end;

	do {
		screen_begin();
		end = draw_view(top, top_draw_head(top));
		screen_clip(0);
	} while (limit_scroll(top, end));
	screen_write_line(screen_lines() - 1, SCREEN_PLAIN, "");
	screen_write(screen_lines() - 1, 0, SCREEN_DIM,
		     "w workers  o operations  c clients  e events  Enter detail  L %s  h help  "
		     "q quit",
		     cadre_latency_name(top->latency));
	screen_show();
}

/* ---- keys ---- */

static void open_view(struct top *top, enum top_view view)
{
	top->scroll = 0;
	if (top->view < TOP_TABLES)
		top->before = top->view;
	top->view = view;
}

static void open_detail(struct top *top)
{
	uint32_t marked;

	if (top->view != TOP_WORKERS && top->view != TOP_EVENTS)
		return;
	marked = top_table_marked(top, top_tables[top->view]);
	if (marked == UINT32_MAX)
		return;
	if (top->view == TOP_WORKERS) {
		top->worker = marked;
		open_view(top, TOP_DETAIL);
	} else {
		top->event = top_event_at(top, marked)->number;
		top->event_of = top->pools.pool[0].successors;
		open_view(top, TOP_EVENT);
	}
}

static void change_interval(struct top *top, bool longer)
{
	const int64_t ns = longer ? top->interval_ns * 2 : top->interval_ns / 2;

	if (ns >= INTERVAL_LEAST_NS && ns <= INTERVAL_MOST_NS)
		top->interval_ns = ns;
}

/* The end is found when it is drawn. */
static bool scroll(struct top *top, int key)
{
	const int page = screen_lines() / 2;

	switch (key) {
	case SCREEN_DOWN:
	case 'j':
		top->scroll++;
		return true;
	case SCREEN_UP:
	case 'k':
		top->scroll -= top->scroll > 0;
		return true;
	case SCREEN_PAGE_DOWN:
		top->scroll += page;
		return true;
	case SCREEN_PAGE_UP:
		top->scroll -= page < top->scroll ? page : top->scroll;
		return true;
	case SCREEN_HOME:
		top->scroll = 0;
		return true;
	case SCREEN_END:
		top->scroll = SCROLL_END;
		return true;
	default:
		return false;
	}
}

/* False when it is time to go. */
static bool handle_key(struct top *top, int key)
{
	if (top->view >= TOP_TABLES && scroll(top, key))
		return true;
	if (top->view < TOP_TABLES && top_table_key(top, top_tables[top->view], key))
		return true;
	switch (key) {
	case 'w':
		open_view(top, TOP_WORKERS);
		break;
	case 'o':
		open_view(top, TOP_OPERATIONS);
		break;
	case 'c':
		open_view(top, TOP_CLIENTS);
		break;
	case 'e':
		open_view(top, TOP_EVENTS);
		break;
	case 'h':
	case '?':
		open_view(top, TOP_HELP);
		break;
	case SCREEN_ENTER:
		open_detail(top);
		break;
	case 'L':
		top->latency = (top->latency + 1) % CADRE_LATENCY_KINDS;
		break;
	case 'i':
		top->hides_idle = !top->hides_idle;
		break;
	case 'p':
		top->paused = !top->paused;
		break;
	case '+':
	case '-':
		change_interval(top, key == '+');
		break;
	case 'q':
	case SCREEN_ESCAPE:
		if (top->view < TOP_TABLES)
			return key != 'q';
		top->view = top->before;
		break;
	default:
		break;
	}
	return true;
}

/* ---- the loop ---- */

static volatile sig_atomic_t end_wished;

static void wish_to_end(int signal_number)
{
	(void)signal_number;
	end_wished = 1;
}

/* Looks, draws, and hears keys until it is time to look again. 0, or what prevents a look. */
static int watch(struct top *top)
{
	int64_t due_ns = 0;
	int key = SCREEN_NOTHING;

	while (!end_wished && key != SCREEN_GONE) {
		const int64_t now_ns = cadre_now_ns();

		if (now_ns >= due_ns) {
			const int r = top->paused ? 0 : look(top);

			if (r < 0)
				return r;
			due_ns = now_ns + top->interval_ns;
		}
		draw(top);
		key = screen_key((due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
		if (key != SCREEN_NOTHING && !handle_key(top, key))
			return 0;
		/* A shorter interval counts at once. */
		if (due_ns > now_ns + top->interval_ns)
			due_ns = now_ns + top->interval_ns;
	}
	return 0;
}

static int refuse(const struct top *top)
{
	fprintf(stderr, "cadre top: %s%s%s\n", top->pools.diag.text,
		top->pools.choice ? ": " : "", top->pools.choice ? top->pools.choice : "");
	return cadre_open_status(top->pools.error);
}

static int show(struct top *top)
{
	const struct sigaction end = { .sa_handler = wish_to_end };
	int r;

	if (!screen_open()) {
		fprintf(stderr,
			"cadre top: cannot draw on this terminal: its type (TERM) is unknown\n");
		return CADRE_EXIT_FAILED;
	}
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGHUP, &end, NULL);
	for (int view = 0; view < TOP_TABLES; view++)
		top->cursors[view] = (struct top_cursor){
			.sort = top_tables[view]->sort,
			.upwards = top_tables[view]->upwards,
		};
	r = watch(top);
	screen_close();
	return r < 0 ? refuse(top) : CADRE_EXIT_OK;
}

static int look_and_show(struct top *top)
{
	const int status = look(top) < 0 ? refuse(top) : show(top);

	cadre_stat_pools_fini(&top->pools);
	return status;
}

int cadre_cmd_top(int argc, char **argv)
{
	struct options options = { .interval_ns = INTERVAL_NS };
	struct top top = { .latency = CADRE_LATENCY_SERVICE };

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)) {
		fprintf(stderr,
			"cadre top: there is no terminal to draw on (cadre stat shows the same "
			"as text)\n");
		return CADRE_EXIT_FAILED;
	}
	top.interval_ns = options.interval_ns;
	cadre_stat_pools_init(&top.pools, options.pool, false, 0);
	return look_and_show(&top);
}
