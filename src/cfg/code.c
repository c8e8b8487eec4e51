/**
 * @file cfg/code.c  The codes of messages: they stay, words may change
 *
 * A message brings its code in front: "VS0202 %s: no such option".  Numbers
 * are never used again for something else.
 */
#include <errno.h>
#include <string.h>
#include <re.h>
#include "cfg.h"
#include "internal.h"


enum { DIGITS = 4 };

static const struct cfg_code codev[] = {

	/* the file's text */
	{101, "The file cannot be read",
	 "Look at its name, its mode, and who runs the program."},
	{102, "The file is too large",
	 "A configuration has at most 4 MB; subscribers belong in the store"
	 " (voipstack user)."},
	{103, "The file is not text in UTF-8",
	 "Save it as UTF-8 without control characters."},
	{104, "The file is not YAML",
	 "Indent with spaces, close quotes and brackets; the mistake is often"
	 " in the line above."},
	{105, "A part of YAML that a configuration does not have",
	 "Write the value out: no anchors, aliases, tags or second document."},
	{106, "Too many values",
	 "A configuration has at most 200000 of them."},
	{107, "Nested too deep",
	 "No option lies deeper than 16 levels."},
	{108, "A key that is not a word",
	 "Write NAME: VALUE."},
	{109, "A name given twice",
	 "Keep one of the two: a section, an option, a node or an extension"
	 " stands once."},
	{110, "A value that is too long or has a NUL",
	 "A value has at most 65536 bytes."},

	/* the text against the tables */
	{201, "No such section",
	 "voipstack help config lists all of them."},
	{202, "No such option",
	 "voipstack help config lists all of them."},
	{203, "Known, but not supported yet by this version",
	 "Remove it."},
	{204, "A map, a list or a word where something else belongs",
	 "voipstack help config shows how it is written."},
	{205, "An option without a value",
	 "Give one, or leave the line out for the default."},
	{206, "A value that the option does not take",
	 "The message says what is allowed."},
	{207, "Too few or too many entries",
	 "The message says how many are allowed."},
	{208, "A needed option is missing",
	 "Add it."},
	{209, "The file does not begin with sections",
	 "Write SECTION: and its options indented below."},
	{210, "A password in clear text",
	 "Remove it, and change it if others have seen the file; voipstack"
	 " user add keeps only a hash."},

	/* nodes */
	{301, "node beside nodes",
	 "node describes a machine that is alone, nodes a fleet: keep one."},
	{302, "This machine is not among the nodes",
	 "Say --node NAME, or name the node as the machine."},
	{303, "Neither an address nor an interface",
	 "Write an address, or an interface of this machine that has one."},
	{304, "An address that the selected node does not have",
	 "Harmless when the file is checked on another machine; on the node"
	 " itself the role will not start."},
	{305, "Two nodes with one address",
	 "Give each node its own."},

	/* rules */
	{401, "A rule of one section is broken",
	 "The message says which."},

	/* one thing against another */
	{501, "Two listeners on one port",
	 "Give one of them another port or address."},
	{502, "Ports for media that are taken by something else",
	 "Move one of the two."},
	{503, "A network within another",
	 "Remove the smaller one: it changes nothing."},
	{504, "Too few ports for the calls that are allowed",
	 "Widen the range or lower the limit."},
	{505, "Too few open files for the calls that are allowed",
	 "Raise node.max_files or lower the limit."},
	{506, "A name that stands twice, but for capitals",
	 "Remove one: capitals do not matter here."},

	/* files */
	{601, "A file that others may change",
	 "chmod o-w FILE: who writes it commands the telephone system."},
	{602, "A secret that others may read",
	 "chmod 600 FILE."},
};


const struct cfg_code *cfg_code_get(size_t idx)
{
	return idx < ARRAY_SIZE(codev) ? &codev[idx] : NULL;
}


static unsigned number(const char *s)
{
	unsigned n = 0;
	size_t i;

	if (s[0] != 'V' || s[1] != 'S')
		return 0;

	for (i = 2; i < 2 + DIGITS; i++) {
		if (s[i] < '0' || s[i] > '9')
			return 0;
		n = 10 * n + (unsigned)(s[i] - '0');
	}

	return n;
}


/** "VS0202" -> its row, or NULL */
const struct cfg_code *cfg_code_find(const char *name)
{
	const unsigned n = number(name);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(codev); i++) {
		if (codev[i].code == n && !name[2 + DIGITS])
			return &codev[i];
	}

	return NULL;
}


/** Take the code off the front of a message */
unsigned cfg_code_split(const char **fmtp)
{
	const unsigned n = number(*fmtp);

	if (!n || (*fmtp)[2 + DIGITS] != ' ')
		return CFG_CODE_RULE;

	*fmtp += 2 + DIGITS + 1;

	return n;
}
