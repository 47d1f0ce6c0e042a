#include "server.h"
#include "command.h"
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS 10000
#define END_MS 20000

static int complain(const char *what, const char *which)
{
	const int error = errno;

	fprintf(stderr, "cadre-bench: cannot %s %s: %s\n", what, which, strerror(error));
	return -error;
}

static void sleep_ms(unsigned ms)
{
	usleep(ms * 1000);
}

/* ---- the directory and its guard ---- */

static int remove_one(const char *path, const struct stat *stat, int kind,
		      struct FTW *walk)
{
	(void)stat;
	(void)kind;
	(void)walk;
	remove(path);
	return 0;
}

/* A server that is just ending may still write. */
static void remove_directory(const char *path)
{
	for (int tries = 0; tries < 20 && access(path, F_OK) == 0; tries++) {
		if (tries > 0)
			sleep_ms(100);
		nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	}
}

/* Who interrupts us from a terminal interrupts everybody there. */
static void guard(const char *directory, int leash)
{
	char nothing;

	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	while (read(leash, &nothing, 1) < 0 && errno == EINTR)
		continue;
	remove_directory(directory);
	_exit(0);
}

static int start_guard(struct server *server)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return complain("make a pipe for", server->directory);
	server->guard = fork();
	if (server->guard == 0) {
		close(ends[1]);
		guard(server->directory, ends[0]);
	}
	close(ends[0]);
	server->leash = ends[1];
	if (server->guard > 0)
		return 0;
	close(ends[1]);
	return complain("fork for", server->directory);
}

static uint16_t find_free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&address, length) == 0)
		getsockname(fd, (struct sockaddr *)&address, &length);
	close(fd);
	return ntohs(address.sin_port);
}

static int open_server(struct server *ret_server, const struct bench *bench)
{
	struct server server = { .bench = bench,
				 .directory = "/tmp/cadre-bench.XXXXXX",
				 .port = find_free_port() };
	int r;

	if (!mkdtemp(server.directory))
		return complain("make a directory", server.directory);
	/* Servers that root starts go on as somebody else. */
	chmod(server.directory, 0755);
	snprintf(server.socket, sizeof(server.socket), "%s/socket", server.directory);
	snprintf(server.port_text, sizeof(server.port_text), "%u", server.port);
	r = start_guard(&server);
	if (r < 0)
		remove_directory(server.directory);
	else
		*ret_server = server;
	return r;
}

int server_write(const struct server *server, const char *name, const char *format, ...)
{
	char path[128];
	va_list arguments;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", server->directory, name);
	file = fopen(path, "we");
	if (!file)
		return complain("write", path);
	va_start(arguments, format);
	vfprintf(file, format, arguments);
	va_end(arguments);
	return fclose(file) == 0 ? 0 : complain("write", path);
}

void server_last_words(const struct server *server, char *ret_text, size_t size)
{
	char path[128];
	FILE *said;

	ret_text[0] = '\0';
	snprintf(path, sizeof(path), "%s/said", server->directory);
	said = fopen(path, "re");
	if (!said)
		return;
	while (fgets(ret_text, (int)size, said))
		continue;
	fclose(said);
	ret_text[strcspn(ret_text, "\n")] = '\0';
}

/* ---- connections ---- */

static int connect_to(const struct sockaddr *address, socklen_t length)
{
	const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, address, length) < 0) {
		const int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

int server_connect(uint16_t port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port),
	};

	return connect_to((const struct sockaddr *)&address, sizeof(address));
}

static bool accepts(const struct server *server)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	memcpy(address.sun_path, server->socket, sizeof(server->socket));
	fd = connect_to((const struct sockaddr *)&address, sizeof(address));
	if (fd < 0)
		fd = server_connect(server->port);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* ---- starting and ending ---- */

static pid_t start(const struct server *server, const char *path, const char *const argv[])
{
	const pid_t parent = getpid(), pid = fork();
	char said[64];
	int fd;

	if (pid != 0)
		return pid;
	setpgid(0, 0);
	snprintf(said, sizeof(said), "%s/said", server->directory);
	fd = open(said, O_WRONLY | O_CREAT | O_APPEND, 0644);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
	/* So that it takes its own processes with it. */
	command_become(server->bench, path, argv, SIGTERM, parent);
}

static int explain(const struct server *server, const char *program)
{
	char words[100], why[160];

	server_last_words(server, words, sizeof(words));
	snprintf(why, sizeof(why), "%s did not start: %s", program, words);
	return bench_absent(why);
}

int server_run(struct server *server, const char *source, const char *const argv[])
{
	char path[4096];
	pid_t pid;

	if (!command_find(argv[0], path, sizeof(path)))
		return command_missing(argv[0], source);
	pid = start(server, path, argv);
	if (pid < 0)
		return complain("fork for", argv[0]);
	server->pid = pid;
	for (int ms = 0; ms < START_MS; ms += 5) {
		if (waitpid(pid, NULL, WNOHANG) == pid) {
			server->pid = 0;
			return explain(server, argv[0]);
		}
		if (accepts(server))
			return 0;
		sleep_ms(5);
	}
	return explain(server, argv[0]);
}

static void end(pid_t pid)
{
	bool ended = false;

	kill(pid, SIGTERM);
	for (int ms = 0; ms < END_MS && !ended; ms++) {
		ended = waitpid(pid, NULL, WNOHANG) == pid;
		if (!ended)
			sleep_ms(1);
	}
	kill(-pid, SIGKILL);
	if (!ended)
		peer_end(pid);
}

static void close_server(struct server *server)
{
	if (server->pid > 0)
		end(server->pid);
	close(server->leash);
	peer_await(server->guard);
}

int server_measure(const struct bench *bench, server_use *use, const void *with,
		   double *ret_values)
{
	struct server server;
	int r = open_server(&server, bench);

	if (r < 0)
		return r;
	r = use(&server, with, ret_values);
	close_server(&server);
	return r;
}
