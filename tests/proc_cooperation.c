/*
 * proc_cooperation.c - claims about workers that call workers: by channels that came in a
 * message or in start arguments, and what keeps them from waiting for ever.
 */
#include "claims.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../tools/services/cache.h"

TestSuite(cooperation, TROUPE);

enum { ERRAND = 50 };

/* Calls this operation with this number, there, and tells how it went. */
struct errand {
	struct cadre_channel to;
	int64_t deadline_ns;
	int32_t operation;
	uint32_t number;
	uint32_t flags;
	struct cadre_channel then; /* of an ERRAND that is itself the operation */
};

struct tidings {
	int32_t result; /* of cadre_job_call */
	int32_t outcome;
	int32_t code;
	int32_t worker;
	struct troupe_who who; /* when that was asked */
	uint32_t number;
	int32_t nested;            /* of an ERRAND: how its own went */
	struct cadre_channel self; /* of the worker that ran it */
};

static int run_errand(struct cadre_job *job, const struct errand *errand,
		      struct tidings *tidings)
{
	const struct errand next = { .to = errand->then,
				     .operation = TROUPE_ECHO,
				     .number = errand->number };
	const bool nested = errand->operation == ERRAND;
	const struct cadre_request request = {
		.operation = errand->operation,
		.flags = errand->flags,
		.data = nested ? (const void *)&next : &errand->number,
		.length = nested ? sizeof(next) : sizeof(errand->number),
		.deadline_ns = errand->deadline_ns,
		.to = &errand->to,
	};
	struct cadre_client *client;
	struct cadre_result result;
	int r = cadre_channel_open(&errand->to, &client, NULL);

	if (r < 0)
		return r;
	r = cadre_job_call(job, client, &request, &result);
	if (r == 0) {
		tidings->outcome = (int32_t)result.outcome;
		tidings->code = result.code;
		tidings->worker = result.worker;
		if (result.outcome == CADRE_OK && errand->operation == TROUPE_WHO)
			memcpy(&tidings->who, result.data, sizeof(tidings->who));
		else if (result.outcome == CADRE_OK && nested)
			tidings->nested = ((const struct tidings *)result.data)->result;
		else if (result.outcome == CADRE_OK && result.length == 4)
			memcpy(&tidings->number, result.data, 4);
		cadre_release(client, &result);
	}
	cadre_channel_close(client);
	return r;
}

static void go_on_an_errand(struct cadre_job *job, void *state)
{
	struct tidings tidings = { 0 };
	struct errand errand;
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	(void)state;
	memcpy(&errand, data, sizeof(errand));
	cadre_channel_of_job(job, &tidings.self);
	tidings.result = run_errand(job, &errand, &tidings);
	cadre_job_reply(job, &tidings, sizeof(tidings));
}

static struct cadre_service errands(unsigned flags)
{
	static struct cadre_operation operations[CADRE_OPERATIONS_MAX];
	struct cadre_service service = troupe_service;

	memcpy(operations, troupe_service.operations,
	       troupe_service.operation_count * sizeof(*operations));
	operations[service.operation_count++] = (struct cadre_operation){
		ERRAND, "errand", go_on_an_errand
	};
	service.operations = operations;
	service.flags = flags;
	return service;
}

static void start_errands(unsigned flags, struct cadre_pool_options options)
{
	static struct cadre_service service;

	service = errands(flags);
	cr_assert_eq(troupe_start(&troupe, &service, options), 0, "%s", troupe.diag.text);
}

static struct cadre_channel channel_to(uint32_t place)
{
	struct cadre_channel channel;

	cr_assert(eventually(cadre_channel_of_worker(troupe.client, place, &channel) == 0));
	return channel;
}

static struct cadre_channel channel_to_pool(void)
{
	struct cadre_channel channel;

	cadre_channel_of_pool(troupe.client, &channel);
	return channel;
}

static struct cadre_ticket send(const struct cadre_channel *whom, struct errand errand,
				int64_t deadline_ns)
{
	return submit((struct cadre_request){ .operation = ERRAND,
					      .data = &errand,
					      .length = sizeof(errand),
					      .deadline_ns = deadline_ns,
					      .to = whom });
}

static struct tidings hear(struct cadre_ticket ticket)
{
	const struct cadre_result result = await(ticket);
	struct tidings tidings;

	cr_assert_eq(result.outcome, CADRE_OK, "%s: %s",
		     cadre_outcome_name(result.outcome), result.sentence);
	cr_assert_eq(result.length, sizeof(tidings));
	memcpy(&tidings, result.data, sizeof(tidings));
	release(&result);
	return tidings;
}

/* ---- workers call workers ---- */

