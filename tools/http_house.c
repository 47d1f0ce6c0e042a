/*
 * http_house.c - forks front and supervisor, waits for signals, begins again what died.
 *
 * It forks, so it must never have a second thread, and never attaches to a pool: what needs
 * either is done in a child.
 *
 *	SIGTERM, SIGINT  end: the front drains, then the pool does; a second one cuts it short
 *	SIGHUP           the pool's workers are replaced by those of the service as it is now
 *	SIGUSR1          the access log is opened again
 *	SIGUSR2          a new front takes over the listener, the old one drains
 */
#include "http_house.h"
#include "commands.h"

#include <cadre/client.h>
#include <cadre/order.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_NS INT64_C(30000000000)
#define NAP_NS 20000000L
#define HEALTHY_NS INT64_C(1000000000)
#define BACK_OFF_NS 200000000L
#define RELOAD_MS 300000

enum phase {
	SERVING,
	DRAINING_FRONT,
	ENDING_POOL,
};

struct house {
	struct cadre_http_house *plan;
	enum phase phase;
	pid_t front, supervisor;
	int64_t front_began_ns, supervisor_began_ns;
	sigset_t signals, before;
	int status;     /* to exit with */
	bool has_begun; /* a front has served */
};

static void print_notice(const char *sentence, void *context)
{
	fprintf(stderr, "%s: %s\n", (const char *)context, sentence);
}

static void nap(long ns)
{
	const struct timespec time = { .tv_nsec = ns };

	nanosleep(&time, NULL);
}

/* A child gets no signal of the terminal's: who ends it, and when, is decided here. It ends
 * when this process does, however that ends. */
static pid_t fork_child(struct house *house)
{
	const pid_t parent = getpid();
	const pid_t pid = fork();

	if (pid < 0)
		fprintf(stderr, "cadre http: cannot fork: %s\n", strerror(errno));
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(CADRE_EXIT_FAILED);
	setpgid(0, 0);
	sigprocmask(SIG_SETMASK, &house->before, NULL);
	return 0;
}

static int report(int r, const struct cadre_diag *diag)
{
	if (r < 0)
		fprintf(stderr, "cadre http: %s\n",
			diag->text[0] ? diag->text : strerror(-r));
	return cadre_serve_status(r);
}

/* ---- the children ---- */

static int be_supervisor(const struct house *house)
{
	const struct cadre_source source = { .file = house->plan->service };
	struct cadre_diag diag = { "" };
	const int r = cadre_serve(&source, &house->plan->pool, print_notice,
				  (void *)"cadre http: pool", &diag);

	return report(r, &diag);
}

/* A pool of ours may still be starting. */
static int be_front(const struct house *house)
{
	const int64_t until_ns = cadre_now_ns() + START_NS;
	struct cadre_diag diag = { "" };
	int r;

	while ((r = cadre_http_front_run(&house->plan->front, &diag)) < 0) {
		if (!house->plan->service || r == -EINVAL || cadre_now_ns() > until_ns)
			break;
		nap(NAP_NS);
	}
	return report(r, &diag);
}

static void begin_front(struct house *house)
{
	const pid_t pid = fork_child(house);

	if (pid == 0)
		_exit(be_front(house));
	house->front = pid > 0 ? pid : 0;
	house->front_began_ns = cadre_now_ns();
}

static void begin_supervisor(struct house *house)
{
	const pid_t pid = fork_child(house);

	if (pid == 0)
		_exit(be_supervisor(house));
	house->supervisor = pid > 0 ? pid : 0;
	house->supervisor_began_ns = cadre_now_ns();
}

