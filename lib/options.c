/*
 * options.c - what a pool was asked to be: defaults filled in, and what cannot be refused.
 */
#include "clock.h"
#include "diag.h"
#include "supervisor.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SPREAD_NS (50 * CADRE_NS_PER_US)
#define SPREAD_IO_NS (200 * CADRE_NS_PER_US)
#define LOCALS 8

static void default_u32(uint32_t *value, uint32_t standard)
{
	if (*value == 0)
		*value = standard;
}

static void default_ns(int64_t *value, int64_t standard_s)
{
	if (*value == 0)
		*value = standard_s * CADRE_NS_PER_S;
}

/* Here and not with the limits of the segment, which knows places only. */
static int check_size(const struct cadre_pool_options *options, struct cadre_diag *diag)
{
	if (options->workers_max == CADRE_NONE && options->workers_min == 0)
		return 0;
	if (options->workers_max > CADRE_WORKERS_MAX)
		return cadre_refuse(diag, -EINVAL, "workers_max %u: must be 1 to %d",
				    options->workers_max, CADRE_WORKERS_MAX);
	if (options->workers_min > options->workers_max)
		return cadre_refuse(diag, -EINVAL,
				    "workers_min %u: is more than workers_max %u",
				    options->workers_min, options->workers_max);
	if (options->workers_limit < options->workers_max ||
	    options->workers_limit > CADRE_WORKERS_MAX)
		return cadre_refuse(diag, -EINVAL,
				    "workers_limit %u: must be workers_max (%u) to %d",
				    options->workers_limit, options->workers_max,
				    CADRE_WORKERS_MAX);
	return 0;
}

static uint32_t most(uint32_t one, uint32_t other)
{
	return one > other ? one : other;
}

/* One is to spare, so that a replacement can start first. */
static uint32_t places_of(const struct cadre_pool_options *options)
{
	if (options->workers_max == CADRE_NONE)
		return 0;
	return options->workers_limit < CADRE_WORKERS_MAX ? options->workers_limit + 1 :
							    CADRE_WORKERS_MAX;
}

/* CADRE_NONE stays what it is: the options are completed twice, by the program and by the
 * supervisor. */
static void default_places(struct cadre_pool_options *options)
{
	const unsigned cpus = cadre_process_cpus();
	uint32_t left;

	default_u32(&options->workers_max, most(options->workers_min, cpus));
	default_u32(&options->workers_limit, most(options->workers_max, cpus));
	left = CADRE_WORKERS_MAX - places_of(options);
	if (options->locals_max == 0)
		options->locals_max = left == 0     ? CADRE_NONE :
				      left < LOCALS ? left :
						      LOCALS;
}

int cadre_pool_options_complete(struct cadre_pool_options *options,
				struct cadre_diag *diag)
{
	if (options->size != sizeof(*options))
		return cadre_refuse(diag, -EINVAL,
				    "cadre_pool_options has size %zu: must be %zu",
				    options->size, sizeof(*options));
	if (options->start_length > CADRE_START_DATA_MAX)
		return cadre_refuse(diag, -EINVAL,
				    "start_length %zu: must not exceed %u bytes",
				    options->start_length, CADRE_START_DATA_MAX);
	if (options->start_length && !options->start_data)
		return cadre_refuse(diag, -EINVAL,
				    "start_length %zu: start_data must not be NULL then",
				    options->start_length);
	if (options->start_timeout_ns < 0 || options->idle_timeout_ns < 0 ||
	    options->stop_timeout_ns < 0 || options->grace_ns < 0 ||
	    options->orphan_ns < 0 || options->max_age_ns < 0 || options->hang_ns < 0)
		return cadre_refuse(diag, -EINVAL, "a time-out must not be negative");
	if ((unsigned)options->log_level > CADRE_LOG_TRACE)
		return cadre_refuse(diag, -EINVAL, "log_level %d: there are 0 (off) to %d",
				    (int)options->log_level, CADRE_LOG_TRACE);
	if (options->log_sinks &
	    ~(unsigned)(CADRE_LOG_TO_STDERR | CADRE_LOG_TO_SYSLOG | CADRE_LOG_TO_NOBODY))
		return cadre_refuse(diag, -EINVAL, "log_sinks 0x%x: there is no such sink",
				    options->log_sinks);
	if (options->log_sinks == 0)
		options->log_sinks = CADRE_LOG_TO_STDERR;
	default_places(options);
	default_u32(&options->parallel, 1);
	default_u32(&options->clients_max, 64);
	default_u32(&options->window_slots, 256);
	default_u32(&options->tokens_max, 1024);
	default_u32(&options->mode, 0600);
	if (options->payload_max == 0)
		options->payload_max = 1 << 20;
	if (options->block_bytes == 0)
		options->block_bytes = 20 << 20;
	if (options->spread_ns == 0)
		options->spread_ns = SPREAD_NS;
	default_ns(&options->start_timeout_ns, 30);
	default_ns(&options->idle_timeout_ns, 60);
	default_ns(&options->stop_timeout_ns, 30);
	default_ns(&options->grace_ns, 2);
	default_ns(&options->orphan_ns, 30);
	return check_size(options, diag);
}

int cadre_pool_options_for(enum cadre_preset preset, struct cadre_pool_options *options)
{
	const unsigned cpus = cadre_process_cpus();

	if (options->size != sizeof(*options))
		return -EINVAL;
	switch (preset) {
	case CADRE_CPU_BOUND:
		default_u32(&options->workers_max,
			    options->workers_min > cpus ? options->workers_min : cpus);
		default_u32(&options->workers_min, options->workers_max);
		default_u32(&options->parallel, 1);
		return 0;
	case CADRE_IO_BOUND:
		default_u32(&options->workers_max,
			    options->workers_min > cpus ? options->workers_min : cpus);
		default_u32(&options->workers_min, 1);
		default_u32(&options->parallel, 16);
		if (options->spin_ns == 0)
			options->spin_ns = -1;
		if (options->spread_ns == 0)
			options->spread_ns = SPREAD_IO_NS;
		return 0;
	}
	return -EINVAL;
}

struct cadre_limits cadre_pool_limits(const struct cadre_pool_options *options)
{
	return (struct cadre_limits){
		.workers = places_of(options),
		.workers_min = options->workers_min,
		.parallel = options->parallel,
		.clients = options->clients_max,
		.slots = options->window_slots,
		.tokens = options->tokens_max,
		.start_length = (uint32_t)options->start_length,
		.locals = options->locals_max == CADRE_NONE ? 0 : options->locals_max,
		.payload_max = options->payload_max,
		.block_bytes = options->block_bytes,
		.grace_ns = options->grace_ns,
		.orphan_ns = options->orphan_ns,
		.spin_ns = options->spin_ns,
		.spread_ns = options->spread_ns,
	};
}

int cadre_source_check(const struct cadre_source *source,
		       const struct cadre_pool_options *options, struct cadre_diag *diag)
{
	const int given = (source->service != NULL) + (source->file != NULL) +
			  (source->program != NULL);

	/* Local workers bring their own. */
	if (given == 0 && options->workers_max == CADRE_NONE)
		return 0;
	if (given != 1 || (source->program && !source->program[0]))
		return cadre_refuse(diag, -EINVAL,
				    "a pool needs a service, a shared object or a program: "
				    "exactly one of them");
	if (source->file && access(source->file, R_OK) < 0)
		return cadre_refuse(diag, -ENOEXEC, "cannot load the service \"%s\": %s",
				    source->file, strerror(errno));
	return source->service ? cadre_service_check(source->service, diag) : 0;
}