Test(cooperation, a_worker_calls_another_by_a_channel_that_came_in_the_message)
{
	struct cadre_channel first, second, pool;
	struct tidings tidings;

	start_errands(0,
		      (struct cadre_pool_options){ .workers_min = 2, .workers_max = 2 });
	first = channel_to(0);
	second = channel_to(1);
	pool = channel_to_pool();
	tidings = hear(send(&first,
			    (struct errand){
				    .to = second, .operation = TROUPE_ECHO, .number = 7 },
			    0));
	cr_assert_eq(tidings.result, 0);
	cr_assert_eq(tidings.worker, 1);
	cr_assert_eq(tidings.number, 7);
	/* To the pool: whoever has room, which the caller has not. */
	tidings = hear(
		send(&first,
		     (struct errand){ .to = pool, .operation = TROUPE_ECHO, .number = 8 },
		     0));
	cr_assert_eq(tidings.result, 0);
	cr_assert_eq(tidings.worker, 1);
	cr_assert_eq(tidings.number, 8);
}

Test(cooperation, a_handler_can_hand_on_the_channel_to_its_own_worker)
{
	struct cadre_channel second, self;

	start_errands(0,
		      (struct cadre_pool_options){ .workers_min = 2, .workers_max = 2 });
	second = channel_to(1);
	self = hear(send(&second,
			 (struct errand){ .to = channel_to(0), .operation = TROUPE_ECHO },
			 0))
		       .self;
	cr_assert_eq(memcmp(&self, &second, sizeof(self)), 0);
	cr_assert_eq(ask_who_at(&self).worker, 1);
}

Test(cooperation, a_call_whose_result_nobody_could_take_is_refused)
{
	struct cadre_channel first, second;

	start_errands(0,
		      (struct cadre_pool_options){ .workers_min = 2, .workers_max = 2 });
	first = channel_to(0);
	second = channel_to(1);
	cr_assert_eq(hear(send(&first,
			       (struct errand){ .to = second,
						.operation = TROUPE_LOG,
						.flags = CADRE_STREAM },
			       0))
			     .result,
		     -EINVAL);
	cr_assert_eq(hear(send(&first,
			       (struct errand){ .to = second,
						.operation = TROUPE_LOG,
						.flags = CADRE_DETACHED },
			       0))
			     .result,
		     -EINVAL);
	call_ok(ASK(TROUPE_ECHO, 1, .to = &second));
	cr_assert_eq(troupe.board->logged, 0, "and nothing was run for it");
}

Test(cooperation, a_call_to_a_worker_that_is_gone_says_so)
{
	struct cadre_channel gone;
	pid_t pid;

	start_errands(0,
		      (struct cadre_pool_options){ .workers_min = 2, .workers_max = 2 });
	gone = channel_to(1);
	pid = troupe_worker(troupe.scene.pool, 1);
	kill(pid, SIGKILL);
	cr_assert(eventually(troupe_is_gone(pid)));
	cr_assert(eventually(try_submit(ASK(TROUPE_ECHO, 1, .to = &gone)) == -EHOSTDOWN));
	cr_assert_eq(hear(send(NULL,
			       (struct errand){ .to = gone, .operation = TROUPE_ECHO }, 0))
			     .result,
		     -EHOSTDOWN);
}

/* ---- nobody waits for ever ---- */

Test(cooperation, a_worker_that_would_wait_for_itself_is_told_so_at_once)
{
	struct cadre_channel self, pool;

	start_errands(0, (struct cadre_pool_options){ ONE_WORKER });
	self = channel_to(0);
	pool = channel_to_pool();
	cr_assert_eq(hear(send(NULL,
			       (struct errand){ .to = self, .operation = TROUPE_ECHO }, 0))
			     .result,
		     -EDEADLK);
	cr_assert_eq(hear(send(NULL,
			       (struct errand){ .to = pool, .operation = TROUPE_ECHO }, 0))
			     .result,
		     -EDEADLK);
	call_ok(ASK(TROUPE_ECHO, 1));
}

Test(cooperation, a_worker_that_has_room_beside_the_handler_may_call_itself)
{
	struct cadre_channel self;
	struct tidings tidings;

	start_errands(CADRE_SERVICE_THREADS,
		      (struct cadre_pool_options){ ONE_WORKER, .parallel = 2 });
	self = channel_to(0);
	tidings = hear(
		send(NULL,
		     (struct errand){ .to = self, .operation = TROUPE_ECHO, .number = 9 },
		     0));
	cr_assert_eq(tidings.result, 0);
	cr_assert_eq(tidings.number, 9);
	/* The second of two that would wait is told, and the first hears of it. */
	tidings = hear(
		send(NULL,
		     (struct errand){ .to = self, .operation = ERRAND, .then = self }, 0));
	cr_assert_eq(tidings.result, 0);
	cr_assert_eq(tidings.outcome, CADRE_OK);
	cr_assert_eq(tidings.nested, -EDEADLK);
}

