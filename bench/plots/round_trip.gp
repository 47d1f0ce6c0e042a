# How long a caller waits for the reply: a bar for each contender, the fastest on top.
data = ARG1
svg = ARG2
load "style.inc"

rows = sprintf("< awk -F'\\t' '!/^#/ && NR > 2 && $2 != \"?\"' '%s' | sort -t'\t' -k2,2gr", data)
stats rows using 2 nooutput
set terminal svg size 860,(90 + 24 * STATS_records) dynamic noenhanced background rgb "white"
set output svg
set title "Round trip of one 64-byte job: median of the rounds"
set xlabel "ns, logarithmic"
set logscale x
set format x "%.0s %c"
set xrange [10 ** floor(log10(STATS_min)):10 ** ceil(log10(STATS_max * 1.5))]
set yrange [-0.7:STATS_records - 0.3]
set ytics scale 0
unset key

is_cadre(name) = name[1:5] eq "cadre"
plot rows using 2:0:(1):2:($0 - 0.35):($0 + 0.35):(is_cadre(strcol(1)) ? 0xc0392b : 0x9db4c8):ytic(1) \
		with boxxyerror fill solid 1 noborder lc rgb variable, \
	rows using 2:0:3:4 with xerrorbars pt -1 lc rgb "#333333", \
	rows using ($4 * 1.05):0:(sprintf("%.0f", $2)) with labels left offset 0.5,0
