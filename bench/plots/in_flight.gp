# Jobs per second over how many are in flight: a line for each contender that looks for them
# all the time.
data = ARG1
svg = ARG2
load "style.inc"

blocks = sprintf("< awk -v without='asleep|uncounted' -f long.awk '%s'", data)
stats blocks using 1:2 nooutput
set key maxcols 1 spacing 1.05
set title "64-byte jobs per second"
set xlabel "jobs in flight"
set ylabel "jobs per second, logarithmic"
set logscale x 2
set logscale y
set xtics (1, 8, 64, 256)
set xrange [0.8:320]
set format y "%.0s %c"

plot for [i = 0:STATS_blocks - 1] blocks index i using 1:2:3:4 with yerrorlines \
	lw 2 pt 7 ps 0.5 dt i / 8 + 1 lc rgb colour[i % 8 + 1] title columnheader(1)