Test(cooperation, a_handler_whose_job_is_cancelled_waits_for_nobody_any_more)
{
	struct cadre_channel first, second;
	struct cadre_ticket ticket;

	start_errands(0,
		      (struct cadre_pool_options){ .workers_min = 2, .workers_max = 2 });
	first = channel_to(0);
	second = channel_to(1);
	ticket = send(&first,
		      (struct errand){
			      .to = second, .operation = TROUPE_HOLD, .number = 1 },
		      0);
	cr_assert(eventually(atomic_load(&troupe.board->waiting) == 1));
	cr_assert_eq(cadre_cancel(troupe.client, ticket), 0);
	expect(ticket, CADRE_CANCELLED);
	/* The first is back although the second is not, and that one was told. */
	call_ok(ASK(TROUPE_ECHO, 1, .to = &first));
	cr_assert(eventually(atomic_load(&troupe.board->cancels) == 1));
	cr_assert_eq(troupe.board->waiting, 1);
	open_gate(1);
	call_ok(ASK(TROUPE_ECHO, 1, .to = &second));
}

Test(cooperation, what_a_handler_calls_inherits_its_deadline)
{
	const int64_t deadline_ns = GENEROUS, sooner_ns = deadline_ns - 1000000000;
	struct cadre_channel first, second;
	struct errand errand;

	start_errands(0,
		      (struct cadre_pool_options){ .workers_min = 2, .workers_max = 2 });
	first = channel_to(0);
	second = channel_to(1);
	errand = (struct errand){ .to = second, .operation = TROUPE_WHO };
	cr_assert_eq(hear(send(&first, errand, deadline_ns)).who.deadline_ns, deadline_ns);
	errand.deadline_ns = sooner_ns;
	cr_assert_eq(hear(send(&first, errand, deadline_ns)).who.deadline_ns, sooner_ns);
	cr_assert_eq(hear(send(&first, errand, 0)).who.deadline_ns, sooner_ns);
	errand.deadline_ns = CADRE_FOREVER;
	cr_assert_eq(hear(send(&first, errand, deadline_ns)).who.deadline_ns, deadline_ns);
	cr_assert_eq(hear(send(&first, errand, 0)).who.deadline_ns, CADRE_FOREVER);
}

Test(cooperation, a_call_that_nobody_bounds_is_bounded_all_the_same)
{
	const int64_t before_ns = cadre_now_ns();
	struct cadre_channel first, second;
	int64_t deadline_ns;

	start_errands(0,
		      (struct cadre_pool_options){ .workers_min = 2, .workers_max = 2 });
	first = channel_to(0);
	second = channel_to(1);
	deadline_ns = hear(send(&first,
				(struct errand){ .to = second, .operation = TROUPE_WHO },
				0))
			      .who.deadline_ns;
	cr_assert_gt(deadline_ns, before_ns + 29 * INT64_C(1000000000));
	cr_assert_lt(deadline_ns, cadre_now_ns() + 31 * INT64_C(1000000000));
}

Test(cooperation,
     two_workers_that_wait_for_each_other_do_so_until_the_deadline_and_live_on)
{
	struct cadre_channel first, second;
	struct cadre_ticket ticket;
	struct cadre_result result;
	struct tidings tidings;
	int64_t deadline_ns;

	start_errands(0,
		      (struct cadre_pool_options){ .workers_min = 2, .workers_max = 2 });
	first = channel_to(0);
	second = channel_to(1);
	deadline_ns = cadre_in_ms(100);
	ticket = send(&first,
		      (struct errand){ .to = second, .operation = ERRAND, .then = first },
		      deadline_ns);
	result = await(ticket);
	/* All three jobs have one deadline; who hears of it first tells the others. */
	if (result.outcome == CADRE_OK) {
		memcpy(&tidings, result.data, sizeof(tidings));
		cr_assert(tidings.result == -ECANCELED || tidings.result == -ETIMEDOUT ||
				  tidings.outcome != CADRE_OK || tidings.number == 0,
			  "%d, %d", tidings.result, tidings.outcome);
	} else {
		cr_assert_eq(result.outcome, CADRE_TIMED_OUT);
	}
	release(&result);
	cr_assert_geq(cadre_now_ns(), deadline_ns);
	call_ok(ASK(TROUPE_ECHO, 1, .to = &first));
	call_ok(ASK(TROUPE_ECHO, 1, .to = &second));
	cr_assert_eq(troupe.board->inits, 2, "nobody was killed for it");
}

/* ---- the example services, and the demonstration ---- */

#define CACHE_ENTRIES "3"

static struct cadre_client *serve_cache(void)
{
	static char file[4096];
	const struct cadre_source source = { .file = file };

