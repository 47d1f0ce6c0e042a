/*
 * text.h - numbers as a person reads them, for tables and screens.
 *
 * Each returns a short text that is used up within one statement: it stays until a few more
 * were asked for.
 */
#ifndef CADRE_TEXT_H
#define CADRE_TEXT_H

#include <stdint.h>

/* A duration, rounded: "1.8ms", "3d04h". */
const char *cadre_text_duration(int64_t ns);

/* For a column: a duration that is not, is a dash. */
const char *cadre_text_duration_or_dash(int64_t ns);

/* Bytes in full, by the largest unit of which they are a multiple: "64K". */
const char *cadre_text_size(uint64_t bytes);

/* Bytes, rounded: "38.2M". 0 is a dash. */
const char *cadre_text_memory(uint64_t bytes);

/* Events per second, rounded: "3.9k". */
const char *cadre_text_rate(double per_s);

/* A ratio as a percentage: "58.3%". */
const char *cadre_text_percent(double ratio);

/* The local time of day of a moment, with the date when it was not today: "14:02:11". */
const char *cadre_text_moment(int64_t unix_s);

#endif
