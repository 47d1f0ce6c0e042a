/*
 * report.h - what was measured, for people, for programs and for gnuplot.
 */
#ifndef REPORT_H
#define REPORT_H

#include "asked.h"

#include <stdio.h>

/* Tables, then a line for each goal. */
void report_tables(const struct run *run);

/* Everything, each round included. 0, or -ENOMEM, -EIO. */
int report_json(const struct run *run, FILE *file);

/* Writes DIRECTORY/QUESTION.dat for each question that was asked: a line per contender with
 * its name in quotation marks, then median, p25 and p75 of each column; "?" where there is
 * none. And DIRECTORY/bench.json. 0, or negative errno after saying why. */
int report_files(const struct run *run, const char *directory);

#endif
