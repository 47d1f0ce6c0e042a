#include "spawn.h"
#include "control.h"
#include "frames.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_FD 3

int cadre_spawn_shed_descriptors(int kept)
{
	if (kept != START_FD) {
		dup2(kept, START_FD);
		close(kept);
	}
	fcntl(START_FD, F_SETFD, FD_CLOEXEC);
	close_range(START_FD + 1, ~0u, 0);
	return START_FD;
}

void cadre_spawn_shed_signals(const int *ignored, size_t count)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	for (size_t i = 0; i < count; i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A worker is no part of the terminal's foreground: the supervisor ends it in order. */
static void shed_signals(void)
{
	static const int ignored[] = { SIGINT, SIGHUP };

	cadre_spawn_shed_signals(ignored, CADRE_COUNT_OF(ignored));
}

static void shed_input(void)
{
	const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDIN_FILENO);
}

/* Says why this child cannot start, and ends it. */
_Noreturn static void give_up(int start_fd, const char *what, const char *why)
{
	struct cadre_control message = cadre_control_message(CADRE_CONTROL_FAILED);

	snprintf(message.text, sizeof(message.text), "%.200s: %.250s", what, why);
	(void)cadre_control_send(start_fd, &message);
	_exit(EXIT_FAILURE);
}

static const struct cadre_service *load(const char *file, int start_fd)
{
	const struct cadre_service *service;
	struct cadre_diag diag;
	char path[4096];
	void *object;

	/* Without a slash dlopen would search the library path instead of this directory. */
	snprintf(path, sizeof(path), "%s%s", strchr(file, '/') ? "" : "./", file);
	object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!object)
		give_up(start_fd, "cannot load the service", dlerror());
	service = dlsym(object, CADRE_SERVICE_SYMBOL);
	if (!service)
		give_up(start_fd, file,
			"it exports no service named " CADRE_SERVICE_SYMBOL);
	if (cadre_service_check(service, &diag) < 0)
		give_up(start_fd, file, diag.text);
	return service;
}

static const struct cadre_service *service_of(const struct cadre_source *source,
					      int start_fd)
{
	return source->service ? source->service : load(source->file, start_fd);
}

/* Becomes the worker program. `worker` is a number, or "-" for a probe. */
_Noreturn static void execute(char *const *program, const struct cadre_seat *seat,
			      const char *worker)
{
	char text[CADRE_NAME_MAX + 96];

	snprintf(text, sizeof(text), "%s:%s:%u:%d:%" PRId64, seat->pool, worker,
		 seat->incarnation, seat->start_fd, seat->created_ns);
	setenv("CADRE_WORKER", text, 1);
	fcntl(seat->start_fd, F_SETFD, 0);
	execvp(program[0], program);
	give_up(seat->start_fd, program[0], strerror(errno));
}

_Noreturn static void be_worker(const struct cadre_source *source,
				const struct cadre_view *view, struct cadre_seat seat)
{
	char worker[12], name[16];
	int status;

	snprintf(worker, sizeof(worker), "%u", seat.worker);
	snprintf(name, sizeof(name), "cadre-w%.8s", worker);
	if (source->program)
		execute(source->program, &seat, worker);
	prctl(PR_SET_NAME, name);
	status = cadre_worker_serve(service_of(source, seat.start_fd), view, &seat);
	/* Not exit: what the embedding program registered is not ours to run. */
	fflush(NULL);
	_exit(status);
}

_Noreturn static void be_probe(const struct cadre_source *source, const char *pool,
			       int start_fd)
{
	const struct cadre_seat seat = { .pool = pool, .start_fd = start_fd };

	if (source->program)
		execute(source->program, &seat, "-");
	cadre_worker_describe(service_of(source, start_fd), start_fd);
	_exit(EXIT_SUCCESS);
}

/* Forks. In the child returns 0 with its end of the pair; in the parent fills the child
 * in and returns 1; or negative errno. */
static int fork_child(struct cadre_child *ret_child, int *ret_start_fd)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		const int error = errno;

		close(pair[0]);
		close(pair[1]);
		return -error;
	}
	if (pid == 0) {
		shed_signals();
		shed_input();
		*ret_start_fd = cadre_spawn_shed_descriptors(pair[1]);
		return 0;
	}

	/* A fork takes long enough: whoever was rung for before, and the child itself, may wait for
	 * this CPU. What follows can wait for them. */
	sched_yield();
	close(pair[1]);
	ret_child->pid = pid;
	/* Its zombie is ours to collect, so the pid is its own until then. */
	ret_child->start_time = cadre_process_start_time(pid);
	ret_child->pidfd = cadre_process_open_child(pid);
	ret_child->start_fd = pair[0];
	return 1;
}

int cadre_spawn_worker(const struct cadre_source *source, const struct cadre_view *view,
		       const struct cadre_seat *seat, struct cadre_child *ret_child)
{
	struct cadre_seat own_seat = *seat;
	int r;

	/* Here, so that not each of them takes the time (0.1 ms) before its first job. */
	if (!source->program)
		cadre_frames_warm_up();
	r = fork_child(ret_child, &own_seat.start_fd);
	if (r == 0)
		be_worker(source, view, own_seat);
	return r < 0 ? r : 0;
}

int cadre_spawn_probe(const struct cadre_source *source, const char *pool,
		      struct cadre_child *ret_child)
{
	int start_fd = -1;
	const int r = fork_child(ret_child, &start_fd);

	if (r == 0)
		be_probe(source, pool, start_fd);
	return r < 0 ? r : 0;
}

void cadre_spawn_say_end(const siginfo_t *end, char *text, size_t size)
{
	if (end->si_code == CLD_EXITED)
		snprintf(text, size, "exited with status %d", end->si_status);
	else if (end->si_code == CLD_KILLED || end->si_code == CLD_DUMPED)
		snprintf(text, size, "was killed by SIG%s",
			 sigabbrev_np(end->si_status) ? sigabbrev_np(end->si_status) :
							"?");
	else
		snprintf(text, size, "died (how, only its dead parent knew)");
}
