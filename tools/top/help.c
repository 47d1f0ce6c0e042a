/*
 * help.c - what the keys do, and what the letters mean.
 */
#include "screen.h"
#include "top.h"

static const char *const lines[] = {
	"w o c e      workers, operations, clients, events",
	"Enter        the marked worker in detail, with its histogram; the marked event, with",
	"             the backtrace of the worker that died",
	"Up Down j k  mark another row, or scroll; also PgUp, PgDn, Home, End",
	"< >          sort by the column to the left, to the right;  r  the other way",
	"L            latency from: taken to ended (service), submitted to ended (total),",
	"             submitted to taken (waiting)",
	"i            hide what is idle;  p  pause;  + -  look less, more often",
	"h ?          this help;  Esc  back;  q  back, then end",
	"",
	"S  _ idle   S starting   W working   B blocked by the consumer of a stream",
	"   G draining   H past the deadline of a job   X waiting to be restarted",
	"   D disabled   . unused   ? impossible",
	"",
	"LOAD%  busy among busy, idle and blocked time since the last look, the running job",
	"       included;  MAX%  the same in the busiest second so far",
	"BLK%   waiting for the consumer of a stream;  IDLE  since the last job",
	"NOW    how long the present job has run;  RST  restarts;  AGE  of the process",
	"",
	"cadre stat --list says what every figure means.",
};

int top_draw_help(const struct top *top, int line)
{
	screen_write_line(line++, SCREEN_MARKED, "help");
	screen_clip(line);
	line -= top->scroll;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		screen_write(line++, 0, SCREEN_PLAIN, "%s", lines[i]);
	return line;
}
