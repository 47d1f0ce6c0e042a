#include "feeder.h"
#include "echo.h"

#include <errno.h>
#include <string.h>

/* -EAGAIN when the oldest has not ended. */
static int take_oldest(struct feeder *feeder)
{
	unsigned char payload[PAYLOAD];
	struct cadre_result result;
	int r = cadre_try_take(feeder->client,
			       feeder->tickets[feeder->taken % IN_FLIGHT_MAX], &result);

	if (r == -EAGAIN)
		return r;
	r = echo_check(r, &result);
	if (r < 0)
		return r;
	memcpy(payload, result.data, PAYLOAD);
	__asm__ volatile("" ::"r"(payload) : "memory"); /* the copy is wanted */
	feeder->taken++;
	return cadre_release(feeder->client, &result);
}

static int fill_one_by_one(struct feeder *feeder)
{
	unsigned char payload[PAYLOAD] = "job";
	const struct cadre_request request = { .operation = ECHO_OPERATION,
					       .data = payload,
					       .length = PAYLOAD };

	for (; feeder->sent - feeder->taken < feeder->in_flight; feeder->sent++) {
		int r;

		memcpy(payload, &feeder->sent, sizeof(feeder->sent));
		r = cadre_try_submit(feeder->client, &request,
				     &feeder->tickets[feeder->sent % IN_FLIGHT_MAX]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int fill_in_a_batch(struct feeder *feeder)
{
	static unsigned char payloads[IN_FLIGHT_MAX][PAYLOAD];
	const uint32_t count = feeder->in_flight - (feeder->sent - feeder->taken);
	struct cadre_request requests[IN_FLIGHT_MAX];
	struct cadre_ticket tickets[IN_FLIGHT_MAX];
	int accepted;

	for (uint32_t n = 0; n < count; n++) {
		const uint32_t job = feeder->sent + n;

		memcpy(payloads[n], &job, sizeof(job));
		requests[n] = (struct cadre_request){ .operation = ECHO_OPERATION,
						      .data = payloads[n],
						      .length = PAYLOAD };
	}
	accepted = cadre_try_submit_batch(feeder->client, requests, count, tickets);
	for (int n = 0; n < accepted; n++)
		feeder->tickets[feeder->sent++ % IN_FLIGHT_MAX] = tickets[n];
	return accepted < 0 ? accepted : 0;
}

static int fill(struct feeder *feeder)
{
	if (feeder->sent - feeder->taken == feeder->in_flight)
		return 0;
	return feeder->in_batches ? fill_in_a_batch(feeder) : fill_one_by_one(feeder);
}

/* Takes until none has ended. 0, or an error. */
static int take_some(struct feeder *feeder)
{
	int r = 0;

	while (r == 0 && feeder->taken != feeder->sent)
		r = take_oldest(feeder);
	return r == -EAGAIN ? 0 : r;
}

void feeder_turn(struct feeder *feeder)
{
	if (feeder->error == 0)
		feeder->error = fill(feeder);
	if (feeder->error == 0)
		feeder->error = take_some(feeder);
}

int feeder_drain(struct feeder *feeder)
{
	while (feeder->error == 0 && feeder->taken != feeder->sent)
		feeder->error = take_some(feeder);
	return feeder->error;
}
