/*
 * demo-worker - the demo service as a worker program: what `cadre serve ... --
 * demo-worker` starts. All there is to a worker program is in this file.
 *
 * Exit status: that of cadre_worker_main; 64 when it was started by hand.
 */
#include "demo.h"

#include <cadre/worker.h>

int main(void)
{
	return cadre_worker_main(&cadre_service);
}
