/*
 * tree.h - the source tree, for tests that compare what is written there with what is so.
 *
 * Who cannot read it dies with a sentence: CADRE_SOURCE_DIR says where it is, and `./dev test`
 * sets that.
 */
#ifndef TREE_H
#define TREE_H

#include <glob.h>
#include <stdbool.h>

/* The whole text of a file, "lib/README.md" or a path from tree_files; the caller frees it. */
char *tree_read(const char *name);

bool tree_has(const char *name);

/* The files that fit a pattern, at least one: "lib/?*.c". The caller calls globfree. */
glob_t tree_files(const char *pattern);

#endif