/* Waiting for the answer is not this process's business. */
static void reload(struct house *house)
{
	const struct cadre_order order = { .kind = CADRE_ORDER_RELOAD };
	struct cadre_diag said = { "" };
	pid_t pid;
	int r;

	if (house->phase != SERVING)
		return;
	pid = fork_child(house);
	if (pid != 0)
		return;
	r = cadre_order(house->plan->front.pool, &order, cadre_in_ms(RELOAD_MS), &said);
	fprintf(stderr, "cadre http: %s%s\n", r < 0 ? "not reloaded: " : "",
		said.text[0] ? said.text : strerror(-r));
	_exit(r < 0 ? CADRE_EXIT_FAILED : CADRE_EXIT_OK);
}

/* ---- ends ---- */

static void send(pid_t pid, int signal)
{
	if (pid > 0)
		kill(pid, signal);
}

static void end_pool(struct house *house)
{
	house->phase = ENDING_POOL;
	send(house->supervisor, SIGTERM);
}

static void end_front(struct house *house)
{
	house->phase = DRAINING_FRONT;
	send(house->front, SIGTERM);
	if (house->front <= 0)
		end_pool(house);
}

static void wish_end(struct house *house)
{
	if (house->phase == SERVING)
		end_front(house);
	else if (house->phase == DRAINING_FRONT)
		send(house->front, SIGTERM);
	else
		send(house->supervisor, SIGTERM);
}

/* One that died of a signal is begun again; one that gave up has said why. */
static void front_ended(struct house *house, int status)
{
	house->front = 0;
	if (house->phase != SERVING) {
		end_pool(house);
		return;
	}
	if (WIFSIGNALED(status)) {
		fprintf(stderr,
			"cadre http: the front was killed by %s; it begins again\n",
			strsignal(WTERMSIG(status)));
		if (cadre_now_ns() - house->front_began_ns < HEALTHY_NS)
			nap(BACK_OFF_NS);
		begin_front(house);
		return;
	}
	house->status = WEXITSTATUS(status);
	end_pool(house);
}

static void supervisor_ended(struct house *house, int status)
{
	house->supervisor = 0;
	if (WIFSIGNALED(status) && house->phase != ENDING_POOL) {
		fprintf(stderr,
			"cadre http: the supervisor was killed by %s; another adopts its "
			"workers\n",
			strsignal(WTERMSIG(status)));
		if (cadre_now_ns() - house->supervisor_began_ns < HEALTHY_NS)
			nap(BACK_OFF_NS);
		begin_supervisor(house);
		return;
	}
	if (WIFEXITED(status) && house->status == 0)
		house->status = WEXITSTATUS(status);
	if (house->phase == SERVING)
		end_front(house);
}

static void reap(struct house *house)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == house->front)
			front_ended(house, status);
		else if (pid == house->supervisor)
			supervisor_ended(house, status);
	}
}

static void replace_front(struct house *house)
{
	const pid_t old = house->front;

	if (house->phase != SERVING)
		return;
	begin_front(house);
	send(old, SIGTERM);
}

static void obey(struct house *house, int signal)
{
	switch (signal) {
	case SIGCHLD:
		reap(house);
		return;
	case SIGHUP:
		reload(house);
		return;
	case SIGUSR1:
		send(house->front, SIGUSR1);
		return;
	case SIGUSR2:
		replace_front(house);
		return;
	default:
		wish_end(house);
	}
}

/* Who was asked to drain and was replaced, drains on; but not longer than this process. */
static bool all_gone(void)
{
	return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

int cadre_http_house_run(struct cadre_http_house *plan)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGUSR2 };
	struct house house = { .plan = plan };

	sigemptyset(&house.signals);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&house.signals, signals[i]);
	sigprocmask(SIG_BLOCK, &house.signals, &house.before);
	plan->front.notice = print_notice;
	plan->front.context = (void *)"cadre http";

	if (plan->service)
		begin_supervisor(&house);
	begin_front(&house);
	while (house.front > 0 || house.supervisor > 0 || !all_gone()) {
		siginfo_t info;

		if (sigwaitinfo(&house.signals, &info) > 0)
			obey(&house, info.si_signo);
	}
	return house.status;
}
