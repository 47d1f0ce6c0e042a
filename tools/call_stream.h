/*
 * call_stream.h - the items of one stream, written to standard output as they come.
 *
 *     lines        each item, then a newline
 *     raw          nothing between them
 *     netstrings   LENGTH:BYTES, (D. J. Bernstein, netstrings)
 *
 * An error among the items is one line on standard error. When whoever reads standard
 * output has left, so does the stream's consumer.
 */
#ifndef CADRE_CALL_STREAM_H
#define CADRE_CALL_STREAM_H

#include <stdbool.h>

#include <cadre/stream.h>

enum cadre_item_format { CADRE_ITEMS_LINES, CADRE_ITEMS_RAW, CADRE_ITEMS_NETSTRINGS };

/* True when the text names a format. */
bool cadre_parse_item_format(const char *text, enum cadre_item_format *ret_format);

/* Reads and writes to the end of the stream. With `stop` the first error among the items is
 * the last. Exit status of the command; the ticket is gone afterwards. A reply, if the job
 * has one, is the last item. */
int cadre_print_stream(struct cadre_client *client, struct cadre_ticket ticket,
		       enum cadre_item_format format, bool stop);

#endif
