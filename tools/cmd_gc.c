/*
 * cadre gc - remove what dead pools left in /dev/shm.
 *
 * What is garbage the library decides; this file prints what it says. A pool that somebody
 * supervises, works for or is a client of is never touched.
 *
 * Exit status: 0 done, also when there was nothing to do; 1 the report cannot be written;
 * 2 the pool that was named is not there; 64 wrong arguments.
 */
#include "commands.h"
#include "options.h"

#include <cadre/pool.h>

#include <errno.h>
#include <stdio.h>

struct options {
	const char *pool; /* NULL: all */
	unsigned flags;
};

static const struct argp_option argp_options[] = {
	{ "dry-run", 'n', NULL, 0, "Say what would be removed, and remove nothing", 0 },
	{ 0 },
};

static const char documentation[] =
	"Removes segment, socket and lock of each pool, or of POOL alone, that has neither a "
	"supervisor nor a living worker or client.\v"
	"One line is printed for each pool that was removed, and for each that has no "
	"supervisor and was kept, with the reason.\n\n"
	"Exit status: 0 done, also when there was nothing to do; 1 the report cannot be "
	"written; 2 POOL is not there; 64 wrong arguments.\n\n"
	"Example:\n"
	"  cadre gc --dry-run";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *const options = state->input;

	switch (key) {
	case 'n':
		options->flags |= CADRE_GC_DRY_RUN;
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

static int refuse_pool(const char *pool, int error)
{
	if (error == -ENOENT) {
		fprintf(stderr,
			"cadre gc: there is no pool \"%s\", and nothing is left of one\n",
			pool);
		return CADRE_EXIT_POOL;
	}
	fprintf(stderr, "cadre gc: \"%s\" is no name for a pool\n", pool);
	return CADRE_EXIT_USAGE;
}

int cadre_cmd_gc(int argc, char **argv)
{
	struct options options = { 0 };
	int removed;

	argp_parse(&argp, argc, argv, 0, NULL, &options);

	removed = cadre_collect_garbage(options.pool, options.flags, cadre_print_line,
					NULL);
	if (removed < 0)
		return refuse_pool(options.pool, removed);
	if (removed == 0)
		puts("nothing to remove");
	return cadre_finish_output("cadre gc");
}
