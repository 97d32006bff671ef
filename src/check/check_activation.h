/* SPDX-License-Identifier: Apache-2.0 */
/* The option of operations that apply an activation to their result: its terms, and its reference. */
#ifndef CLEF_CHECK_ACTIVATION_H
#define CLEF_CHECK_ACTIVATION_H

#include <clef/activation.h>

#include "problem.h"

/* Rows of a family's table for a field of type clef_activation: "act=hardtanh act_p-2 act_q2". */
#define CLEF__ACTIVATION_TERMS(opts, field)                                                                            \
	{ .name = "act",                                                                                               \
	  .kind = CLEF__TERM_WORD,                                                                                     \
	  .offset = offsetof(opts, field.kind),                                                                        \
	  .words = clef__activation_words,                                                                             \
	  .about = "activation" },                                                                                     \
		{ .name = "act_p",                                                                                     \
		  .kind = CLEF__TERM_FLOAT,                                                                            \
		  .offset = offsetof(opts, field.p),                                                                   \
		  .about = "its first parameter; if both are 0, the defaults" },                                       \
	{                                                                                                              \
		.name = "act_q", .kind = CLEF__TERM_FLOAT, .offset = offsetof(opts, field.q),                          \
		.about = "its second parameter"                                                                        \
	}

/* The kinds in the order of clef_activation_kind. */
extern const char *const clef__activation_words[];

/* activation(x). */
double clef__ref_activate(clef_activation activation, double x);

#endif
