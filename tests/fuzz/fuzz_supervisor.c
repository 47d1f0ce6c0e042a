/*
 * fuzz_supervisor.c - all that a supervisor does by what it reads: adopt, survey, reap, tick,
 * drain, terminate. It forks and kills nobody here; machine.c sees to that.
 */
#include "fuzz.h"

#include "supervisor.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cadre_source source;

static void begin(struct cadre_supervisor *supervisor, const struct cadre_view *view)
{
	cadre_supervisor_init(supervisor);
	supervisor->source = &source;
	supervisor->options.size = sizeof(supervisor->options);
	supervisor->options.name = FUZZ_POOL;
	supervisor->options.workers_max = 2;
	memcpy(supervisor->pool, FUZZ_POOL, sizeof(FUZZ_POOL));
	supervisor->view = *view;
	supervisor->phase = CADRE_SERVING;
	supervisor->random = 1;
	if (cadre_pool_options_complete(&supervisor->options, NULL) < 0 ||
	    cadre_staff_init(supervisor) < 0 || cadre_lease_init(supervisor) < 0)
		abort();
}

static void tick(struct cadre_supervisor *supervisor)
{
	const int64_t now_ns = cadre_now_ns();

	cadre_survey(&supervisor->view, now_ns, &supervisor->survey);
	FUZZ_CHECK(supervisor->survey.queued + supervisor->survey.running +
			   supervisor->survey.impossible <=
		   supervisor->view.slot_count);
	cadre_staff_tick(supervisor, now_ns);
	cadre_lease_tick(supervisor, now_ns);
	cadre_staff_next_ns(supervisor);
}

static void operate(struct cadre_supervisor *supervisor, struct fuzz_script *script,
		    uint8_t operation)
{
	const struct cadre_view *const view = &supervisor->view;
	const unsigned worker = operation >> 4 & 1;
	const unsigned client = operation >> 4 & 1;
	const int32_t code = (int32_t)fuzz_byte(script) - 3;
	struct cadre_event event = { 0 };

	switch (operation & 15) {
	case 0:
	case 1:
	case 2:
		tick(supervisor);
		break;
	case 3:
		cadre_reap_worker(view, worker,
				  (struct cadre_obituary){ .pid = 1, .code = code },
				  &event);
		break;
	case 4:
		FUZZ_CHECK(cadre_reap_client(view, client) <= view->limits.slots);
		break;
	case 5:
		cadre_terminate_jobs(view);
		break;
	case 6:
		cadre_ring_everyone(view);
		break;
	case 7:
		fuzz_machine.all_dead = true;
		cadre_staff_died(supervisor, worker);
		fuzz_machine.all_dead = false;
		break;
	case 8:
		fuzz_machine.all_dead = true;
		cadre_lease_client_died(supervisor, client);
		fuzz_machine.all_dead = false;
		break;
	case 9:
		fuzz_machine.now_ns += INT64_C(1) << (operation >> 4 & 7) * 6;
		break;
	case 10:
		cadre_size_hire(supervisor, worker + 1);
		break;
	case 11:
		cadre_staff_dismiss_all(supervisor);
		break;
	case 12:
		cadre_staff_kill_all(supervisor);
		break;
	case 13:
		cadre_supervisor_stop(supervisor);
		break;
	case 14:
		cadre_lease_is_draining(supervisor);
		break;
	case 15:
		cadre_supervisor_terminate(supervisor);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = { .next = data, .end = data + size };
	struct cadre_supervisor supervisor;
	const struct cadre_view *const view = fuzz_segment(&script);
	uint8_t operation;

	begin(&supervisor, view);
	/* What a dead predecessor left. */
	fuzz_next(&script, &operation);
	supervisor.inherited = true;
	cadre_annals_resume(&view->events);
	cadre_annals_resume(&view->crashes);
	cadre_annals_resume(&view->kept);
	cadre_staff_adopt(&supervisor);
	cadre_lease_adopt(&supervisor);
	for (unsigned i = 0; i < 100 && fuzz_next(&script, &operation); i++)
		operate(&supervisor, &script, operation);
	cadre_staff_fini(&supervisor);
	cadre_lease_fini(&supervisor);
	return 0;
}