	snprintf(file, sizeof(file), "%s/cache.so", getenv("CADRE_SERVICE_DIR"));
	cr_assert_eq(troupe_serve(&troupe, &source,
				  (struct cadre_pool_options){
					  ONE_WORKER,
					  .start_data = CACHE_ENTRIES,
					  .start_length = strlen(CACHE_ENTRIES),
				  }),
		     0, "%s", troupe.diag.text);
	return troupe.client;
}

/* The reply's text, or "(code)" of one that failed. */
static const char *ask(int32_t operation, const void *data, size_t length)
{
	static char text[300];
	const struct cadre_request request = { .operation = operation,
					       .data = data,
					       .length = length };
	struct cadre_result result;

	cr_assert_eq(cadre_call(troupe.client, &request, &result), 0);
	if (result.outcome == CADRE_OK)
		snprintf(text, sizeof(text), "%.*s", (int)result.length,
			 (const char *)result.data);
	else
		snprintf(text, sizeof(text), "(%d)", result.code);
	release(&result);
	return text;
}

static const char *get(const char *key)
{
	return ask(CACHE_GET, key, strlen(key));
}

static void set(const char *key, const char *value, uint32_t ttl_ms)
{
	struct {
		struct cache_set head;
		char bytes[100];
	} request = { .head = { .ttl_ms = ttl_ms, .key_length = (uint32_t)strlen(key) } };

	snprintf(request.bytes, sizeof(request.bytes), "%s%s", key, value);
	cr_assert_str_eq(ask(CACHE_SET, &request,
			     sizeof(request.head) + strlen(request.bytes)),
			 "");
}

static unsigned stat_of(const char *name)
{
	const char *const found = strstr(ask(CACHE_STATS, NULL, 0), name);

	return found ? (unsigned)strtoul(found + strlen(name), NULL, 10) : 99999;
}

Test(cooperation, the_cache_gets_what_was_set_and_counts_hits_and_misses)
{
	serve_cache();
	cr_assert_str_eq(get("a"), "(2)", "ENOENT: a miss");
	set("a", "one", 0);
	cr_assert_str_eq(get("a"), "one");
	set("a", "two", 0);
	cr_assert_str_eq(get("a"), "two");
	cr_assert_str_eq(ask(CACHE_CONTAINS, "a", 1), "1");
	cr_assert_str_eq(ask(CACHE_CONTAINS, "b", 1), "0");
	cr_assert_eq(stat_of("hits "), 2);
	cr_assert_eq(stat_of("misses "), 1);
	cr_assert_eq(stat_of("\nsize "), 1);
	cr_assert_eq(stat_of("max-size "), 3);
	cr_assert_str_eq(ask(CACHE_SET, "short", 5), "(22)");
}

Test(cooperation, an_entry_of_the_cache_past_its_time_is_a_miss)
{
	serve_cache();
	set("brief", "x", 1);
	cr_assert(eventually(strcmp(get("brief"), "(2)") == 0));
	cr_assert_eq(stat_of("expired "), 1);
	cr_assert_eq(stat_of("\nsize "), 0);
	set("lasting", "y", 600000);
	cr_assert_str_eq(get("lasting"), "y");
}

Test(cooperation, a_full_cache_evicts_what_was_used_least_recently)
{
	serve_cache();
	set("a", "1", 0);
	set("b", "2", 0);
	set("c", "3", 0);
	cr_assert_str_eq(get("a"), "1");
	set("d", "4", 0);
	cr_assert_str_eq(get("b"), "(2)");
	cr_assert_str_eq(get("a"), "1");
	cr_assert_str_eq(get("c"), "3");
	cr_assert_str_eq(get("d"), "4");
	cr_assert_eq(stat_of("evicted "), 1);
	cr_assert_eq(stat_of("\nsize "), 3);
}

Test(cooperation, the_demonstration_makes_the_second_pass_several_times_cheaper)
{
	char command[4200], text[4096], *line;
	unsigned long long second = 0, first = 0;
	unsigned times = 0;
	size_t length;
	FILE *output;

	snprintf(command, sizeof(command), "%s/demo-cooperation", getenv("CADRE_BIN_DIR"));
	output = popen(command, "re");
	cr_assert_not_null(output);
	length = fread(text, 1, sizeof(text) - 1, output);
	text[length] = '\0';
	cr_assert_eq(pclose(output), 0, "%s", text);
	line = strstr(text, "the second pass took");
	cr_assert_not_null(line, "%s", text);
	cr_assert_eq(sscanf(line, "the second pass took %llu divisions instead of %llu",
			    &second, &first),
		     2);
	cr_assert_gt(first, 1000000);
	cr_assert_lt(second * 4, first, "%s", text);
	cr_assert_not_null(strstr(text, "(100 %)"), "hit rates are told: %s", text);
	line = strstr(text, "the observer was told");
	cr_assert_eq(sscanf(line, "the observer was told %u times", &times), 1);
	cr_assert_eq(times, 8);
}
