/* SPDX-License-Identifier: Apache-2.0 */
/* Problems of the four convolutions: one set of options, in which those of one dimension have the fields of columns. */
#ifndef CLEF_CHECK_CONV_H
#define CLEF_CHECK_CONV_H

#include "check_activation.h"

typedef struct clef__conv_problem {
	int n, c, h, w, k, r, s;
	int st, stw, p, pw, pt, pb, pl, pr, d, dw, g;
	int op, oph, opw;
	int mode, by;
	clef_activation act;
	bool no_bias;
	bool twice;           /* the images are the weights as well */
	bool one, transposed; /* which operation it is; from here on set by clef__conv_setup() */
} clef__conv_problem;

/* The names that the library gives to implementations, behind "auto", its own choice. */
extern const char *const clef__conv_words[];

/* Parts of the families' rows. */
clef_status clef__conv_setup(clef__problem *p);
clef_tensor *clef__conv_check_apply(clef_tensor *const *x, const void *opts);
bool clef__conv_reference(const clef__ref *x, const void *opts, clef__ref *y);
double clef__conv_flops(const clef__problem *p);

#endif
