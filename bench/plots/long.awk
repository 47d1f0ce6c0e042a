# A table of report_plot_data, turned: for each contender that was measured a block with its
# name and a line "x median p25 p75" for each column. x is the number that the column's name
# begins with, in bytes where a unit follows. -v columns=REGEX chooses columns by their names,
# -v without=REGEX leaves contenders out by theirs.

BEGIN { FS = "\t"; unit["KiB"] = 1024; unit["MiB"] = 1048576 }

function bare(text) { gsub(/"/, "", text); return text }

/^#/ { next }

!head {
	for (i = 2; i <= NF; i += 3)
		name[i] = bare($i)
	head = 1
	next
}

without == "" || bare($1) !~ without {
	lines = ""
	for (i = 2; i <= NF; i += 3) {
		if ($i == "?" || (columns != "" && name[i] !~ columns))
			continue
		split(name[i], words, " ")
		x = words[1] * (words[2] in unit ? unit[words[2]] : 1)
		lines = lines x "\t" $i "\t" $(i + 1) "\t" $(i + 2) "\n"
	}
	if (lines != "")
		printf "%s%s\n%s", blocks++ ? "\n\n" : "", $1, lines
}
