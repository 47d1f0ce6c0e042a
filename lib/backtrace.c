/*
 * backtrace.c - a backtrace as text. What it is made of came out of a segment: every string
 * is printed without what a terminal would obey.
 */
#include <cadre/backtrace.h>

#include "platform.h"
#include "symbols.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Text that counts what does not fit. */
struct text {
	char *at;
	size_t size;
	size_t length;
};

static void put(struct text *text, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text->length + 1 < text->size)
			text->at[text->length] = bytes[i];
		text->length++;
	}
}

CADRE_PRINTF(2, 3) static void print(struct text *text, const char *format, ...)
{
	char line[512];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length > 0)
		put(text, line,
		    (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
}

/* A name from elsewhere, control characters and all. */
static void put_name(struct text *text, const char *name)
{
	for (; *name; name++)
		put(text, (unsigned char)*name < ' ' || *name == 127 ? "?" : name, 1);
}

static const char *last_part(const char *path)
{
	const char *const slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static const char *say_code(int number, int code)
{
	if (number == SIGSEGV && code == SEGV_MAPERR)
		return "nothing is mapped there";
	if (number == SIGSEGV && code == SEGV_ACCERR)
		return "no permission";
	if (number == SIGBUS && code == BUS_ADRERR)
		return "behind the end of a mapped file";
	if (number == SIGFPE && code == FPE_INTDIV)
		return "division by zero";
	if (code == SI_USER)
		return "sent by another process";
	if (code == SI_TKILL)
		return "raised by itself";
	return NULL;
}

static void put_signal(struct text *text, const struct cadre_backtrace *backtrace)
{
	const char *const name = sigabbrev_np(backtrace->signal_number);
	const char *const reason = say_code(backtrace->signal_number, backtrace->code);

	print(text, "pid %d, thread %d, SIG%s", backtrace->pid, backtrace->thread,
	      name ? name : "?");
	if (backtrace->code > 0 &&
	    (backtrace->signal_number == SIGSEGV || backtrace->signal_number == SIGBUS))
		print(text, " at address 0x%llx", (unsigned long long)backtrace->address);
	if (reason)
		print(text, " (%s)", reason);
	if (backtrace->job)
		print(text, ", job %llu of operation %d",
		      (unsigned long long)backtrace->job, backtrace->operation);
	put(text, "\n", 1);
}

static void put_place(struct text *text, const struct cadre_backtrace *backtrace,
		      const struct cadre_frame *frame)
{
	if (frame->module < backtrace->module_count &&
	    frame->module < CADRE_BACKTRACE_MODULES) {
		put_name(text, last_part(backtrace->modules[frame->module].path));
		print(text, "+0x%llx", (unsigned long long)frame->offset);
	} else {
		print(text, "0x%llx", (unsigned long long)frame->offset);
	}
}

static void put_symbol(struct text *text, const struct cadre_symbol *symbol)
{
	put_name(text, symbol->function ? symbol->function : "?");
	if (symbol->file) {
		put(text, " at ", 4);
		put_name(text, symbol->file);
		print(text, ":%d", symbol->line);
	}
	put(text, " ", 1);
}

static void put_frame(struct text *text, const struct cadre_backtrace *backtrace,
		      uint32_t number, struct cadre_symbols *symbols)
{
	const struct cadre_frame *const frame = &backtrace->frames[number];
	struct cadre_symbol found[CADRE_SYMBOLS_MAX];
	const unsigned count = symbols ?
				       cadre_symbols_find(symbols, frame->offset, found) :
				       0;

	for (unsigned i = 0; i < count; i++) {
		print(text, "  #%-2u ", number);
		put_symbol(text, &found[i]);
		if (found[i].inlined && i + 1 < count)
			print(text, "(inlined)\n");
	}
	if (count == 0)
		print(text, "  #%-2u ", number);
	print(text, count ? "(" : "");
	put_place(text, backtrace, frame);
	print(text, count ? ")\n" : "\n");
}

size_t cadre_backtrace_format(const struct cadre_backtrace *backtrace, unsigned flags,
			      char *buffer, size_t size)
{
	const uint32_t module_count = backtrace->module_count < CADRE_BACKTRACE_MODULES ?
					      backtrace->module_count :
					      CADRE_BACKTRACE_MODULES;
	const uint32_t frame_count = backtrace->frame_count < CADRE_BACKTRACE_FRAMES ?
					     backtrace->frame_count :
					     CADRE_BACKTRACE_FRAMES;
	struct cadre_symbols *symbols[CADRE_BACKTRACE_MODULES] = { NULL };
	struct text text = { .at = buffer, .size = size };

	for (uint32_t i = 0; i < module_count && !(flags & CADRE_BACKTRACE_RAW); i++)
		symbols[i] = cadre_symbols_open(&backtrace->modules[i]);
	put_signal(&text, backtrace);
	for (uint32_t i = 0; i < frame_count; i++) {
		const uint32_t module = backtrace->frames[i].module;

		put_frame(&text, backtrace, i,
			  module < module_count ? symbols[module] : NULL);
	}
	if (backtrace->frames_dropped)
		print(&text, "  ... and %u more\n", backtrace->frames_dropped);
	for (uint32_t i = 0; i < module_count; i++)
		cadre_symbols_close(symbols[i]);
	if (size)
		buffer[text.length < size ? text.length : size - 1] = '\0';
	return text.length;
}
