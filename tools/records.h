/*
 * records.h - lines, or records that end in another byte, out of a descriptor.
 *
 * Unlike stdio it says when it would have to wait, so that whoever waits for something
 * else as well decides how; and it holds no more than one record of the longest allowed
 * length: of a longer one it keeps nothing, reads on to its end, and goes on behind it.
 */
#ifndef CADRE_RECORDS_H
#define CADRE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cadre_records {
	int fd;
	char separator;
	bool at_end;    /* of the descriptor */
	bool skipping;  /* inside a record that is too long */
	size_t longest; /* without its separator */
	char *bytes;
	size_t capacity;
	size_t start;  /* of the record that peek shows */
	size_t looked; /* no separator between start and here */
	size_t end;    /* of what was read */
};

/* 0, or -ENOMEM. The descriptor stays the caller's. */
int cadre_records_open(struct cadre_records *records, int fd, char separator,
		       size_t longest);
void cadre_records_close(struct cadre_records *records);

/* Shows the next record without taking it; it stays until pop or fill. 1, 0 at the end,
 * -EAGAIN when no whole record is there (fill, then peek again), -EMSGSIZE for one that is
 * too long (pop it). A last record needs no separator. */
int cadre_records_peek(struct cadre_records *records, const char **ret_record,
		       size_t *ret_length);

/* Goes on behind the record that peek showed or called too long. */
void cadre_records_pop(struct cadre_records *records);

/* Reads once, after peek said -EAGAIN; may block. 0, or a negative error. */
int cadre_records_fill(struct cadre_records *records);

/* How many records are still to come, if a look at a regular file of moderate size can
 * tell; otherwise 0. */
uint64_t cadre_records_count(const struct cadre_records *records);

#endif
