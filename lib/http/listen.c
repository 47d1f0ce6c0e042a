/*
 * listen.c - from an address as one types it to a listening socket, and back.
 */
#include <cadre/http_front.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>

#define BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

static int refuse(struct cadre_diag *diag, int error, const char *format, ...)
	CADRE_PRINTF(3, 4);

static int refuse(struct cadre_diag *diag, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (diag)
		vsnprintf(diag->text, sizeof(diag->text), format, arguments);
	va_end(arguments);
	return error;
}

static int begin_to_listen(int fd, const struct sockaddr *address, socklen_t length)
{
	const int on = 1;

	if (address->sa_family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, address, length) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return 0;
}

static int open_listener(const struct sockaddr *address, socklen_t length)
{
	const int fd = socket(address->sa_family,
			      SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = begin_to_listen(fd, address, length);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

/* A socket that a dead server left is in the way; one that answers belongs to a living one. */
static bool is_left_over(const struct sockaddr_un *address)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat status;
	bool is_left;

	if (fd < 0)
		return false;
	is_left = stat(address->sun_path, &status) == 0 && S_ISSOCK(status.st_mode) &&
		  connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
		  errno == ECONNREFUSED;
	close(fd);
	return is_left;
}

static int listen_unix(const char *path, struct cadre_diag *diag)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) == 0 || strlen(path) >= sizeof(address.sun_path))
		return refuse(diag, -EINVAL, "\"%s\" is no path of a socket", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = open_listener((const struct sockaddr *)&address, sizeof(address));
	if (fd == -EADDRINUSE && is_left_over(&address) && unlink(path) == 0)
		fd = open_listener((const struct sockaddr *)&address, sizeof(address));
	if (fd < 0)
		return refuse(diag, fd, "cannot listen on \"%s\": %s", path,
			      strerror(-fd));
	return fd;
}

/* "HOST:PORT", "[ADDRESS]:PORT", ":PORT", "PORT". */
static bool split(const char *text, char host[256], char port[32])
{
	const char *const colon = strrchr(text, ':');
	const char *const digits = colon ? colon + 1 : text;
	size_t length = colon ? (size_t)(colon - text) : 0;

	if (*digits == '\0' || strspn(digits, "0123456789") != strlen(digits) ||
	    strlen(digits) > 5 || length >= 256)
		return false;
	snprintf(port, 32, "%s", digits);
	if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	memcpy(host, text, length);
	host[length] = '\0';
	if (!colon)
		snprintf(host, 256, "127.0.0.1");
	return true;
}

int cadre_http_listen(const char *text, struct cadre_diag *diag)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *found;
	char host[256], port[32];
	int fd, r;

	if (strncmp(text, "unix:", 5) == 0)
		return listen_unix(text + 5, diag);
	if (!split(text, host, port) || strtoul(port, NULL, 10) > 65535)
		return refuse(diag, -EINVAL,
			      "\"%s\" is no address: HOST:PORT, :PORT, PORT or unix:PATH "
			      "would be",
			      text);
	r = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
	if (r != 0)
		return refuse(diag, -EINVAL, "cannot listen on \"%s\": %s", text,
			      gai_strerror(r));
	fd = open_listener(found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	if (fd < 0)
		return refuse(diag, fd, "cannot listen on \"%s\": %s", text,
			      strerror(-fd));
	return fd;
}

int cadre_http_listener_name(int listener, char *ret_name, size_t size)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t length = sizeof(address);
	char host[INET6_ADDRSTRLEN + 1] = "";

	if (getsockname(listener, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	switch (address.ss_family) {
	case AF_INET: {
		const struct sockaddr_in *const in = (const void *)&address;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(ret_name, size, "%s:%u", host, ntohs(in->sin_port));
		return 0;
	}
	case AF_INET6: {
		const struct sockaddr_in6 *const in = (const void *)&address;

		inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof(host));
		snprintf(ret_name, size, "[%s]:%u", host, ntohs(in->sin6_port));
		return 0;
	}
	case AF_UNIX:
		snprintf(ret_name, size, "unix:%s",
			 ((const struct sockaddr_un *)&address)->sun_path);
		return 0;
	default:
		return -EINVAL;
	}
}
