# How long jobs wait by load, p50 and p99, beside the ideal queue of the same jobs.
data = ARG1
svg = ARG2
load "style.inc"

set xlabel "load, per cent"
set logscale y
set xtics (50, 80, 95)
set xrange [45:100]
set terminal svg size 960,440 dynamic noenhanced background rgb "white"
set output svg
set multiplot layout 1,2 title "Waiting of jobs, ms"
do for [quantile in "p50 p99"] {
	blocks = sprintf("< awk -v columns='%s$' -f long.awk '%s'", quantile, data)
	stats blocks using 1:2 nooutput
	set title quantile
	set key outside bottom center horizontal
	plot for [i = 0:STATS_blocks - 1] blocks index i using 1:2:3:4 with yerrorlines \
		lw 2 pt 7 ps 0.5 dt i % 2 + 1 lc rgb colour[i / 2 + 1] title columnheader(1)
}
unset multiplot
