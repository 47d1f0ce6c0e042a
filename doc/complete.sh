#!/bin/sh
#
# complete.sh CADRE COMMAND PAGE.scd - the page, with the options of `cadre COMMAND --help`
# where @OPTIONS@ stands.

set -eu
help=$(LC_ALL=C "$1" "$2" --help)

# argp begins an option in column 3, its sentence at the earliest two blanks behind it, and
# goes on in column 30. What is neither is a heading, or the text around the options.
options=$(printf '%s\n' "$help" | awk '
	function escape(text) {
		gsub(/[_*\\]/, "\\\\&", text)
		return text
	}
	/^  +-/ {
		line = $0
		sub(/^ +/, "", line)
		sentence = ""
		if (match(line, /  +/)) {
			sentence = substr(line, RSTART + RLENGTH)
			line = substr(line, 1, RSTART - 1)
		}
		printf "\n*%s*\n", escape(line)
		if (sentence != "")
			printf "\t%s\n", escape(sentence)
		within = 1
		next
	}
	within && /^                    / {
		sub(/^ +/, "")
		printf "\t%s\n", escape($0)
		next
	}
	/^ [A-Z].*:$/ {
		sub(/^ /, "")
		printf "\n%s\n", escape($0)
		next
	}
	NF == 0 { next }
	{ within = 0 }
')

while IFS= read -r line; do
	if [ "$line" = "@OPTIONS@" ]; then
		printf '%s\n' "$options"
	else
		printf '%s\n' "$line"
	fi
done <"$3"
