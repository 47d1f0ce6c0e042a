/*
 * thumbnail.h - a picture made small: JPEG or PNG in, JPEG out.
 */
#ifndef THUMBNAIL_H
#define THUMBNAIL_H

#include <stddef.h>

struct picture {
	unsigned width, height;
	unsigned char *data; /* JPEG */
	unsigned long length;
};

/* Makes one at most `width` pixels wide, of the same shape; a narrower one keeps its size.
 * NULL, or a sentence that says why not. */
const char *thumbnail_make(const void *data, size_t length, unsigned width,
			   struct picture *ret_picture);

void thumbnail_free(struct picture *picture);

#endif
