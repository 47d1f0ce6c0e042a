/*
 * symbols.h - functions and lines for offsets in files, by elfutils' libdw.
 *
 * libdw is opened when it is first asked for and not linked: workers, supervisors and clients
 * that never read a backtrace do not carry it, and where it is not installed the answer is
 * "unknown" instead of a program that does not start.
 */
#ifndef CADRE_SYMBOLS_H
#define CADRE_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

#include <cadre/backtrace.h>

struct cadre_symbols;

/* Opens a module for reading. NULL when it cannot be: no absolute path, no regular file, not
 * the build that was loaded, no libdw, no memory. */
struct cadre_symbols *cadre_symbols_open(const struct cadre_module *module);
void cadre_symbols_close(struct cadre_symbols *symbols);

/* One call that an offset stands for; several where calls were inlined. Strings live until
 * the close, NULL and 0 for unknown. */
struct cadre_symbol {
	const char *function;
	const char *file;
	int line;
	bool inlined; /* into the next one */
};

#define CADRE_SYMBOLS_MAX 16

/* The calls at that offset of the file, innermost first. How many; 0: unknown. */
unsigned cadre_symbols_find(struct cadre_symbols *symbols, uint64_t offset,
			    struct cadre_symbol ret_found[CADRE_SYMBOLS_MAX]);

#endif
