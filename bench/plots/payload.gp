# How long a round trip takes by the size of the payload: a line for each contender.
data = ARG1
svg = ARG2
load "style.inc"

blocks = sprintf("< awk -v columns='B$' -f long.awk '%s'", data)
stats blocks using 1:2 nooutput
set key maxcols 1 spacing 1.05
set title "Round trip by size of the payload"
set xlabel "payload, there and back"
set ylabel "us, logarithmic"
set logscale x 2
set logscale y
set xtics ("64 B" 64, "1 KiB" 1024, "64 KiB" 65536, "1 MiB" 1048576, "16 MiB" 16777216)
set xrange [40:26000000]

plot for [i = 0:STATS_blocks - 1] blocks index i using 1:2:3:4 with yerrorlines \
	lw 2 pt 7 ps 0.5 dt i / 8 + 1 lc rgb colour[i % 8 + 1] title columnheader(1)
