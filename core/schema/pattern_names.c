/* The long names of character categories ("\p{Letter}"), which PCRE2 does not know. */
#include "base/alloc.h"
#include "schema/internal.h"

/* The short name of a category, or the name itself. */
static struct apd_str short_name(struct apd_str name)
{
	static const struct {
		struct apd_str name, brief;
	} known[] = {
		{APD_STR("Letter"), APD_STR("L")},
		{APD_STR("Cased_Letter"), APD_STR("L&")},
		{APD_STR("Uppercase_Letter"), APD_STR("Lu")},
		{APD_STR("Lowercase_Letter"), APD_STR("Ll")},
		{APD_STR("Titlecase_Letter"), APD_STR("Lt")},
		{APD_STR("Modifier_Letter"), APD_STR("Lm")},
		{APD_STR("Other_Letter"), APD_STR("Lo")},
		{APD_STR("Mark"), APD_STR("M")},
		{APD_STR("Combining_Mark"), APD_STR("M")},
		{APD_STR("Nonspacing_Mark"), APD_STR("Mn")},
		{APD_STR("Spacing_Mark"), APD_STR("Mc")},
		{APD_STR("Enclosing_Mark"), APD_STR("Me")},
		{APD_STR("Number"), APD_STR("N")},
		{APD_STR("Decimal_Number"), APD_STR("Nd")},
		{APD_STR("digit"), APD_STR("Nd")},
		{APD_STR("Letter_Number"), APD_STR("Nl")},
		{APD_STR("Other_Number"), APD_STR("No")},
		{APD_STR("Punctuation"), APD_STR("P")},
		{APD_STR("punct"), APD_STR("P")},
		{APD_STR("Connector_Punctuation"), APD_STR("Pc")},
		{APD_STR("Dash_Punctuation"), APD_STR("Pd")},
		{APD_STR("Open_Punctuation"), APD_STR("Ps")},
		{APD_STR("Close_Punctuation"), APD_STR("Pe")},
		{APD_STR("Initial_Punctuation"), APD_STR("Pi")},
		{APD_STR("Final_Punctuation"), APD_STR("Pf")},
		{APD_STR("Other_Punctuation"), APD_STR("Po")},
		{APD_STR("Symbol"), APD_STR("S")},
		{APD_STR("Math_Symbol"), APD_STR("Sm")},
		{APD_STR("Currency_Symbol"), APD_STR("Sc")},
		{APD_STR("Modifier_Symbol"), APD_STR("Sk")},
		{APD_STR("Other_Symbol"), APD_STR("So")},
		{APD_STR("Separator"), APD_STR("Z")},
		{APD_STR("Space_Separator"), APD_STR("Zs")},
		{APD_STR("Line_Separator"), APD_STR("Zl")},
		{APD_STR("Paragraph_Separator"), APD_STR("Zp")},
		{APD_STR("Other"), APD_STR("C")},
		{APD_STR("Control"), APD_STR("Cc")},
		{APD_STR("cntrl"), APD_STR("Cc")},
		{APD_STR("Format"), APD_STR("Cf")},
		{APD_STR("Surrogate"), APD_STR("Cs")},
		{APD_STR("Private_Use"), APD_STR("Co")},
		{APD_STR("Unassigned"), APD_STR("Cn")},
	};
	static const struct apd_str prefixes[] = {APD_STR("General_Category="), APD_STR("gc=")};

	for (size_t i = 0; i < APD_COUNT(prefixes); i++)
		if (name.len > prefixes[i].len &&
			memcmp(name.ptr, prefixes[i].ptr, prefixes[i].len) == 0)
			name = (struct apd_str){
				name.ptr + prefixes[i].len, name.len - prefixes[i].len};
	for (size_t i = 0; i < APD_COUNT(known); i++)
		if (apd_str_eq(name, known[i].name))
			return known[i].brief;
	return name;
}

void apd_schema_pattern_translate(struct apd_str s, struct apd_buf *out)
{
	apd_buf_reserve(out, s.len);
	for (size_t i = 0; i < s.len; i++) {
		const char *end = NULL;

		apd_buf_add_char(out, s.ptr[i]);
		if (s.ptr[i] != '\\' || i + 1 == s.len)
			continue;
		apd_buf_add_char(out, s.ptr[++i]);
		if ((s.ptr[i] == 'p' || s.ptr[i] == 'P') && i + 1 < s.len && s.ptr[i + 1] == '{')
			end = memchr(s.ptr + i, '}', s.len - i);
		if (!end)
			continue;
		apd_buf_add_char(out, '{');
		i += 2;
		apd_buf_add_str(
			out, short_name((struct apd_str){s.ptr + i, (size_t)(end - (s.ptr + i))}));
		apd_buf_add_char(out, '}');
		i = (size_t)(end - s.ptr);
	}
}
