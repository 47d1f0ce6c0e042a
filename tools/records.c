#include "records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_CAPACITY (64u * 1024)
#define COUNTED_AT_MOST (64 * 1024 * 1024)

int cadre_records_open(struct cadre_records *records, int fd, char separator,
		       size_t longest)
{
	*records = (struct cadre_records){ .fd = fd,
					   .separator = separator,
					   .longest = longest,
					   .bytes = malloc(FIRST_CAPACITY),
					   .capacity = FIRST_CAPACITY };
	return records->bytes ? 0 : -ENOMEM;
}

void cadre_records_close(struct cadre_records *records)
{
	free(records->bytes);
	records->bytes = NULL;
}

/* Drops the bytes of a record that is too long. True once its separator was found. */
static bool skip(struct cadre_records *records)
{
	const char *const from = records->bytes + records->start;
	const char *const found = memchr(from, records->separator,
					 records->end - records->start);

	records->start = found ? (size_t)(found - records->bytes) + 1 : records->end;
	records->looked = records->start;
	return found || records->at_end;
}

int cadre_records_peek(struct cadre_records *records, const char **ret_record,
		       size_t *ret_length)
{
	const char *found;
	size_t length;

	if (records->skipping) {
		if (!skip(records))
			return -EAGAIN;
		records->skipping = false;
	}

	found = memchr(records->bytes + records->looked, records->separator,
		       records->end - records->looked);
	records->looked = found ? (size_t)(found - records->bytes) : records->end;
	length = records->looked - records->start;
	if (length > records->longest)
		return -EMSGSIZE;
	if (!found && !records->at_end)
		return -EAGAIN;
	if (!found && length == 0)
		return 0;

	*ret_record = records->bytes + records->start;
	*ret_length = length;
	return 1;
}

void cadre_records_pop(struct cadre_records *records)
{
	if (records->looked == records->end) {
		/* Its separator has not been seen. */
		records->skipping = !records->at_end;
		records->start = records->end;
	} else {
		records->start = records->looked + 1;
	}
	records->looked = records->start;
}

/* Makes room behind `end`: moves what is left to the front, then grows. */
static int make_room(struct cadre_records *records)
{
	const size_t length = records->end - records->start;
	char *larger;

	if (records->end < records->capacity)
		return 0;
	if (records->start > 0) {
		memmove(records->bytes, records->bytes + records->start, length);
		records->looked -= records->start;
		records->start = 0;
		records->end = length;
		return 0;
	}
	larger = realloc(records->bytes, 2 * records->capacity);
	if (!larger)
		return -ENOMEM;
	records->bytes = larger;
	records->capacity *= 2;
	return 0;
}

int cadre_records_fill(struct cadre_records *records)
{
	ssize_t got;
	const int r = make_room(records);

	if (r < 0)
		return r;
	got = read(records->fd, records->bytes + records->end,
		   records->capacity - records->end);
	if (got < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	records->at_end = got == 0;
	records->end += (size_t)got;
	return 0;
}

static uint64_t count_separators(const char *bytes, size_t length, char separator)
{
	uint64_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += bytes[i] == separator;
	return count;
}

uint64_t cadre_records_count(const struct cadre_records *records)
{
	static char piece[FIRST_CAPACITY];
	struct stat status;
	off_t position = lseek(records->fd, 0, SEEK_CUR);
	char last = records->separator;
	uint64_t count = 0;
	ssize_t got;

	if (position < 0 || fstat(records->fd, &status) < 0 || !S_ISREG(status.st_mode) ||
	    status.st_size - position > COUNTED_AT_MOST)
		return 0;
	while ((got = pread(records->fd, piece, sizeof(piece), position)) > 0) {
		count += count_separators(piece, (size_t)got, records->separator);
		last = piece[got - 1];
		position += got;
	}
	return last == records->separator ? count : count + 1;
}
