#include "broker.h"
#include "peer.h"

static int measure(struct server *server, const void *with, double *ret_values)
{
	const struct broker *const broker = with;
	int r = broker->run(server);
	pid_t worker;

	if (r < 0)
		return r;
	worker = peer_start(server->bench, broker->work, server);
	if (worker < 0)
		return worker;
	r = broker->ask(server, ret_values);
	peer_end(worker);
	return r;
}

int broker_pools(const struct bench *bench, const struct broker *broker,
		 double *ret_values)
{
	return server_measure(bench, measure, broker, ret_values);
}
