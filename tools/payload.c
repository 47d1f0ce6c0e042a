#include "payload.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads until `capacity` bytes are there or the end was reached. How many, or an error. */
static ssize_t read_fully(int fd, char *bytes, size_t capacity)
{
	size_t length = 0;

	while (length < capacity) {
		const ssize_t got = read(fd, bytes + length, capacity - length);

		if (got == 0)
			break;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		length += (size_t)got;
	}
	return (ssize_t)length;
}

/* How much a regular file still holds. Files of /proc claim to be empty and are not. */
static size_t size_of(int fd)
{
	struct stat status;
	off_t position;

	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
		return SIZE_MAX;
	position = lseek(fd, 0, SEEK_CUR);
	if (position < 0)
		return SIZE_MAX;
	return position < status.st_size ? (size_t)(status.st_size - position) : 0;
}

void cadre_payload_open(struct cadre_payload *payload, int fd)
{
	payload->fd = fd;
	payload->size = size_of(fd);
	payload->piece_length = 0;
	payload->piece_read = false;
}

static int load_known(struct cadre_payload *payload, struct cadre_client *client,
		      size_t *ret_length)
{
	ssize_t length;
	int r;

	if (payload->size > cadre_client_payload_max(client))
		return -EMSGSIZE;
	r = cadre_try_draft(client, payload->size, &payload->draft);
	if (r < 0)
		return r;

	length = read_fully(payload->fd, payload->draft.data, payload->size);
	if (length < 0) {
		cadre_draft_discard(client, &payload->draft);
		return (int)length;
	}
	*ret_length = (size_t)length;
	return 0;
}

static int read_piece(struct cadre_payload *payload)
{
	ssize_t length;

	if (payload->piece_read)
		return 0;
	length = read_fully(payload->fd, payload->piece, sizeof(payload->piece));
	if (length < 0)
		return (int)length;
	payload->piece_length = (size_t)length;
	payload->piece_read = true;
	return 0;
}

/* Fills the draft behind the piece; one byte more than fits is one too many. */
static ssize_t read_rest(struct cadre_payload *payload, size_t capacity)
{
	char *const bytes = payload->draft.data;
	const size_t had = payload->piece_length;
	const ssize_t more = read_fully(payload->fd, bytes + had, capacity - had);
	char excess;
	ssize_t r;

	if (more < 0 || (size_t)more < capacity - had)
		return more;
	r = read_fully(payload->fd, &excess, 1);
	if (r > 0)
		return -EMSGSIZE;
	return r < 0 ? r : more;
}

static int load_unknown(struct cadre_payload *payload, struct cadre_client *client,
			size_t *ret_length)
{
	const size_t longest = cadre_client_payload_max(client);
	bool has_more;
	ssize_t more = 0;
	int r = read_piece(payload);

	if (r < 0)
		return r;
	if (payload->piece_length > longest)
		return -EMSGSIZE;
	has_more = payload->piece_length == sizeof(payload->piece);

	r = cadre_try_draft(client, has_more ? longest : payload->piece_length,
			    &payload->draft);
	if (r < 0)
		return r;
	memcpy(payload->draft.data, payload->piece, payload->piece_length);
	if (has_more)
		more = read_rest(payload, longest);
	if (more < 0) {
		cadre_draft_discard(client, &payload->draft);
		return (int)more;
	}
	*ret_length = payload->piece_length + (size_t)more;
	return 0;
}

int cadre_payload_load(struct cadre_payload *payload, struct cadre_client *client,
		       struct cadre_draft *ret_draft, size_t *ret_length)
{
	const int r = payload->size == SIZE_MAX ?
			      load_unknown(payload, client, ret_length) :
			      load_known(payload, client, ret_length);

	if (r == 0)
		*ret_draft = payload->draft;
	return r;
}
