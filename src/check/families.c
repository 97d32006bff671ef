/* SPDX-License-Identifier: Apache-2.0 */
/* The list of families, of which the pointwise ones come from pointwise.def. */
#include "families.h"

const clef__family *const clef__families[] = {
#define CLEF__FAMILY(name)                                   &clef__family_##name,
#define CLEF_UNARY0(name, NAME, value, gradient)             CLEF__FAMILY(name)
#define CLEF_UNARY1(name, NAME, p, d, value, gradient)       CLEF__FAMILY(name)
#define CLEF_UNARY2(name, NAME, p, d, q, e, value, gradient) CLEF__FAMILY(name)
#define CLEF_BINARY(name, value, da, db)                     CLEF__FAMILY(name)
#include <clef/pointwise.def>
	CLEF__FAMILY_MAP(CLEF__FAMILY)
#undef CLEF__FAMILY
};

const int clef__family_count = CLEF_COUNT(clef__families);

int clef_check_count(void)
{
	return clef__family_count;
}

clef_check_family clef_check_get(int i)
{
	const clef__family *f = i >= 0 && i < clef__family_count ? clef__families[i] : NULL;

	return f ? (clef_check_family){ f->name, f->problems, f->count, f->quick } : (clef_check_family){ 0 };
}
