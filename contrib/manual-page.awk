# A document in markdown as a manual page, in the macros of man(7): what docs/ says has one home.
#
#   awk -v name=walship-format -v section=7 -v version=0.2.0 -f contrib/manual-page.awk docs/format.md
#
# The document's first heading is its summary.  A table becomes a list: of each row the first column is the term; of a table with
# three columns the second stands behind it, in brackets.

function verbatim(text)
{
	gsub(/\\/, "\\e", text)
	gsub(/-/, "\\-", text)
	return text
}

# What would be a request of roff is none.
function line(text)
{
	print (text ~ /^[.']/ ? "\\&" : "") text
}

function font(name)
{
	return "\\f" name
}

# Code, bold, emphasis, links, and a power of two.
function inline(text,    out, span, target, bold, italic)
{
	gsub(/<sup>/, "^", text)
	gsub(/<\/sup>/, "", text)
	while (text != "")
	{
		if (match(text, /^`[^`]*`/))
			out = out font("B") verbatim(substr(text, 2, RLENGTH - 2)) font("R")
		else if (match(text, /^\*\*/))
			out = out font((bold = !bold) ? "B" : "R")
		else if (match(text, /^\*/) && (italic || text ~ /^\*[^ ]/))
			out = out font((italic = !italic) ? "I" : "R")
		else if (match(text, /^\[[^]]*\]\([^)]*\)/))
		{
			span = substr(text, 2, RLENGTH - 2)
			target = span
			sub(/\].*/, "", span)
			sub(/.*\]\(/, "", target)
			out = out inline_link(span) (target ~ /^[a-z]+:/ ? " <" verbatim(target) ">" : "")
		}
		else if (match(text, /^·/))
			out = out "\\(pc"
		else
		{
			match(text, /^./)
			out = out verbatim(substr(text, 1, 1))
			RLENGTH = 1
		}
		text = substr(text, RLENGTH + 1)
	}
	return out
}

# A link's text has no link in it, so that inline() need not call itself.
function inline_link(text)
{
	gsub(/`/, "", text)
	return verbatim(text)
}

function end_block()
{
	if (in_table)
		print ".PP"
	in_table = 0
	headed = 0
}

function table_row(text,    cells, n, i, rest)
{
	sub(/^\| */, "", text)
	sub(/ *\|$/, "", text)
	gsub(/\\\|/, "\001", text)
	n = split(text, cells, / *\| */)
	for (i = 1; i <= n; i++)
		gsub(/\001/, "|", cells[i])
	if (!in_table)
	{
		in_table = 1
		typed = (n == 3)
		return
	}
	for (i = typed ? 3 : 2; i <= n; i++)
		rest = rest (rest == "" ? "" : "; ") cells[i]
	print ".TP"
	line(cells[1] == "" ? "\\&" : inline(cells[1]) (typed && cells[2] != "" ? " (" inline(cells[2]) ")" : ""))
	line(inline(rest == "" ? " " : rest))
}

BEGIN { title = toupper(name) }

/^ *```/ {
	end_block()
	print in_code ? ".fi\n.RE\n.PP" : ".PP\n.RS 4\n.nf"
	in_code = !in_code
	next
}
in_code { line(verbatim($0)); next }

/^# / {
	sub(/^# /, "")
	print ".\\\" made of a document by contrib/manual-page.awk"
	print ".TH \"" title "\" \"" section "\" \"\" \"walship " version "\" \"walship\""
	print ".SH NAME\n" verbatim(name) " \\- " inline(tolower(substr($0, 1, 1)) substr($0, 2))
	print ".SH DESCRIPTION"
	next
}
/^## / { end_block(); sub(/^## /, ""); print ".SH \"" inline($0) "\""; fresh = 1; next }
/^### / { end_block(); sub(/^### /, ""); print ".SS \"" inline($0) "\""; fresh = 1; next }

/^\|[-| :]*\|$/ { next }
/^\|/ { table_row($0); fresh = 0; next }

/^[ \t]*$/ { if (in_table) end_block(); else if (!fresh) print ".PP"; fresh = 1; numbered = 0; next }

/^- / { end_block(); sub(/^- /, ""); print ".IP \\(bu 2" }
fresh && /^[1-9]\. / || numbered && /^[1-9]\. / { end_block(); numbered = 1; match($0, /^[0-9]+\./); print ".IP " substr($0, 1, RLENGTH) " 4"; $0 = substr($0, RLENGTH + 2) }
{ sub(/^ +/, ""); line(inline($0)); fresh = 0 }

END {
	end_block()
	print ".SH SEE ALSO\n\\fBwalship\\fR(1), \\fBwalship.conf\\fR(5), \\fBage\\fR(1)"
}
