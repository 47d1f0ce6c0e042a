#include "web.h"
#include "command.h"

#include <stdio.h>

#define MODULES "/usr/lib/apache2/modules"
#define ANSWER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

_Static_assert(sizeof(ANSWER) - 1 == 64, "an answer of 64 bytes");

static const char wrk_script[] = BENCH_PEERS_DIR "/wrk.lua";

int web_ask(const struct server *server, const char *path, double *ret_values)
{
	char url[256], connections[16];

	snprintf(connections, sizeof(connections), "-c%d", WEB_CONNECTIONS);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", server->port, path);
	return command_ask(server->bench, "package wrk",
			   (const char *[]){ "wrk", "-t1", connections, "-d2", "--timeout",
					     "10s", "-s", wrk_script, url, NULL },
			   ret_values, WEB_COLUMNS);
}

/* ---- nginx ---- */

static const char nginx_conf[] = "daemon off;\n"
				 "pid %1$s/pid;\n"
				 "worker_processes 2;\n"
				 "events { worker_connections 1024; }\n"
				 "http {\n"
				 "	access_log off;\n"
				 "	keepalive_requests 1000000000;\n"
				 "	client_body_temp_path %1$s/body;\n"
				 "	proxy_temp_path %1$s/proxy;\n"
				 "	fastcgi_temp_path %1$s/fastcgi;\n"
				 "	uwsgi_temp_path %1$s/uwsgi;\n"
				 "	scgi_temp_path %1$s/scgi;\n"
				 "	server {\n"
				 "		listen 127.0.0.1:%2$u;\n"
				 "		location / { %3$s }\n"
				 "	}\n"
				 "}\n";

static int run_nginx(struct server *server, const char *location)
{
	int r = server_write(server, "conf", nginx_conf, server->directory, server->port,
			     location);
	char conf[64];

	if (r < 0)
		return r;
	snprintf(conf, sizeof(conf), "%s/conf", server->directory);
	return server_run(server, "package nginx-light",
			  (const char *[]){ "nginx", "-p", server->directory, "-e",
					    "stderr", "-c", conf, NULL });
}

static int use_nginx(struct server *server, const void *location, double *ret_values)
{
	const int r = run_nginx(server, location);

	return r < 0 ? r : web_ask(server, "/", ret_values);
}

int web_nginx(const struct bench *bench, const void *with, double *ret_values)
{
	static const char from_memory[] = "default_type text/plain; return 200 \"" ANSWER
					  "\";";

	(void)with;
	return server_measure(bench, use_nginx, from_memory, ret_values);
}

/* ---- nginx with uWSGI ---- */

static const char app[] =
	"def application(environ, start_response):\n"
	"    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '64')])\n"
	"    return [b'" ANSWER "']\n";

static int run_uwsgi(struct server *server)
{
	int r = server_write(server, "app.py", "%s", app);
	char path[64];

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/app.py", server->directory);
	return server_run(server, "packages uwsgi-core and uwsgi-plugin-python3",
			  (const char *[]){ "uwsgi", "--plugin", "python3", "--master",
					    "--processes", "2", "--socket",
					    server->socket, "--chmod-socket=666",
					    "--die-on-term", "--disable-logging",
					    "--need-app", "--wsgi-file", path, NULL });
}

static int use_uwsgi(struct server *server, const void *with, double *ret_values)
{
	char location[256];
	const int r = run_uwsgi(server);

	(void)with;
	if (r < 0)
		return r;
	snprintf(location, sizeof(location),
		 "uwsgi_pass unix:%s; uwsgi_param REQUEST_METHOD $request_method; "
		 "uwsgi_param PATH_INFO $document_uri; uwsgi_param SERVER_NAME localhost; "
		 "uwsgi_param SERVER_PORT $server_port;",
		 server->socket);
	return server_measure(server->bench, use_nginx, location, ret_values);
}

int web_uwsgi(const struct bench *bench, const void *with, double *ret_values)
{
	return server_measure(bench, use_uwsgi, with, ret_values);
}

/* ---- Apache ---- */

static const char apache_conf[] = "LoadModule mpm_prefork_module " MODULES
				  "/mod_mpm_prefork.so\n"
				  "LoadModule authz_core_module " MODULES
				  "/mod_authz_core.so\n"
				  "ServerRoot %1$s\n"
				  "DefaultRuntimeDir %1$s\n"
				  "PidFile %1$s/pid\n"
				  "ErrorLog %1$s/said\n"
				  "ServerName localhost\n"
				  "User www-data\n"
				  "Group www-data\n"
				  "Listen 127.0.0.1:%2$u\n"
				  "DocumentRoot %1$s\n"
				  "ServerLimit %3$d\n"
				  "StartServers %3$d\n"
				  "MinSpareServers %3$d\n"
				  "MaxSpareServers %3$d\n"
				  "MaxRequestWorkers %3$d\n"
				  "MaxKeepAliveRequests 0\n"
				  "KeepAlive %4$s\n";

static int run_apache(struct server *server, int processes, bool keeps_open)
{
	char conf[64];
	int r = server_write(server, "conf", apache_conf, server->directory, server->port,
			     processes, keeps_open ? "On" : "Off");

	if (r == 0)
		r = server_write(server, "answer", ANSWER);
	if (r < 0)
		return r;
	snprintf(conf, sizeof(conf), "%s/conf", server->directory);
	return server_run(server, "package apache2-bin",
			  (const char *[]){ "apache2", "-DFOREGROUND", "-f", conf, NULL });
}

static int use_apache(struct server *server, const void *with, double *ret_values)
{
	const int r = run_apache(server, with ? WEB_CONNECTIONS : 2, with != NULL);

	return r < 0 ? r : web_ask(server, "/answer", ret_values);
}

int web_apache(const struct bench *bench, const void *with, double *ret_values)
{
	return server_measure(bench, use_apache, with, ret_values);
}
