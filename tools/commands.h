/*
 * commands.h - the commands of the program `cadre`, one file each: cmd_NAME.c.
 *
 * A command gets the arguments that follow it; argv[0] is its full name, "cadre stat",
 * which is also how its messages begin. It returns the exit status of the program.
 */
#ifndef CADRE_COMMANDS_H
#define CADRE_COMMANDS_H

/* What the exit statuses mean, the same in each command; its --help says which it uses. Only
 * cadre stat --check has those that monitors know. */
enum cadre_exit {
	CADRE_EXIT_OK = 0,
	CADRE_EXIT_FAILED = 1, /* the pool was there, but the thing asked for went wrong */
	CADRE_EXIT_POOL = 2,   /* the pool cannot be used: missing, dead, not ours */
	CADRE_EXIT_USAGE = 64, /* wrong arguments; EX_USAGE of sysexits.h, and argp's own */
};

/* What cadre_serve's answer means as an exit status. */
int cadre_serve_status(int error);

/* What it means that a pool could not be opened: its name cannot be one, or any other error. */
int cadre_open_status(int error);

/* Flushes standard output. CADRE_EXIT_FAILED, having said so, when what the command printed
 * could not all be written. */
int cadre_finish_output(const char *command);

/* Prints a line; for functions of the library that say things. */
void cadre_print_line(const char *sentence, void *unused);

int cadre_cmd_serve(int argc, char **argv);
int cadre_cmd_call(int argc, char **argv);
int cadre_cmd_map(int argc, char **argv);
int cadre_cmd_stat(int argc, char **argv);
int cadre_cmd_ctl(int argc, char **argv);
int cadre_cmd_top(int argc, char **argv);
int cadre_cmd_check(int argc, char **argv);
int cadre_cmd_gc(int argc, char **argv);
int cadre_cmd_http(int argc, char **argv);

#endif
