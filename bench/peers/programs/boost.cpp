// boost::interprocess::message_queue: a mutex and two condition variables in shared memory.
#include "messengers.h"

#include <boost/interprocess/ipc/message_queue.hpp>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <unistd.h>

namespace
{

using boost::interprocess::message_queue;

// To the client, to the peer.
std::unique_ptr<message_queue> queues[2];
message_queue *in, *out;

std::string name_of(int which)
{
	return "cadre-bench-boost." + std::to_string(getpid()) + "." +
	       std::to_string(which);
}

int refuse(const char *what, const std::exception &error)
{
	std::fprintf(stderr, "cadre-bench-boost: cannot %s: %s\n", what, error.what());
	return -EIO;
}

// Their names are gone as soon as they are open; both sides inherit the mappings.
int open_queues(size_t size, unsigned depth)
try {
	for (int i = 0; i < 2; i++) {
		queues[i] = std::make_unique<message_queue>(
			boost::interprocess::create_only, name_of(i).c_str(), depth, size);
		message_queue::remove(name_of(i).c_str());
	}
	return static_cast<int>(depth);
} catch (const std::exception &error) {
	return refuse("make a queue", error);
}

void close_queues()
{
	queues[0].reset();
	queues[1].reset();
}

int join(bool is_client)
{
	in = &*queues[is_client ? 0 : 1];
	out = &*queues[is_client ? 1 : 0];
	return 0;
}

int send_one(const void *data, size_t length)
try {
	out->send(data, length, 0);
	return 0;
} catch (const std::exception &error) {
	return refuse("send", error);
}

// A buffer has to be as long as the longest message that the queue is made for.
int receive_one(void *data, size_t, bool waits)
try {
	message_queue::size_type got;
	unsigned priority;

	if (!waits)
		return in->try_receive(data, in->get_max_msg_size(), got, priority) ?
			       0 :
			       -EAGAIN;
	in->receive(data, in->get_max_msg_size(), got, priority);
	return 0;
} catch (const std::exception &error) {
	return refuse("receive", error);
}

const transport queue = {
	open_queues, close_queues, join, nullptr, send_one, receive_one, nullptr, false,
};

} // namespace

const messenger messengers[] = {
	{ "boost", &queue, false },
	{ "boost asleep", &queue, true },
	{ nullptr, nullptr, false },
};
